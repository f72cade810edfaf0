"""The map as an instrument: what the kernel answers, and what a person does in a real browser."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from conftest import LISTEN
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from PIL import Image
from scipy.spatial.distance import cdist

from samplevae_lib import paths, plots, widgets
from samplevae_lib.datasets import drums
from samplevae_lib.datasets.stand_ins.drums import drum_clips
from samplevae_lib.library import open as open_library
from samplevae_lib.widgets import map_page

RATE = 22050
HOSTILE = "kick/<script>window.hacked = 1</script><b id='bold'>\"&'.wav"
BROWSER: list[str] = []  # Chromium keeps its own rule that nothing sounds before a key or click
VIEWPORT = {"width": 1100, "height": 900}
FOLDER = Path(widgets.__file__).parent
# An engine without a kernel: tones whose pitch is the place, and a record of what was asked.
ENGINE = """
  const { count, names, rate, classes } = given;
  window.asked = [];
  const tone = (pitch, level = 0.5) => Float32Array.from({ length: rate * 0.4 }, (_, i) =>
    level * Math.exp((-4 * i) / rate) * Math.sin((2 * Math.PI * pitch * i) / rate));
  let state = 1;
  const dice = () => (state = (state * 16807) % 2147483647) / 2147483647;
  const heap = (k) => [0.5 + 0.38 * Math.cos(k * 2.4), 0.5 + 0.38 * Math.sin(k * 2.4)];
  const bell = () => (dice() + dice() + dice() - 1.5) / 8;
  const many = (of) => Float32Array.from({ length: count }, of);
  const points = new Float32Array(2 * count);
  for (let i = 0; i < count; i++) heap(i % 8).forEach((middle, axis) =>
    (points[2 * i + axis] = Math.min(1, Math.max(0, middle + bell()))));
  const away = (x, y, i) => Math.hypot(points[2 * i] - x, points[2 * i + 1] - y);
  const nearest = (x, y) => Array.from({ length: Math.min(count, 2000) }, (_, i) => i)
    .sort((a, b) => away(x, y, a) - away(x, y, b)).slice(0, 4)
    .map((index, k) => ({ index, distance: away(x, y, index), weight: [0.5, 0.25, 0.15, 0.1][k] }));
  const side = 48;
  const values = Uint8Array.from({ length: side * side }, (_, i) => {
    const at = [i % side, Math.floor(i / side)].map((cell) => ((cell + 0.5) / side) * 1.3 - 0.15);
    const far = [...Array(8).keys()].map((k) => Math.hypot(...heap(k).map((m, a) => m - at[a])));
    return 255 * Math.min(1, Math.max(0, (Math.min(...far) - 0.12) * 5));
  });
  const answer = (x, y, pitch) => {
    const found = nearest(x, y);
    const [{ index: lender, distance }] = found;
    return { samples: tone(pitch), rate, guess: Math.min(1, distance * 4), lender, nearest: found };
  };
  const engine = {
    count, rate, title: given.title, points, names, classes,
    labels: names.map((_, i) => (i % 9 === 8 ? "" : classes[i % 8] ?? "")),
    seconds: many((_, i) => 0.1 + (i % 50) / 20),
    features: { bright: many((_, i) => points[2 * i]), noisy: many(dice), long: many(dice) },
    regions: classes.map((name, k) => ({ x: heap(k)[0], y: heap(k)[1], name: `bright ${name}s` })),
    guess: { width: side, height: side, values },
    async sound(i) { asked.push(["sound", i]); return { samples: tone(200 + i), rate }; },
    async make(x, y, again = 0) {
      asked.push(["make", x, y, again]);
      if (given.broken) throw Error("the decoder fell over: <b>boo</b>");
      return answer(x, y, 300 + 400 * x + 50 * again);
    },
    async combine(terms) { asked.push(["combine", terms]); return answer(0.5, 0.5, 500); },
    async graft(attack, body) {
      asked.push(["graft", attack, body]);
      const both = [3, nearest(0.5, 0.5)[0].index];
      const found = both.map((index, i) => ({ index, distance: i / 8, weight: [0.06, 0.94][i] }));
      return { ...answer(0.5, 0.5, 600), lender: both[1], nearest: found };
    },
    async similar(samples, rate, k) {
      asked.push(["similar", samples.length, rate, k, samples.reduce((a, b) => Math.max(a, b), 0)]);
      return nearest(0.5, 0.5).map(({ index, distance }) => ({ index, distance }));
    },
  };
