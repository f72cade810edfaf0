"""A map in a page of its own: what is in the page, and that it makes what the library makes."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplevae_lib import audio
from samplevae_lib.library import Library, Made
from samplevae_lib.library import open as open_library
from samplevae_lib.metrics import log_spectral_distance
from samplevae_lib.spectral import Spectrogram
from samplevae_lib.widgets import map_page
from samplevae_lib.widgets.map_page import _spread_out

RATE = 44100
KINDS = ("kick", "snare", "hat", "bell")
HOSTILE = "</script><script>window.hacked = 1</script><b id='bold'>\"&'{count}\udcff<!--.wav"
BROWSER: list[str] = []
VIEWPORT = {"width": 1200, "height": 800}


def drum(index: int, rate: int) -> np.ndarray:
    """A kick, a snare, a hat or a bell, each of its own pitch and length."""
    rng = np.random.default_rng(index)
    time = np.arange(int(rate * (0.15 + 0.02 * index))) / rate
    pitch = 60 * 1.12 ** (index // 4)
    tones = {
        0: np.sin(2 * np.pi * pitch * (time + 0.05 * (1 - np.exp(-30 * time)))),
        1: np.sin(2 * np.pi * 3 * pitch * time) + 0.5 * rng.normal(size=len(time)),
        2: np.diff(rng.normal(size=len(time)), prepend=0),
        3: np.sin(2 * np.pi * 8 * pitch * time) + np.sin(2 * np.pi * 13.3 * pitch * time),
    }
    sound = tones[index % 4] * np.exp(-(10 + index % 7) * time)
    return audio.match_peak(sound).astype(np.float32)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """32 drums in a folder, some of them with silence before or behind, and its map."""
    folder = tmp_path_factory.mktemp("drums")
    for index in range(32):
        sound = np.pad(drum(index, RATE), (1000 * (index % 3), 500 * (index % 2)))
        (folder / KINDS[index % 4]).mkdir(exist_ok=True)
        audio.write(folder / KINDS[index % 4] / f"{index:02} ümlaut.wav", sound, RATE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAMPLEVAE_DATA", str(tmp_path_factory.mktemp("data")))
        return open_library(folder)


def lending(library: Library, sound: Callable[[int], np.ndarray]) -> Library:
    """The same library, with other sounds in place of the recorded ones."""
    other = copy(library)
    vars(other)["_reader"] = sound
    return other


def content(path: Path) -> dict:
    """What the page's script reads."""
    found = re.search(
        r'<script type="application/json" id="content">(.*?)</script>', path.read_text("utf-8")
    )
    return json.loads(found[1])


def array(packed: dict) -> np.ndarray:
    return np.frombuffer(base64.b64decode(packed["data"]), "<" + packed["kind"])


def rebuilt(scaled: dict) -> np.ndarray:
    scales = array(scaled["scales"])
    return array(scaled["steps"]).reshape(len(scales), -1) * scales[:, None]


# What is in the page.


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, library: Library) -> Path:
    return map_page.write(library, tmp_path_factory.mktemp("page") / "map.html", title=HOSTILE)


def test_the_page_is_the_file_that_was_asked_for_and_nothing_is_left_beside_it(page):
    assert list(page.parent.iterdir()) == [page]


def test_nothing_is_fetched_from_elsewhere(page):
    text = page.read_text("utf-8")
    assert re.findall(r"\b(?:src|href)=|@import|url\(|https?:|\bimport\b|\beval\b", text) == []


def test_it_holds_what_is_known_of_every_sound(page, library):
    made, sounds = content(page), library.sounds
    assert made["names"] == sounds["name"].tolist()
    assert made["classes"] == ["bell", "hat", "kick", "snare"]
    told = [(region["x"], region["y"], region["name"]) for region in made["regions"]]
    assert told == library.regions
    np.testing.assert_array_equal(array(made["points"]).reshape(-1, 2), library.points)
    np.testing.assert_allclose(array(made["features"]["noisy"]), sounds["noisy"], rtol=1e-6)
    assert made["lengths"] == [len(library.sound(index)) for index in range(32)]