"""
CLASSES = ["kick", "snare", "hat", "clap", "tom", "ride", "crash", "shaker"]


def document(
    *, count: int = 400, width: str = "auto", style: str = "", copies: int = 1, **more: object
) -> str:
    """A page with the instrument over the fake engine."""
    kinds = [CLASSES[i % 8] for i in range(count)]
    names = [f"drums/{kind}/machine {i % 7}/{kind} {i:04}.wav" for i, kind in enumerate(kinds)]
    names[:1] = [HOSTILE]
    given = {"count": count, "names": names, "rate": RATE, "classes": CLASSES, "title": "My drums"}
    given |= more
    module = base64.b64encode((FOLDER / "map.js").read_bytes()).decode()
    text = json.dumps(given).replace("</", "<\\/")
    hosts = f'<div class="host" style="width:{width}"></div>' * copies
    return f"""<!doctype html><meta charset="utf-8">
      <style>:root {{ color-scheme: light dark }} body {{ margin: 8px }} {style}
      {(FOLDER / "map.css").read_text()}</style><script>{LISTEN}</script>{hosts}
      <script type="module">
      import {{ mount }} from "data:text/javascript;base64,{module}";
      const given = {text};
      {ENGINE}
      window.engine = engine;
      window.unmounts = [...document.querySelectorAll(".host")].map((host) => mount(host, engine));
      </script>"""


# The kernel's side.


class Library:
    """What a map asks of a library: a few tones, and a record of what was asked."""

    sample_rate = RATE

    def __init__(self, count: int = 40, *, name: str = HOSTILE):
        rng = np.random.default_rng(0)
        self.points = rng.uniform(0, 1, (count, 2)).astype(np.float32)
        labels = [("", *CLASSES[:3])[i % 4] for i in range(count)]
        self.sounds = pd.DataFrame({
            "name": [name, *(f"{i}.wav" for i in range(1, count))], "label": labels, "kind": labels,
            "seconds": rng.uniform(0.1, 2, count), "bright": rng.uniform(0, 1, count),
            "noisy": rng.uniform(0, 1, count), "long": rng.uniform(0, 1, count),
        })  # fmt: skip
        self.regions = [(0.25, 0.75, "bright kicks"), (0.7, 0.2, "long hats $&")]
        self.asked: list = []

    def guess(self, places):
        return np.clip(places[:, 0], 0, 1)

    def sound(self, i):
        self.asked.append(("sound", i))
        return np.full(100 + i, 0.5, np.float32)

    def make(self, place, *, again=0):
        self.asked.append(("make", *np.round(place, 4).tolist(), again))
        if place[0] > 1:
            raise ValueError(f"place {place[0]:.2f}: expected 0 … 1")
        return self._made(0.25)

    def combine(self, terms):
        self.asked.append(("combine", terms))
        return self._made(0.75)

    def graft(self, attack, body):
        self.asked.append(("graft", attack, body))
        return self._made(0.5)

    def similar(self, audio, sample_rate, k):
        self.asked.append(("similar", audio.tolist(), sample_rate, k))
        return np.arange(k), np.arange(k) / 10

    def _made(self, guess):
        tone = 0.5 * np.sin(np.arange(RATE // 2) / 10).astype(np.float32)
        return SimpleNamespace(
            audio=tone, guess=guess, lender=3, nearest=np.array([3, 0]),
            distances=np.array([0.1, 0.2]), weights=np.array([0.75, 0.25]),
        )  # fmt: skip


@pytest.fixture
def asked(monkeypatch):
    """A map, and a function that sends it a question and gives its answer."""
    made = widgets.Map(Library(), title="Drums")
    sent = []
    monkeypatch.setattr(made, "send", lambda content, buffers: sent.append((content, buffers)))

    def ask(buffers=(), **question):
        made._handle_custom_msg({"id": "7", **question}, list(buffers))
        (content, answered) = sent.pop()
        assert content.pop("id") == "7"
        return content, [np.frombuffer(one, "<f4") for one in answered]

    ask.map = made
    return ask


def test_it_is_where_notebooks_look_for_it_and_asks_for_anywidget_only_then():
    assert "Map" in widgets.__all__
    program = (
        "import sys; from samplevae_lib import widgets; print('anywidget' in sys.modules);"
        "widgets.Map; print('anywidget' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"]
    with pytest.raises(AttributeError, match="has no 'Mop'; it has Annotate"):
        widgets.Mop  # noqa: B018


def test_the_page_gets_points_columns_and_shading_as_bytes(asked):
    library, about = asked.map.library, asked.map.about
    values = np.frombuffer(asked.map.values, "<f4")
    np.testing.assert_array_equal(values[:80].reshape(40, 2), library.points)
    for i, name in enumerate(["seconds", *about["features"]]):
        np.testing.assert_allclose(values[80 + 40 * i :][:40], library.sounds[name])
    assert about["names"] == library.sounds["name"].tolist()
    assert about["classes"] == ["hat", "kick", "snare"]
    assert (about["rate"], about["title"]) == (RATE, "Drums")
    shades = np.frombuffer(asked.map.guess, np.uint8).reshape(96, 96)
    middle = np.clip((np.arange(96) + 0.5) / 96 * 1.3 - 0.15, 0, 1)  # rows of y, the guess is x
    np.testing.assert_allclose(shades, np.tile(255 * middle, (96, 1)), atol=1)


def test_a_sound_is_answered_as_it_was_recorded(asked):
    fields, [audio] = asked(ask="sound", index=7)
    assert (fields, len(audio), audio[0]) == ({"rate": RATE}, 107, 0.5)


def test_a_place_is_answered_with_its_sound_and_where_it_came_from(asked):
    fields, [audio] = asked(ask="make", x=0.5, y=0.125, again=2)
    assert asked.map.library.asked == [("make", 0.5, 0.125, 2)]
    assert len(audio) == RATE // 2
    assert fields == {
        "rate": RATE, "guess": 0.25, "lender": 3,
        "nearest": [
            {"index": 3, "distance": 0.1, "weight": 0.75},
            {"index": 0, "distance": 0.2, "weight": 0.25},
        ],
    }  # fmt: skip


def test_a_mix_may_hold_sounds_and_places(asked):
    terms = [{"index": 4, "weight": 1.5}, {"x": 0.5, "y": 0.25, "weight": -0.5}]
    fields, [audio] = asked(ask="combine", terms=terms)
    assert asked.map.library.asked == [("combine", [(4, 1.5), ((0.5, 0.25), -0.5)])]
    assert (fields["guess"], len(audio)) == (0.75, RATE // 2)


def test_a_graft_is_answered_for_sounds_and_places(asked):
    fields, [audio] = asked(ask="graft", attack={"index": 4}, body={"x": 0.5, "y": 0.25})
    assert asked.map.library.asked == [("graft", 4, (0.5, 0.25))]
    assert (fields["guess"], fields["lender"], len(audio)) == (0.5, 3, RATE // 2)


def test_what_is_like_a_sound_is_answered_by_number_and_distance(asked):
    heard = np.array([0, 0.5, -0.25], "<f4")
    fields, none = asked([memoryview(heard.tobytes())], ask="similar", rate=48000, k=2)
    assert asked.map.library.asked == [("similar", [0, 0.5, -0.25], 48000, 2)]
    assert fields == {"found": [{"index": 0, "distance": 0}, {"index": 1, "distance": 0.1}]}
    assert none == []


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ({"ask": "make", "x": 1.5, "y": 0, "again": 0}, "ValueError: place 1.50: expected 0 … 1"),
        ({"ask": "sing"}, "KeyError: 'sing'"),
        ({"ask": "make", "x": 0.5}, "KeyError: 'y'"),
        ({"ask": "graft", "attack": {"index": 1}}, "KeyError: 'body'"),
    ],
)
def test_what_goes_wrong_is_answered_as_text(asked, question, told):
    assert asked(**question) == ({"error": told}, [])


def test_a_saved_page_keeps_a_picture_and_says_what_it_lacks(asked):
    bundle, _ = asked.map._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    html = bundle["text/html"]
    assert "<b>Drums</b>" in html and "where a kernel runs it" in html
    image = Image.open(io.BytesIO(base64.b64decode(re.search(r"base64,([^\"]+)", html)[1])))
    assert (image.format, image.size) == ("PNG", (480, 360))
    drawn = {tuple(pixel) for pixel in np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()}
    for colour in plots.COLOURS[:3]:
        assert tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5)) in drawn


def test_a_notice_stands_above_it_and_a_hostile_title_is_text(asked):
    widgets.set_notice("nothing is trained")
    made = widgets.Map(Library(4), title="<b>x")
    widgets.set_notice("")
    assert made.about["title"] == "<b>x · nothing is trained"
    assert "&lt;b&gt;x" in made._repr_mimebundle_()[0]["text/html"]


# What it does in a browser.


class Open:
    """A page with the instrument, and what can be seen of one of them."""

    def __init__(self, page, which: int = 0):
        self.page, self.root = page, page.locator(".sv-map").nth(which)
        self.stage = self.root.locator(".sv-stage")
        self.root.locator(".sv-legend > *").first.wait_for()
        self.settle()

    def settle(self) -> None:
        """Until what was asked for is drawn."""
        self.page.wait_for_timeout(40)
        self.page.evaluate("() => new Promise(requestAnimationFrame)")

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a place of the whole map is in the window: it shows 1.12 of both axes."""
        box = self.stage.bounding_box()
        across, up = (0.5 + (x - 0.5) / 1.12, 0.5 - (y - 0.5) / 1.12)
        return (
            box["x"] + 1 + across * (box["width"] - 2),
            box["y"] + 1 + up * (box["height"] - 2),
        )

    def click(self, x: float, y: float) -> None:
        self.page.mouse.click(*self.at(x, y))
        self.settle()

    def drag(self, *places: tuple[float, float]) -> None:
        self.page.mouse.move(*self.at(*places[0]))
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*self.at(*place), steps=5)
        self.page.mouse.up()
        self.settle()

    def press(self, text: str, inside: str = ".sv-map") -> None:
        self.page.locator(inside).first.get_by_role("button", name=text, exact=True).click()
        self.settle()

    def asked(self, kind: str) -> list:
        return [rest for first, *rest in self.page.evaluate("asked") if first == kind]

    def spot(self, i: int) -> tuple[float, float]:
        return tuple(self.page.evaluate(f"[engine.points[{2 * i}], engine.points[{2 * i + 1}]]"))

    def text(self, part: str) -> str:
        return self.root.locator(part).first.text_content()

    def until(self, text: str) -> None:
        """Until the status says so."""
        self.page.wait_for_function(
            "([root, text]) => root.querySelector('.sv-status').textContent.includes(text)",
            arg=[self.root.element_handle(), text], timeout=8000,
        )  # fmt: skip

    def saved(self, text: str, inside: str = ".sv-map") -> tuple[str, bytes]:
        """The name and the content of the file that a button leads to."""
        with self.page.expect_download() as waiting:
            self.press(text, inside)
        return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()

    @property
    def played(self) -> np.ndarray:
        """The last 32768 samples that went to the loudspeaker."""
        values = self.page.evaluate(
            "(() => { const all = new Float32Array(32768);"
            " contexts[0].played.getFloatTimeDomainData(all); return [...all]; })()"
        )
        return np.array(values)

    def let_sound(self, seconds: float = 0.15) -> None:
        until = self.page.evaluate("contexts[0].currentTime") + seconds
        self.page.wait_for_function(
            "(until) => contexts[0].currentTime > until", arg=until, timeout=8000
        )


@pytest.fixture
def show(heeded, tmp_path):
    """Open the instrument in the browser; a page that complains fails its test."""

    def opened(**options) -> Open:
        (tmp_path / "page.html").write_text(document(**options), "utf-8")
        heeded.goto((tmp_path / "page.html").as_uri())
        return Open(heeded)

    return opened


EMPTY = (0.5, 0.5)  # between all heaps: no sound is near


def test_a_click_where_no_sound_is_makes_plays_and_explains_one(show):
    opened = show()
    assert opened.page.evaluate("contexts.length") == 0
    opened.click(*EMPTY)
    [[x, y, again]] = opened.asked("make")
    assert (x, y, again) == (pytest.approx(0.5, abs=0.002), pytest.approx(0.5, abs=0.002), 0)
    opened.let_sound()
    assert 0.1 < np.abs(opened.played).max() <= 0.36
    assert opened.text(".sv-status").startswith("made at 0.50, 0.50, guess 0.")
    told = opened.text(".sv-made")
    assert "made at 0.50, 0.50" in told
    assert re.search(r"guess 0\.\d\d: (between|partly|guessing)", told)
    assert "Fine detail borrowed from drums/" in told
    assert len(re.findall(r"0\.\d+ away · \d+ %", told)) == 4
    drawn = opened.root.locator(".sv-made canvas").evaluate(
        "c => new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height)"
        ".data.buffer)).size"
    )
    assert drawn > 50


def test_a_moved_and_zoomed_map_still_knows_where_a_click_is(show):
    opened = show()
    opened.drag((0.5, 0.5), (0.54, 0.47))
    opened.click(0.54, 0.47)
    opened.press("zoom in")
    opened.click(0.5 + 0.112, 0.5)
    (x, y, _), (second, _, _) = opened.asked("make")
    assert (x, y) == (pytest.approx(0.5, abs=0.003), pytest.approx(0.5, abs=0.003))
    assert second - 0.46 == pytest.approx(0.112 / 1.5, abs=0.005)
    opened.press("whole map")
    opened.click(0.25, 0.75)
    assert opened.asked("make")[2][:2] == pytest.approx([0.25, 0.75], abs=0.003)


def test_the_wheel_zooms_where_the_pointer_is_once_the_map_is_at_hand(show):
    opened = show()
    opened.page.mouse.move(*opened.at(0.3, 0.3))
    opened.page.mouse.wheel(0, -300)
    opened.click(0.3, 0.3)  # nothing has moved, and now it has the focus
    opened.page.mouse.wheel(0, -300)
    opened.settle()
    opened.click(0.3, 0.3)
    opened.click(0.5, 0.5)
    here, there, other = ([x, y] for x, y, _ in opened.asked("make"))
    assert here == pytest.approx([0.3, 0.3], abs=0.003)
    assert there == pytest.approx(here, abs=0.003)
    assert other[0] - 0.3 == pytest.approx(0.2 / np.exp(0.6), abs=0.01)