def test_the_shading_goes_from_low_to_high_in_both_directions(page, library):
    shades = array(content(page)["guess"]["values"]).reshape(128, 128)
    middles = -0.15 + 1.3 * (np.array([3, 90]) + 0.5) / 128
    expected = 255 * library.guess([middles, middles[::-1]])
    np.testing.assert_allclose([shades[90, 3], shades[3, 90]], expected, atol=0.51)


def test_eight_bits_change_no_level_audibly(page, library):
    """The change of the envelope from one sound to each other one, in dB."""
    made, vae, latents = content(page), library.vae, library.latents
    short, basis = rebuilt(made["latents"]).T, rebuilt(made["basis"])
    true = vae.change(latents[1:] - latents[0]).reshape(len(latents) - 1, -1)
    told = (short[1:] - short[0]) * vae.deviations @ basis
    assert np.sqrt(np.square(told - true).mean()) < 0.25 < 0.02 * true.std()


def limit_for(page: Path, share: float) -> int:
    """The page's size if its sounds took only so much of what they take."""
    sounds = sum(len(sound) for sound in content(page)["sounds"])
    return int(page.stat().st_size - (1 - share) * sounds)


@pytest.mark.parametrize("kbps", [128, 80, 48])
def test_a_smaller_page_has_a_lower_bit_rate(page, tmp_path, capsys, kbps, library):
    limit = limit_for(page, (kbps + 7) / 128)
    made = map_page.write(library, tmp_path / "map.html", limit=limit)
    assert 0.9 * limit < made.stat().st_size <= limit
    assert len(content(made)["names"]) == 32
    assert f"{made}: 32 sounds, as MP3 of {kbps} kbit/s" in capsys.readouterr().err


def test_a_page_too_small_for_all_has_some_from_everywhere_and_says_so(
    page, tmp_path, capsys, library
):
    limit = limit_for(page, 0.25)
    made = map_page.write(library, tmp_path / "map.html", limit=limit)
    assert made.stat().st_size <= limit
    told, text = content(made), made.read_text("utf-8")
    kept = [library.sounds["name"].tolist().index(name) for name in told["names"]]
    assert 4 <= len(kept) < 32
    said = f"{len(kept)} of 32 sounds, spread out over the map, as all of them would make this page"
    assert said in text
    assert said in capsys.readouterr().err
    np.testing.assert_array_equal(array(told["points"]).reshape(-1, 2), library.points[kept])
    assert told["lengths"] == [len(library.sound(index)) for index in kept]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(0, 100), st.integers(0, 2**32 - 1))
def test_what_is_spread_out_fits_and_leaves_no_room_that_it_could_have_used(count, room, seed):
    rng = np.random.default_rng(seed)
    points, sizes = rng.integers(0, 5, (count, 2)) / 4, rng.integers(1, 20, count)
    chosen = _spread_out(points, sizes, room)
    assert len(set(chosen)) == len(chosen)
    left = room - sizes[chosen].sum()
    assert left >= 0
    assert (np.delete(sizes, chosen) > left).all()


def test_of_a_row_of_points_its_middle_and_both_ends_come_first():
    points = np.stack([np.arange(9) / 8, np.zeros(9)], axis=1)
    assert _spread_out(points, np.ones(9), 3).tolist() == [0, 4, 8]


def test_what_can_be_no_page_is_refused(tmp_path, library):
    with pytest.raises(ValueError, match="limit is 90000 bytes, and 4 of 32 sounds take more"):
        map_page.write(library, tmp_path / "map.html", limit=90_000)
    few = SimpleNamespace(points=np.zeros((3, 2)))
    with pytest.raises(ValueError, match="3 sounds: a map has 4 or more"):
        map_page.write(few, tmp_path / "map.html")
    assert list(tmp_path.iterdir()) == []


# What it does in a browser.

ASK = """async ([name, given, samples]) => {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt());
  const { engine } = document.querySelector("#map");
  const sent = samples ? [new Float32Array(bytes(samples).buffer)] : [];
  const found = await engine[name](...sent, ...given);
  if (!found.samples) return found;
  const raw = new Uint8Array(found.samples.buffer);
  const text = raw.reduce((all, byte) => all + String.fromCharCode(byte), "");
  return { ...found, samples: btoa(text) };
}"""