def test_again_gives_variations_and_what_was_made_stays_in_a_list(show):
    opened = show()
    opened.click(*EMPTY)
    opened.press("again")
    opened.press("again")
    assert [again for *_, again in opened.asked("make")] == [0, 1, 2]
    names = opened.root.locator(".sv-past .sv-name").all_text_contents()
    assert names == [f"made at 0.50, 0.50{more}" for more in (", variation 2", ", variation 1", "")]
    opened.press("made at 0.50, 0.50", ".sv-past")
    assert opened.text(".sv-made h4") == "made at 0.50, 0.50"
    assert len(opened.asked("make")) == 3


def test_a_file_name_is_text_whatever_it_holds(show):
    opened = show(count=8, title=HOSTILE)
    opened.click(0.88, 0.5)
    opened.page.mouse.move(*opened.at(*opened.spot(0)))
    opened.settle()
    assert opened.text(".sv-tip") == f"{HOSTILE} (kick)"
    assert opened.text("header b") == HOSTILE
    opened.press(f"pick {HOSTILE}")
    assert HOSTILE in opened.text(".sv-picked")
    opened.press("find similar", ".sv-made")
    opened.press("kit of this view")
    opened.until("a kit of 16")
    assert "script-b-id-bold" in opened.text(".sv-kit")
    assert opened.page.evaluate("'hacked' in window") is False
    assert opened.page.locator("#bold").count() == 0


def test_hovering_plays_the_nearest_sound_and_can_be_switched_off(show):
    opened = show()
    opened.page.mouse.move(*opened.at(*opened.spot(3)))
    assert opened.asked("sound") == []  # nothing sounds before a click or a key
    opened.click(*EMPTY)
    opened.page.mouse.move(*opened.at(*opened.spot(3)))
    opened.settle()
    assert opened.asked("sound")[-1] == [3]
    assert opened.text(".sv-tip").startswith("drums/clap/machine 3/clap 0003.wav")
    opened.root.get_by_label("hover plays").uncheck()
    before = len(opened.asked("sound"))
    opened.page.mouse.move(*opened.at(*opened.spot(4)))
    opened.settle()
    assert opened.text(".sv-tip").startswith("drums/tom")
    assert len(opened.asked("sound")) == before


def test_many_sounds_at_once_never_clip_and_a_recorded_one_is_fetched_once(show):
    opened = show()
    opened.page.evaluate(
        "void (engine.sound = async (i) => (asked.push(['sound', i]),"
        " { samples: new Float32Array(44100).fill(1), rate: 22050 }))"
    )
    opened.click(*EMPTY)
    for i in [*range(12), *range(12)]:
        opened.page.mouse.move(*opened.at(*opened.spot(i)))
    opened.let_sound(0.1)
    voices = "globalThis[Symbol.for('samplevae.map.sound')].voices.length"
    assert opened.page.evaluate(voices) == 4
    played = opened.played
    assert 0.9 < np.abs(played).max() <= 1
    fetched = [i for [i] in opened.asked("sound")]
    assert len(set(fetched)) == len(fetched) > 4
    opened.stage.focus()
    opened.page.keyboard.press("Escape")
    opened.let_sound(0.1)
    assert np.abs(opened.played[-1000:]).max() < 1e-3


def test_one_sound_is_heard_as_it_is(show):
    opened = show()
    opened.page.evaluate(
        "void (engine.make = async () => ({ samples: new Float32Array(22050).fill(0.5),"
        " rate: 22050, guess: 0, nearest: [] }))"
    )
    opened.click(*EMPTY)
    opened.let_sound(0.3)
    heard = opened.played[-2000:]
    np.testing.assert_allclose(heard, 0.35, atol=1e-3)


def test_by_keyboard_a_crosshair_makes_plays_and_picks(show):
    opened = show()
    for _ in range(20):
        opened.page.keyboard.press("Tab")
        if opened.stage.evaluate("e => e === document.activeElement"):
            break
    assert opened.stage.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    opened.page.keyboard.press("Shift+ArrowRight")
    opened.page.keyboard.press("ArrowUp")
    assert re.match(r"0\.\d\d, 0\.\d\d, guess .*; nearest: drums/", opened.text(".sv-status"))
    box = opened.stage.bounding_box()
    opened.page.keyboard.press("Enter")
    opened.settle()
    [[x, y, _]] = opened.asked("make")
    assert x == pytest.approx(0.5 + 60 * 1.12 / (box["width"] - 2), abs=1e-3)
    assert y == pytest.approx(0.5 + 15 * 1.12 / (box["height"] - 2), abs=1e-3)
    opened.page.keyboard.press(" ")
    opened.settle()
    [[played]] = opened.asked("sound")
    assert opened.page.evaluate(f"engine.names[{played}]") in opened.text(".sv-status")
    opened.page.keyboard.press("p")
    assert opened.text(".sv-status") == "1 picked"
    for _ in range(60):
        opened.page.keyboard.press("Shift+ArrowRight")  # the map follows, up to its edge
    opened.page.keyboard.press("Enter")
    opened.settle()
    assert opened.asked("make")[-1][0] == pytest.approx(1.15, abs=0.001)


def test_all_controls_have_names(show):
    opened = show()
    opened.click(*EMPTY)
    opened.press("+ pick")
    opened.press("kit of this view")
    opened.until("a kit of 16")
    unnamed = opened.root.evaluate(
        "root => [...root.querySelectorAll('button, select, input:not([hidden])')].filter(e =>"
        " !(e.ariaLabel || e.textContent.trim() || e.closest('label'))).map(e => e.outerHTML)"
    )
    assert unnamed == []
    assert opened.root.evaluate("root => root.querySelectorAll('[id]').length") == 0


@pytest.mark.parametrize("tool", ["Path", "Shift"])
def test_a_path_is_heard_step_by_step(show, tool):
    opened = show()
    if tool == "Path":
        opened.press("Path")
    else:
        opened.page.keyboard.down("Shift")
    opened.drag((0.3, 0.5), (0.5, 0.6), (0.7, 0.5))
    opened.page.keyboard.up("Shift")
    opened.until("path of")
    made = np.array(opened.asked("make"))
    assert 8 <= len(made) <= 16
    np.testing.assert_allclose(made[[0, -1], :2], [(0.3, 0.5), (0.7, 0.5)], atol=0.01)
    steps = np.hypot(*np.diff(made[:, :2], axis=0).T)
    np.testing.assert_allclose(steps[:3], steps[0], rtol=0.02)
    title = opened.text(".sv-made h4")
    assert title.startswith(f"path of {len(made)} steps from 0.30, 0.50 to 0.70, 0.50")
    name, content = opened.saved(f"save {title} as WAV", ".sv-made")
    audio, rate = sf.read(io.BytesIO(content))
    pace = 5513  # a quarter of a second
    assert (name[:7], rate) == ("path-of", RATE)
    assert len(audio) == (len(made) - 1) * pace + 0.4 * RATE
    # The last step alone, and each begins to the sample where it should.
    time = np.arange(int(0.4 * RATE))
    decay = 0.5 * np.exp(-4 * time / RATE)
    expected = np.zeros(len(audio))
    for k, (x, *_) in enumerate(made):
        tone = decay * np.sin(2 * np.pi * (300 + 400 * x) * time / RATE)
        expected[k * pace :][: len(time)] += tone
    np.testing.assert_allclose(audio, expected / max(1, np.abs(expected).max()), atol=2e-6)


def test_picks_are_averaged_subtracted_and_weighed(show):
    opened = show()
    opened.press("Pick")
    first, second = opened.spot(3), EMPTY
    opened.click(*first)
    opened.click(*second)
    assert opened.root.locator(".sv-picked output").all_text_contents() == ["0.5", "0.5"]
    rules = {"average": [0.5, 0.5], "subtract": [1, -1], "extrapolate": [1.5, -0.5]}
    for button, weights in rules.items():
        opened.press(button)
        one, other = opened.asked("combine")[-1][0]
        assert (one["index"], [one["weight"], other["weight"]]) == (3, weights)
        assert [other["x"], other["y"]] == pytest.approx(EMPTY, abs=0.003)
    slider = opened.root.locator(".sv-picked input").first
    slider.focus()
    opened.page.keyboard.press("ArrowLeft")
    opened.settle()
    assert opened.asked("combine")[-1][0][0]["weight"] == pytest.approx(1.45)
    assert re.fullmatch(
        r"mix: 1\.[45] × drums/clap/machine 3/clap 0003.wav \+ -0.5 × the place 0.50, 0.50",
        opened.text(".sv-made h4"),
    )
    opened.press("morph")
    opened.until("path of")
    assert len(opened.asked("make")) >= 8


def test_the_attack_of_the_first_pick_is_put_on_the_body_of_the_second(show):
    opened = show()
    opened.press("Pick")
    opened.click(*opened.spot(3))
    graft = opened.root.get_by_role("button", name="attack + body", exact=True)
    assert graft.is_disabled()
    opened.click(*EMPTY)
    opened.press("attack + body")
    [[attack, body]] = opened.asked("graft")
    assert attack == {"index": 3}
    assert [body["x"], body["y"]] == pytest.approx(EMPTY, abs=0.003) and len(body) == 2
    name = "attack of clap 0003.wav, body of the place 0.50, 0.50"
    assert opened.text(".sv-made h4") == opened.text(".sv-past .sv-name") == name
    assert opened.text(".sv-status").startswith(f"{name}, guess 0.")
    lines = opened.root.locator(".sv-lender").all_text_contents()
    assert lines[0] == "Attack borrowed from drums/clap/machine 3/clap 0003.wav"
    assert re.fullmatch(r"Body borrowed from drums/\S+/machine \d/.*\.wav", lines[1])
    told = opened.text(".sv-made")
    assert "Borrowed from, and for what share of the time" in told
    assert re.findall(r"[\d.]+ away · \d+ %", told) == ["0 away · 6 %", "0.13 away · 94 %"]
    file, _ = opened.saved(f"save {name} as WAV", ".sv-made")
    assert file == "attack-of-clap-0003-wav-body-of-the-plac.wav"
    opened.press("average")
    assert "Fine detail borrowed from" in opened.text(".sv-made")
    opened.press(name, ".sv-past")
    assert "Attack borrowed from" in opened.text(".sv-made")
    opened.click(*opened.spot(10))  # of three, the first two
    opened.press("attack + body")
    assert opened.asked("graft")[1] == [attack, body]


def test_similar_sounds_of_what_was_made_and_of_a_dropped_file(show):
    opened = show()
    opened.click(*EMPTY)
    opened.press("find similar", ".sv-made")
    length, rate, k, _ = opened.asked("similar")[0]
    assert (length, rate, k) == (0.4 * RATE, RATE, 12)
    assert opened.root.locator(".sv-like li").count() == 4
    with io.BytesIO() as file:
        sf.write(file, np.full((44100, 2), (0.5, 0.25)), 44100, format="WAV")
        content = base64.b64encode(file.getvalue()).decode()
    drop = """([root, content, name]) => {
      const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([bytes], name));
      root.querySelector(".sv-stage").dispatchEvent(
        new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
    }"""
    opened.page.evaluate(drop, [opened.root.element_handle(), content, "<b>mine.wav"])
    opened.until("similar to <b>mine.wav; the nearest: drums/")
    length, rate, _, top = opened.asked("similar")[1]
    assert (length, rate) == (RATE, RATE)
    assert top == pytest.approx(0.375, abs=0.05)
    text = base64.b64encode(b"no sound at all").decode()
    opened.page.evaluate(drop, [opened.root.element_handle(), text, "notes.txt"])
    opened.until("notes.txt is no sound file that this browser can read")