class Open:
    """A page in a browser, and what its engine answers."""

    def __init__(self, tab, path: Path):
        self.tab = tab
        tab.goto(path.as_uri())

    def ask(self, name: str, *given, samples: np.ndarray | None = None):
        sent = None if samples is None else base64.b64encode(np.float32(samples)).decode()
        found = self.tab.evaluate(ASK, [name, given, sent])
        if isinstance(found, dict):
            found["samples"] = np.frombuffer(base64.b64decode(found["samples"]), "<f4").copy()
        return found

    def sound(self, index: int) -> np.ndarray:
        return self.ask("sound", int(index))["samples"]


@pytest.fixture
def opened(heeded, page) -> Open:
    return Open(heeded, page)


def alike(found: dict, made: Made) -> None:
    """The page made what the library makes, of the same sounds."""
    assert found["lender"] == made.lender
    assert [near["index"] for near in found["nearest"]] == made.nearest.tolist()
    for name, values in (("weight", made.weights), ("distance", made.distances)):
        np.testing.assert_allclose([near[name] for near in found["nearest"]], values, atol=2e-3)
    assert found["guess"] == pytest.approx(made.guess, abs=0.01)
    assert len(found["samples"]) == len(made.audio)
    assert np.corrcoef(found["samples"], made.audio)[0, 1] > 0.999
    assert np.abs(found["samples"]).max() == pytest.approx(np.abs(made.audio).max(), rel=0.01)
    spec = Spectrogram("stft", RATE, 1024, 256)
    assert log_spectral_distance(made.audio, found["samples"], spec) < 0.5


@pytest.mark.parametrize("again", [0, 1])
@pytest.mark.parametrize("place", [(0.5, 0.5), (0.31, 0.72), (-0.1, 1.1)])
def test_a_click_makes_what_the_library_makes_of_that_place(opened, library, place, again):
    found = opened.ask("make", *place, again)
    alike(found, lending(library, opened.sound).make(place, again=again))


@pytest.mark.parametrize("rate", [16000, 48000])
def test_it_makes_the_same_at_every_rate(heeded, library, tmp_path, rate):
    clips = [drum(index, rate) for index in range(32)]
    lib = lending(replace(library, sample_rate=rate), clips.__getitem__)
    opened = Open(heeded, map_page.write(lib, tmp_path / "map.html"))
    alike(opened.ask("make", 0.4, 0.6), lending(lib, opened.sound).make((0.4, 0.6)))


@pytest.mark.parametrize("index", [0, 13, 31])
def test_where_a_sound_lies_it_is_heard_itself(opened, library, index):
    found = opened.ask("make", *map(float, library.points[index]))
    assert (found["lender"], found["nearest"][0]["weight"]) == (index, 1)
    np.testing.assert_array_equal(found["samples"], opened.sound(index))


@pytest.mark.parametrize(
    "terms",
    [
        [{"index": 3, "weight": 0.5}, {"index": 8, "weight": 0.5}],
        [{"index": 3, "weight": -0.5}, {"index": 8, "weight": 1.5}],
        [{"index": 3, "weight": 0.4}, {"x": 0.3, "y": 0.6, "weight": 0.6}],
    ],
)
def test_a_mixture_is_the_librarys(opened, library, terms):
    pairs = [(t["index"] if "index" in t else (t["x"], t["y"]), t["weight"]) for t in terms]
    alike(opened.ask("combine", terms), lending(library, opened.sound).combine(pairs))


@pytest.mark.parametrize(
    ("attack", "body"),
    [
        ({"index": 2}, {"index": 8}), ({"index": 28}, {"index": 18}), ({"index": 9}, {"index": 9}),
        ({"index": 16}, {"index": 17}),  # kicks, of which one is turned upside down
        ({"index": 14}, {"x": 0.3, "y": 0.6}),
        ({"x": 0.7, "y": 0.2}, {"x": 0.4, "y": 0.8}),
    ],
)  # fmt: skip
def test_a_graft_is_the_librarys(opened, library, attack, body):
    given = [t["index"] if "index" in t else (t["x"], t["y"]) for t in (attack, body)]
    alike(opened.ask("graft", attack, body), lending(library, opened.sound).graft(*given))