def test_a_region_becomes_a_kit_that_is_saved_whole(show):
    opened = show()
    opened.press("Kit")
    middle = (0.5 + 0.38 * np.cos(2.4), 0.5 + 0.38 * np.sin(2.4))  # of the second heap, the snares
    corners = [(-0.2, -0.2), (0.2, -0.2), (0.2, 0.2), (-0.2, 0.2)]
    opened.drag(*((middle[0] + x, middle[1] + y) for x, y in corners))
    opened.until("a kit of 16")
    made, recorded = opened.asked("make"), opened.asked("sound")
    assert len(made) + len(recorded) == 16
    assert len(made) == 8
    for x, y in [*(one[:2] for one in made), *(opened.spot(i) for [i] in recorded)]:
        assert max(abs(x - middle[0]), abs(y - middle[1])) < 0.21
    name, content = opened.saved("save kit (.zip)")
    assert name == "kit.zip"
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert archive.testzip() is None
    files = [one for one in archive.namelist() if one.endswith(".wav")]
    assert [one[:3] for one in files] == [f"{i:02}-" for i in range(1, 17)]
    assert all(re.fullmatch(r"[\w-]+\.wav", one) for one in files)
    for file in files:
        info = sf.info(io.BytesIO(archive.read(file)))
        assert (info.samplerate, info.frames, info.channels, info.subtype) == (
            RATE, 0.4 * RATE, 1, "PCM_24",
        )  # fmt: skip
    audio, _ = sf.read(io.BytesIO(archive.read(files[0])))
    index = recorded[0][0]
    time = np.arange(len(audio)) / RATE
    np.testing.assert_allclose(
        audio, 0.5 * np.exp(-4 * time) * np.sin(2 * np.pi * (200 + index) * time), atol=1e-5
    )
    assert json.loads(archive.read("strudel.json")) == {"_base": "", "kit": files}
    regions = re.findall(r"<region> sample=(\S+) key=(\d+)", archive.read("kit.sfz").decode())
    assert regions == [(file, str(36 + i)) for i, file in enumerate(files)]


def test_pads_play_by_key_and_can_be_exchanged(show):
    opened = show()
    opened.press("kit of this view")
    opened.until("a kit of 16")
    opened.page.keyboard.press("q")
    opened.let_sound()
    assert np.abs(opened.played).max() > 0.1
    before = opened.root.locator(".sv-pad span").all_text_contents()
    opened.press("another sound for pad 5")
    after = opened.root.locator(".sv-pad span").all_text_contents()
    assert [i for i in range(16) if before[i] != after[i]] == [4]
    opened.root.get_by_label("what the kit holds").select_option("class")
    opened.until("a kit of 8")
    kinds = [text.split("-")[0] for text in opened.root.locator(".sv-pad span").all_text_contents()]
    assert kinds == CLASSES
    opened.press("another sound for pad 2")
    assert opened.root.locator(".sv-pad span").nth(1).text_content().startswith("snare-")


def test_an_empty_region_gives_made_pads_and_too_small_a_one_says_so(show):
    opened = show()
    opened.press("Kit")
    opened.drag((0.45, 0.45), (0.55, 0.45), (0.55, 0.55), (0.45, 0.55))
    opened.until("a kit of 16")
    assert (len(opened.asked("make")), len(opened.asked("sound"))) == (16, 0)
    opened.drag((0.5, 0.5), (0.53, 0.5))
    opened.until("too small for a kit")


def test_classes_and_lengths_are_filtered(show):
    opened = show()
    opened.press("kick 44", ".sv-legend")
    assert opened.text(".sv-status") == "356 sounds of 400 are left"
    button = opened.root.locator(".sv-legend button").first
    assert button.get_attribute("aria-pressed") == "false"
    opened.page.mouse.move(*opened.at(*opened.spot(16)))
    opened.settle()
    tip = opened.root.locator(".sv-tip")
    assert not tip.is_visible() or "(kick)" not in tip.text_content()
    button.click()
    opened.root.get_by_label("least seconds").fill("1.1")
    opened.root.get_by_label("most seconds").fill("1.3")
    assert opened.text(".sv-status") == "40 sounds of 400 are left"
    opened.press("kit of this view")
    opened.until("a kit of 16")
    lengths = [opened.page.evaluate(f"engine.seconds[{i}]") for [i] in opened.asked("sound")]
    assert len(lengths) == 8 and min(lengths) > 1.09 and max(lengths) < 1.31


def test_the_colours_are_those_of_the_figures():
    text = (FOLDER / "map.js").read_text()
    assert tuple(re.findall(r'"(#\w{6})"', text)[:8]) == plots.COLOURS


def dots(opened: Open) -> np.ndarray:
    """The pixels of the points, (height, width, 4)."""
    url = opened.root.locator(".sv-dots").evaluate("c => c.toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))


def test_every_point_is_drawn_at_its_place_in_its_colour(show):
    opened = show(count=8)
    drawn = dots(opened)
    height, width = drawn.shape[:2]
    for i in range(8):
        x, y = opened.spot(i)
        across, down = (0.5 + (x - 0.5) / 1.12) * width, (0.5 - (y - 0.5) / 1.12) * height
        colour = "#" + "".join(f"{v:02x}" for v in drawn[round(down), round(across), :3])
        assert colour.upper() == plots.COLOURS[i].upper()
    opened.root.get_by_label("Colour").select_option("bright")
    opened.settle()
    assert (dots(opened) != drawn).any()
    assert opened.text(".sv-legend").startswith("not bright")


def test_names_of_regions_lie_apart_and_inside(show):
    opened = show()
    opened.page.evaluate(
        """() => { window.written = []; const own = CanvasRenderingContext2D.prototype.fillText;
        CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
          written.push([text, x, y, this.measureText(text).width]);
          own.call(this, text, x, y);
        };
        engine.regions.push({ x: 0.5, y: 0.5, name: "late" }, { x: 0.5, y: 0.51, name: "too near" },
          { x: 1, y: 0.5, name: "at the edge" }); }"""
    )
    opened.press("whole map")
    opened.settle()
    size = opened.stage.evaluate("e => [e.clientWidth, e.clientHeight]")
    written = {text: (x, y, width) for text, x, y, width in opened.page.evaluate("written")}
    assert "late" in written and "too near" not in written
    for x, y, width in written.values():
        assert width / 2 <= x <= size[0] - width / 2 and 8 <= y <= size[1] - 8


@pytest.mark.parametrize("count", [1, 30])
def test_a_library_without_classes_is_coloured_by_what_is_heard(show, count):
    opened = show(count=count, classes=[])
    assert opened.text(".sv-legend").startswith("not bright")
    opened.press("kit of this view")
    opened.until("a kit of 16")
    assert len(opened.asked("make")) == 16 - min(count, 8)
    rule = opened.root.get_by_label("what the kit holds").locator("option").nth(1)
    assert rule.is_disabled()


def test_a_library_without_sounds_is_an_empty_map(show):
    assert show(count=0, names=[], classes=[]).text(".sv-status") == "This map has no sound."


def test_what_goes_wrong_is_said_as_text(show):
    opened = show(broken=True)
    opened.click(*EMPTY)
    assert opened.text(".sv-status") == "the decoder fell over: <b>boo</b>"


def test_two_on_a_page_share_one_context_and_can_be_taken_away(show):
    opened = show(copies=2)
    other = Open(opened.page, 1)
    opened.click(*EMPTY)
    other.stage.scroll_into_view_if_needed()
    other.click(*EMPTY)
    assert opened.page.evaluate("contexts.length") == 1
    assert other.text(".sv-status").startswith("made at 0.50")
    opened.page.evaluate("unmounts[0]()")
    assert opened.page.locator(".sv-map").count() == 1


@pytest.mark.parametrize("style", ["", "body { background: #111; color: #eee }"])
def test_text_can_be_read_on_light_and_dark_pages(show, style):
    opened = show(style=style)
    opened.click(*EMPTY)
    opened.press("+ pick")

    def light(colour: str) -> float:
        parts = np.array([int(value) for value in re.findall(r"\d+", colour)[:3]]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    ground = light(opened.root.evaluate("e => getComputedStyle(e).backgroundColor"))
    assert (ground < 0.1) == bool(style)
    for part in ("button", ".sv-name", "small", ".sv-status", "header", "select", "h4"):
        ink = light(opened.root.locator(part).first.evaluate("e => getComputedStyle(e).color"))
        ratio = (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05)
        assert ratio > 4.5, (part, ratio)


def test_it_fits_a_telephone(show):
    opened = show(width="374px")
    opened.click(*EMPTY)
    opened.press("Pick")
    opened.click(*opened.spot(3))
    opened.click(*EMPTY)
    opened.press("attack + body")
    opened.press("kit of this view")
    opened.until("a kit of 16")
    edge = opened.root.bounding_box()["x"] + 374
    beyond = opened.root.evaluate(
        "(root, edge) => [...root.querySelectorAll('button, input, select, h4, p, .sv-marks')]"
        ".filter(e => e.getBoundingClientRect().right > edge).map(e => e.outerHTML)", edge,
    )  # fmt: skip
    assert beyond == []
    assert opened.stage.bounding_box()["height"] <= 420


def test_a_hundred_thousand_points_are_drawn_and_moved(show, record_property):
    opened = show(count=100_000)
    assert (dots(opened)[..., 3] > 0).mean() > 0.1
    frames = opened.page.evaluate(
        """async () => {
          const stage = document.querySelector(".sv-stage");
          const send = (kind, x) => stage.dispatchEvent(new PointerEvent(kind,
            { clientX: 300 + x, clientY: 300, pointerId: 1, bubbles: true }));
          stage.setPointerCapture = () => {};
          document.querySelector("[aria-label='zoom in']").click();
          send("pointerdown", 0);
          const begun = performance.now();
          let frames = 0;
          while (performance.now() - begun < 1000) {
            send("pointermove", 60 * Math.sin(frames++ / 5));
            await new Promise(requestAnimationFrame);
          }
          send("pointerup", 0);
          return (1000 * frames) / (performance.now() - begun);
        }"""
    )
    record_property("frames a second", frames)
    print(f"{frames:.1f} frames a second")
    assert frames > 1


# With sounds of files, on a page of its own and in JupyterLab.


def emptiest(points: np.ndarray) -> np.ndarray:
    """Of some places in the middle of a map, the one that is farthest from all sounds."""
    places = np.stack(np.meshgrid(*[np.linspace(0.25, 0.75, 21)] * 2), -1).reshape(-1, 2)
    return places[cdist(places, points).min(1).argmax()]


def hear_a_place(opened: Open, library) -> None:
    """A click where no sound lies: a sound is heard, and said to be made of those around."""
    x, y = emptiest(library.points).tolist()
    opened.click(x, y)
    opened.until(f"made at {x:.2f}, {y:.2f}, guess")
    opened.let_sound()
    assert np.abs(opened.played).max() > 0.05
    around = library.sounds["name"].iloc[library.make((x, y)).nearest]
    assert opened.text(".sv-lender").removeprefix("Fine detail borrowed from ") in set(around)


def heed(page, told: list[str]) -> None:
    """Write down what goes wrong in a page: errors, requests that fail, dialogs."""

    def dialog(asked) -> None:
        told.append(f"dialog: {asked.message}")
        asked.dismiss()

    page.on("console", lambda line: line.type == "error" and told.append(line.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("requestfailed", lambda request: told.append(f"{request.failure}: {request.url}"))
    page.on("response", lambda got: got.status >= 400 and told.append(f"{got.status}: {got.url}"))
    page.on("dialog", dialog)


@pytest.fixture
def fresh(tab):
    """A function that gives a new page, whose sound can be measured; if it complains, it fails."""
    told: list[str] = []
    with ExitStack() as stack:

        def opened(**options: object):
            page = tab.context.browser.new_page(**{"viewport": VIEWPORT} | options)
            stack.callback(page.close)
            page.add_init_script(LISTEN)
            heed(page, told)
            return page

        yield opened
        assert told == []


@pytest.mark.slow
def test_all_drum_recordings_fit_a_page_that_plays(fresh, real, tmp_path):
    """SAMPLEVAE_PICTURE=figures/map.png keeps what is seen there, as the README shows it."""
    library = open_library(drums.folder())
    file = map_page.write(library, tmp_path / "map.html", title="72 drum machines")
    assert file.stat().st_size <= map_page.LIMIT
    size = {"width": 1280, "height": 860}
    page = fresh(viewport=size, device_scale_factor=1.5, color_scheme="light")
    page.goto(file.as_uri())
    hear_a_place(Open(page), library)
    seen = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    if wanted := os.environ.get("SAMPLEVAE_PICTURE"):
        few = seen.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1)  # keeps all classes apart
        few.save(wanted, optimize=True)


# In JupyterLab, from the cell to the sound.


HERE = Path(__file__).resolve().parent
SMALL = """
from test_map import Library
from samplevae_lib import widgets
widgets.Map(Library(200), title="In JupyterLab")
"""
SESSION = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session"
RUN = """(which) => {
  window.ran = null;
  const work = jupyterapp.commands.execute(`notebook:run-${which}`);
  work.then((well) => (ran = well), () => (ran = false));
}"""
TO_CELL = """async ([text, after]) => {
  const { content } = jupyterapp.shell.currentWidget;
  const here = content.widgets.findIndex(({ model }) => model.sharedModel.source.endsWith(text));
  content.activeCellIndex = here + after;
  await content.scrollToItem(here, "start");
}"""
# A path with a folder in it, for no file's name can hold the slash.
ALERT = "<script>alert(1)</script>.wav"


@contextmanager
def served(folder: Path, **environment: str) -> Iterator[str]:
    """The address of a JupyterLab of its own over the files of a folder, which has its settings."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        at = free.getsockname()
    arguments = (
        f"--no-browser --allow-root --ServerApp.port={at[1]} --ServerApp.token= "
        f"--ServerApp.root_dir={folder} --LabApp.expose_app_in_browser=True"
    )
    own = {f"JUPYTER_{kind}_DIR": str(folder / kind.lower()) for kind in ("CONFIG", "RUNTIME")}
    own |= {"IPYTHONDIR": str(folder / "ipython"), "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parent}"}
    with (folder / "log").open("w") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *arguments.split()], stdout=log, stderr=log,
            cwd=folder, env=os.environ | own | environment,
        )  # fmt: skip
        try:
            until_open(at)
            yield f"http://127.0.0.1:{at[1]}"
        finally:
            running.terminate()
            running.wait(30)


def until_open(at: tuple[str, int], *, seconds: float = 60) -> None:
    """Until somebody listens at a port."""
    late = time.monotonic() + seconds
    while True:
        try:
            return socket.create_connection(at).close()
        except OSError:
            assert time.monotonic() < late, f"nobody listens at {at}"
            time.sleep(0.2)


@pytest.fixture
def jupyterlab(fresh, tmp_path):
    """A function that opens a notebook in a JupyterLab of its own."""
    with ExitStack() as stack:

        def opened(notebook: nbformat.NotebookNode, **environment: str):
            nbformat.write(notebook, tmp_path / "map.ipynb")
            address = stack.enter_context(served(tmp_path, **environment))
            page = fresh()
            stack.callback(page.close)  # before its server ends, or it complains of that
            page.goto(f"{address}/lab/tree/map.ipynb")
            page.wait_for_function(f"{SESSION}?.kernel?.connectionStatus === 'connected'")
            return page

        yield opened


def run(page, which: str, *, seconds: float) -> None:
    """Run cells of the notebook, and none may fail."""
    page.evaluate(RUN, which)
    page.wait_for_function("() => ran !== null", timeout=1000 * seconds)
    assert page.evaluate("ran") is True, page.locator(".jp-OutputArea-output pre").all_inner_texts()


def map_below(page, text: str) -> Open:
    """The map that a cell ending so shows, the last one and not yet played, brought into view."""
    page.evaluate(TO_CELL, [text, 0])
    opened = Open(page, -1)
    opened.until("Click anywhere on the map")
    opened.stage.evaluate("stage => stage.scrollIntoView({ block: 'center' })")
    opened.settle()
    return opened


@pytest.mark.slow
def test_in_jupyterlab_a_click_on_the_map_sounds(jupyterlab):
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    cells = [nbformat.v4.new_code_cell(SMALL)]
    page = jupyterlab(nbformat.v4.new_notebook(cells=cells, metadata=kernel))
    run(page, "all-cells", seconds=90)
    opened = Open(page)
    assert opened.text("header") == "In JupyterLab200 sounds"
    opened.click(0.4, 0.6)
    opened.until("made at 0.40, 0.60, guess 0.25")
    opened.let_sound()
    assert np.abs(opened.played).max() > 0.1
    assert "Fine detail borrowed from 3.wav" in opened.text(".sv-made")
    opened.click(0.4, 0.6)  # keys mean the map, and not JupyterLab's cells
    opened.page.keyboard.press(" ")
    opened.until(".wav")
    opened.press("kit of this view")
    opened.until("a kit of 16")
    opened.press("find similar", ".sv-made")
    opened.until("12 sounds similar to made at")
    assert page.locator(".sv-map").count() == 1
    assert page.locator(".jp-Cell").count() == 1


def notebook_11(**parameters: object) -> nbformat.NotebookNode:
    """Notebook 11 itself, with parameters as the runner gives them to it."""
    written = load_notebook_node(str(paths.notebooks() / "11_sample_map.ipynb"))
    return parameterize_notebook(written, parameters)


def own_sounds(folder: Path) -> Path:
    """A folder of 25 drums, one of them by a hostile name, and of a file that is no sound."""
    clips = list(drum_clips(per_class=3, sample_rate=RATE, seed=0))
    sounds = {f"{clip.name.replace('/', ' ')}.wav": clip.audio for clip in clips}
    sounds |= {ALERT: clips[0].audio[::-1]}
    for name, audio in sounds.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        sf.write(folder / name, audio, RATE)
    (folder / "broken.wav").write_bytes(b"RIFF, but no more than that")
    return folder


@pytest.mark.slow
def test_notebook_11_plays_a_readers_own_folder_at_once_and_again_in_its_place(
    jupyterlab, tmp_path
):
    folder = own_sounds(tmp_path / "my sounds")
    notebook = notebook_11(profile="smoke", data="stand-in")
    page = jupyterlab(notebook, SAMPLEVAE_LIBRARY=str(folder))
    first, second = "if mine else None", "sv.widgets.Map(lib, title=lib.title)"
    page.evaluate(TO_CELL, [first, 1])
    run(page, "all-above", seconds=60)
    assert page.get_by_text("1 of 26 files are left out: 'broken.wav'").count() == 1
    library, opened = open_library(folder), map_below(page, first)
    assert opened.text("header").endswith("25 sounds")
    x, y = library.points[library.sounds["name"].tolist().index(ALERT)].tolist()
    page.mouse.move(*opened.at(x, y))
    assert opened.text(".sv-tip").startswith(ALERT)
    opened.click(x, y)
    opened.until(f"made at {x:.2f}, {y:.2f}, guess")
    assert opened.text(".sv-lender") == f"Fine detail borrowed from {ALERT}"
    hear_a_place(opened, library)
    page.evaluate(TO_CELL, [first, 1])
    run(page, "all-below", seconds=600)
    assert (tmp_path / "figures" / "11_sample_map" / "run.json").is_file()
    hear_a_place(map_below(page, second), library)