@pytest.mark.parametrize("rate", [RATE, 48000])
def test_similar_sounds_are_the_librarys(opened, library, rate):
    asked = np.pad(drum(35, RATE), (3000, 0))
    near, away = library.similar(asked, RATE, 5)
    heard = audio.resample(asked, RATE, rate) if rate != RATE else asked
    found = opened.ask("similar", rate, 5, samples=heard)
    assert [one["index"] for one in found] == near.tolist()
    np.testing.assert_allclose([one["distance"] for one in found], away, rtol=0.02)


@pytest.mark.parametrize(
    ("name", "given", "samples", "told"),
    [
        ("combine", [[{"index": 3, "weight": 0}]], None, "There is nothing to mix"),
        ("similar", [RATE, 5], np.zeros(900), "That sound is silent"),
    ],
)
def test_what_cannot_be_is_told(opened, name, given, samples, told):
    with pytest.raises(Exception, match=told):
        opened.ask(name, *given, samples=samples)


@pytest.mark.parametrize(
    ("rate", "kbps", "told"),
    # At 48 kbit/s, an MP3 doesn't say how late it is.
    [(44100, 128, 44100), (44100, 48, 44100), (20000, 128, 22050), (96000, 128, 48000)],
)
def test_sounds_begin_where_they_began(heeded, library, tmp_path, monkeypatch, rate, kbps, told):
    monkeypatch.setattr(map_page, "_KBPS", (kbps,))
    clips = [drum(index, rate) for index in range(32)]
    lib = lending(replace(library, sample_rate=rate), clips.__getitem__)
    opened = Open(heeded, map_page.write(lib, tmp_path / "map.html"))
    for index in range(0, 32, 5):
        found, clip = opened.ask("sound", index), clips[index]
        clip = clip if rate == told else audio.resample(clip, rate, told)
        assert (found["rate"], len(found["samples"])) == (told, len(clip))
        assert audio.delay(clip, found["samples"]) == audio.delay(found["samples"], clip) == 0


def test_no_sound_is_decoded_before_it_is_asked_for_but_those_that_warm_up(tab, page):
    fresh = tab.context.browser.new_page()
    fresh.add_init_script("""window.decoded = 0;
      const own = OfflineAudioContext.prototype.decodeAudioData;
      OfflineAudioContext.prototype.decodeAudioData = function (...given) {
        window.decoded++;
        return own.apply(this, given);
      };""")
    opened = Open(fresh, page)
    opened.ask("make", 0.5, 0.5)
    assert fresh.evaluate("decoded") == 2  # the click and the lender
    fresh.close()


def test_names_are_text_whatever_they_hold(heeded, tmp_path, library):
    lib = replace(library, sounds=library.sounds.assign(name=HOSTILE, label=HOSTILE))
    opened = Open(heeded, map_page.write(lib, tmp_path / "map.html", title=HOSTILE))
    assert opened.tab.evaluate("'hacked' in window") is False
    assert opened.tab.locator("#bold").count() == 0
    assert opened.tab.title() == HOSTILE.replace("\udcff", "\ufffd")
    names = opened.tab.evaluate("document.querySelector('#map').engine.names")
    assert names[0] == HOSTILE


@pytest.mark.parametrize(
    "attempt",
    [
        "fetch('https://example.org').then(() => true, () => false)",
        "fetch('data:,x').then(() => true, () => false)",
        "new Promise((done) => { const e = document.createElement('script');"
        " e.textContent = 'window.hacked = 1'; document.body.append(e);"
        " setTimeout(() => done('hacked' in window), 50); })",
        "new Promise((done) => { const e = new Image(); e.onload = () => done(true);"
        " e.onerror = () => done(false); e.src = 'https://example.org/x.png'; })",
    ],
)
def test_the_policy_lets_nothing_in_or_out(tab, page, attempt):
    assert Open(tab, page).tab.evaluate(attempt) is False


def test_the_instrument_is_drawn_and_a_click_on_it_makes_a_sound(opened):
    stage = opened.tab.locator(".sv-stage")
    stage.click(position={"x": 200, "y": 150})
    opened.tab.locator(".sv-lender").wait_for(timeout=5000)
    assert "borrowed from" in opened.tab.locator(".sv-lender").text_content()
    assert "borrows its detail" in opened.tab.locator("footer").text_content()
