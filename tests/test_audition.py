"""Players side by side: what is put into the page, and what it does in a real browser."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from PIL import Image

from samplevae_lib import audio as sound
from samplevae_lib.datasets import Dataset
from samplevae_lib.widgets import Audition, compare

RATE = 8000
SLOW = 1 / 16  # as slow as Chromium plays
HOSTILE = "<script>window.hacked = 1</script><b id='bold'>\"&'"
BROWSER = ["--autoplay-policy=no-user-gesture-required"]
VIEWPORT = {"width": 1200, "height": 600}
# JupyterLab's light and dark theme: background and colour of text.
THEMES = {
    "light": ("#ffffff", "rgba(0, 0, 0, 0.87)"),
    "dark": ("#111111", "rgba(255, 255, 255, 0.87)"),
}


def tone(hertz: float = 440.0, *, seconds: float = 0.5, level: float = 0.5) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


class Page(HTMLParser):
    """The elements of a page, and the text inside each kind."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: dict[str, str] = {}
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag != "img":
            self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if self._open:
            self.text[self._open[-1]] = self.text.get(self._open[-1], "") + data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page(widget: Audition) -> Page:
    return Page(widget._repr_html_())


def embedded(widget: Audition) -> list[np.ndarray]:
    """The sounds as a browser gets them."""
    found = []
    for element in page(widget).all("audio"):
        kind, _, content = element["src"].partition(",")
        assert kind == "data:audio/wav;base64"
        audio, rate = sf.read(io.BytesIO(base64.b64decode(content)), dtype="float32")
        assert rate == widget.sample_rate
        found.append(audio)
    return found


def pictures(widget: Audition) -> list[Image.Image]:
    sources = [element["src"].partition(",") for element in page(widget).all("img")]
    assert {kind for kind, _, _ in sources} <= {"data:image/png;base64"}
    return [Image.open(io.BytesIO(base64.b64decode(content))) for _, _, content in sources]


# What is put into the page.


def test_every_sound_has_a_card_with_label_note_picture_and_player():
    made = page(Audition([tone(200), tone(900)], RATE, labels=["kick", "hat"], notes=["x", "y"]))
    assert len(made.all("figure")) == len(made.all("audio")) == len(made.all("img")) == 2
    assert made.text["b"] == "kickhat"
    assert made.text["small"] == "xy"
    assert [button["aria-label"] for button in made.all("button")] == ["play kick", "play hat"]
    assert [player["aria-label"] for player in made.all("audio")] == ["kick", "hat"]


def test_pictures_can_be_left_out():
    made = page(Audition([tone()], RATE, labels=["kick"], pictures=False))
    assert made.all("img") == made.all("button") == []
    assert len(made.all("audio")) == 1


def test_labels_and_notes_are_text_whatever_they_hold():
    plain = page(Audition([tone()], RATE, labels=["label"], notes=["note"]))
    made = page(Audition([tone()], RATE, labels=[HOSTILE], notes=[HOSTILE]))
    assert [tag for tag, _ in made.elements] == [tag for tag, _ in plain.elements]
    assert [set(a) for _, a in made.elements] == [set(a) for _, a in plain.elements]
    assert made.text["b"] == made.text["small"] == HOSTILE
    assert made.all("figcaption")[0]["title"] == HOSTILE


def test_two_widgets_on_one_page_have_names_of_their_own():
    widget = Audition([tone()], RATE, labels=["kick"])
    names = {page(widget).all("div")[0]["id"] for _ in range(2)}
    assert len(names) == 2


def test_nothing_is_fetched_from_elsewhere():
    html = Audition([tone()], RATE, labels=["kick"])._repr_html_()
    assert re.findall(r"https?:|//cdn|@import|url\(", html) == []


@pytest.mark.parametrize("labels", [[], ["kick"], ["kick", "snare", "hat"]])
def test_sounds_and_labels_must_be_as_many(labels):
    with pytest.raises(ValueError, match=f"2 sounds and {len(labels)} labels"):
        Audition([tone(), tone()], RATE, labels=labels)


def test_sounds_and_notes_must_be_as_many():
    with pytest.raises(ValueError, match="2 sounds and 1 notes"):
        Audition([tone(), tone()], RATE, labels=["kick", "snare"], notes=["x"])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_sound_that_cannot_be_played_is_named(value):
    broken = tone()
    broken[7] = value
    with pytest.raises(ValueError, match=r"snare holds 1 values that are NaN .* at sample 7: exp"):
        Audition([tone(), broken], RATE, labels=["kick", "snare"])


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((), "has shape (): expected (samples,)"),
        ((0,), "is empty: expected at least one sample"),
        ((2, 100), "has shape (2, 100): expected (samples,)"),
    ],
)
def test_a_sound_of_the_wrong_shape_is_named(shape, told):
    with pytest.raises(ValueError, match=re.escape(f"snare {told}")):
        Audition([tone(), np.zeros(shape)], RATE, labels=["kick", "snare"])


def test_all_sounds_play_at_one_loudness_and_none_clips():
    levels = (1.0, 0.05, 3.0, 0.3)
    sounds = [tone(300 * (i + 1), level=level) for i, level in enumerate(levels)]
    played = embedded(Audition(sounds, RATE, labels=list("abcd")))
    loudness = [sound.loudness_db(audio) for audio in played]
    assert max(loudness) - min(loudness) < 0.1
    assert max(np.abs(audio).max() for audio in played) == pytest.approx(10 ** (-1 / 20), abs=1e-3)


def test_a_padded_hit_is_as_loud_as_a_long_tone():
    hit = np.concatenate([tone(level=0.9, seconds=0.064), np.zeros(RATE, np.float32)])
    one, other = embedded(compare(hit, tone(level=0.1), RATE))
    assert sound.loudness_db(one) == pytest.approx(sound.loudness_db(other), abs=0.3)


def test_levels_can_be_left_as_they_are():
    quiet, loud = embedded(
        Audition([tone(level=0.1), tone(level=0.8)], RATE, labels=["a", "b"], level_matched=False)
    )
    np.testing.assert_allclose(quiet, tone(level=0.1), atol=2**-15)
    np.testing.assert_allclose(loud, tone(level=0.8), atol=2**-15)


def test_sounds_above_full_scale_are_brought_down_together():
    sounds = [tone(level=0.5), tone(level=2.0)]
    quiet, loud = embedded(Audition(sounds, RATE, labels=["a", "b"], level_matched=False))
    np.testing.assert_allclose(quiet, sounds[0] / 2, atol=1e-3)
    np.testing.assert_allclose(loud, sounds[1] / 2, atol=1e-3)


@pytest.mark.filterwarnings("ignore:n_fft")
@pytest.mark.parametrize("samples", [1, 100, 50_000])
def test_a_picture_is_a_png_of_the_cards_size_whatever_the_sounds_length(samples):
    audio = np.full(samples, 0.5, np.float32)
    (picture,) = pictures(Audition([audio], RATE, labels=["a"]))
    assert (picture.format, picture.size, picture.mode) == ("PNG", (220, 112), "RGB")


def test_a_picture_shows_when_it_is_loud_and_at_what_pitch():
    sounds = [
        np.concatenate([np.zeros(RATE // 2, np.float32), tone(hertz)]) for hertz in (300, 2500)
    ]
    low, high = (np.asarray(p).astype(float) for p in pictures(Audition(sounds, RATE, labels="ab")))
    wave, spectrum = low[:40], low[40:].sum(axis=-1)
    ink = (wave < 250).any(axis=-1)
    assert ink[:, 150].sum() > 10 * ink[:, 50].sum()
    assert spectrum[:, 150].max() > 600
    assert spectrum[:, :90].max() < 30
    assert spectrum[:, 165].argmax() > high[40:].sum(axis=-1)[:, 165].argmax() + 30  # low is below


def test_silence_has_a_dark_picture_and_a_player():
    widget = Audition([np.zeros(4000, np.float32), tone()], RATE, labels=["silence", "tone"])
    silent, _ = pictures(widget)
    assert np.asarray(silent)[40:].max() < 30
    assert np.abs(embedded(widget)[0]).max() == 0


def test_sounds_of_a_dataset_come_under_their_labels_groups_and_lengths():
    drums = Dataset(
        name="drums", audio=np.stack([tone(200), tone(400), tone(900)]), sample_rate=RATE,
        labels=np.array(["kick", "tom", "hat"]), names=np.array(["1", "2", "3"]),
        groups=np.array(["tr808", "tr909", "linn"]), durations=np.array([0.5, 0.25, 1.005]),
        source="real",
    )  # fmt: skip
    widget = Audition.of(drums, [2, 0], pictures=False)
    assert widget.labels == ["hat", "kick"]
    assert widget.notes == ["1.00 s · linn · 3", "0.50 s · tr808 · 1"]
    assert page(widget).text["small"] == "1.00 s · linn · 30.50 s · tr808 · 1"


# What it does in a browser.


class Open:
    """A page with a widget in a browser, and what can be seen of its players."""

    def __init__(self, page, file: Path, html: str):
        file.write_text(f"<!doctype html><meta charset=utf-8><body>{html}", encoding="utf-8")
        self.page = page
        page.goto(file.as_uri())
        self.until("all.every(player => player.readyState === 4)")

    def ask(self, question: str):
        return self.page.evaluate(f"(all => {question})([...document.querySelectorAll('audio')])")

    def until(self, condition: str) -> None:
        self.page.wait_for_function(
            f"(all => {condition})([...document.querySelectorAll('audio')])", timeout=5000
        )

    def run_at(self, speed: float) -> Open:
        """Let time pass this fast; when slow, a busy machine does not blur where a click fell."""
        self.ask(f"all.forEach(player => player.playbackRate = {speed})")
        return self

    def settled(self) -> None:
        """The browser has told of all that was started and stopped."""
        self.page.evaluate("() => new Promise(done => setTimeout(done, 20))")

    def click_picture(self, which: int, share: float) -> None:
        picture = self.page.locator(".sv-picture").nth(which)
        box = picture.bounding_box()
        picture.click(position={"x": box["width"] * share, "y": box["height"] / 2})
        self.settled()

    def switch(self) -> None:
        self.page.locator(".sv-switch").click()
        self.settled()

    @property
    def playing(self) -> list[bool]:
        return self.ask("all.map(player => !player.paused)")

    @property
    def muted(self) -> list[bool]:
        return self.ask("all.map(player => player.muted)")

    @property
    def places(self) -> list[float]:
        return self.ask("all.map(player => player.currentTime)")

    @property
    def heard(self) -> list[str]:
        return self.page.locator(".sv-heard b").all_text_contents()

    @property
    def button(self) -> str:
        return self.page.locator(".sv-switch").text_content()


@pytest.fixture
def show(heeded, tmp_path):
    """Open a widget in the browser; a page that complains fails its test."""

    def opened(widget: Audition | str, frame: str = "{}") -> Open:
        html = widget if isinstance(widget, str) else widget._repr_html_()
        return Open(heeded, tmp_path / "page.html", frame.format(html))

    return opened


@pytest.fixture(scope="module")
def htmls() -> tuple[str, str]:
    """Three sounds of four seconds, and two under a switch; drawn once for all tests."""
    sounds = [tone(hertz, seconds=4) for hertz in (200, 400, 800)]
    widgets = (
        Audition(sounds, RATE, labels=["low", "middle", "high"]),
        compare(*sounds[:2], RATE),
    )
    return widgets[0]._repr_html_(), widgets[1]._repr_html_()


@pytest.fixture
def three(show, htmls) -> Open:
    return show(htmls[0]).run_at(SLOW)


@pytest.fixture
def pair(show, htmls) -> Open:
    return show(htmls[1]).run_at(SLOW)


def test_a_click_into_a_picture_plays_from_there(three):
    three.click_picture(1, 0.5)
    assert three.playing == [False, True, False]
    assert three.heard == ["middle"]
    assert 2.0 <= three.places[1] < 2.5


def test_a_click_pauses_what_played_before_and_leaves_it_where_it_was(three):
    three.click_picture(0, 0.25)
    three.click_picture(2, 0.75)
    assert three.playing == [False, False, True]
    assert three.heard == ["high"]
    assert 1.0 <= three.places[0] < 1.5
    assert 3.0 <= three.places[2] < 3.5
    assert three.muted == [False] * 3


def test_a_click_into_the_same_picture_goes_on_from_there(three):
    three.click_picture(0, 0.75)
    three.click_picture(0, 0.25)
    assert three.playing == [True, False, False]
    assert 1.0 <= three.places[0] < 1.5


def test_the_cursor_runs_along_and_is_gone_at_the_end(three):
    three.click_picture(0, 0.5)
    cursor = "getComputedStyle(document.querySelectorAll('.sv-cursor')[0])"
    assert three.ask(f"{cursor}.visibility") == "visible"
    assert 110 <= float(three.ask(f"{cursor}.left").removesuffix("px")) < 140
    three.ask("all[0].pause()")
    three.settled()
    assert three.ask(f"{cursor}.visibility") == "hidden"


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_the_keyboard_plays_from_the_start(three, key):
    three.ask("all[1].currentTime = 3")
    three.page.locator(".sv-picture").nth(1).focus()
    three.page.keyboard.press(key)
    three.settled()
    assert three.playing == [False, True, False]
    assert three.places[1] < 0.5


def test_pictures_and_switch_are_reached_with_the_tab_key(pair):
    names = []
    for _ in range(20):
        pair.page.keyboard.press("Tab")
        names.append(pair.ask("document.activeElement.className"))
    assert names.index("sv-picture") < names.index("sv-switch")
    assert pair.ask("document.querySelectorAll('[tabindex]').length") == 0


def test_players_started_by_their_own_controls_pause_the_others(three):
    three.click_picture(0, 0.1)
    three.ask("void all[2].play()")
    three.settled()
    assert three.playing == [False, False, True]
    assert three.heard == ["high"]


def test_the_switch_starts_both_and_one_is_heard(pair):
    assert (pair.button, pair.heard) == ("A/B", [])
    pair.switch()
    assert pair.playing == [True, True]
    assert pair.muted == [False, True]
    assert (pair.button, pair.heard) == ("A/B: original", ["original"])


def test_the_switch_changes_who_is_heard_and_keeps_the_place(pair):
    pair.run_at(1)
    pair.switch()
    for muted, name in [([True, False], "result"), ([False, True], "original")]:
        before = max(pair.places)
        pair.switch()
        assert pair.playing == [True, True]
        assert pair.muted == muted
        assert (pair.button, pair.heard) == (f"A/B: {name}", [name])
        first, second = pair.places
        assert abs(first - second) < 0.15
        assert before <= min(first, second) + 0.15


def test_the_switch_catches_up_with_a_player_that_was_moved(pair):
    pair.switch()
    pair.ask("all[0].currentTime = 3")
    pair.switch()
    first, second = pair.places
    assert abs(first - second) < 0.15
    assert 3.0 <= second < 3.5


def test_the_switch_goes_on_from_where_a_picture_was_clicked(pair):
    pair.click_picture(0, 0.5)
    assert pair.playing == [True, False]
    pair.switch()
    assert pair.muted == [True, False]
    assert pair.button == "A/B: result"
    assert 2.0 <= min(pair.places) <= max(pair.places) < 2.6


def test_a_picture_clicked_while_both_run_is_heard_alone(pair):
    pair.switch()
    pair.click_picture(1, 0.5)
    assert pair.playing == [False, True]
    assert pair.muted == [False, False]
    assert (pair.button, pair.heard) == ("A/B: result", ["result"])


def test_pausing_the_one_that_is_heard_stops_both_and_leaves_neither_muted(pair):
    pair.switch()
    pair.switch()
    pair.ask("all[1].pause()")
    pair.settled()
    assert pair.playing == [False, False]
    assert pair.muted == [False, False]
    assert (pair.button, pair.heard) == ("A/B", [])


def test_a_player_of_a_pair_started_by_its_own_controls_is_heard_alone(pair):
    pair.switch()
    pair.ask("all[1].pause()")
    pair.settled()
    assert pair.playing == [True, False]
    pair.ask("void all[1].play()")
    pair.settled()
    assert pair.playing == [False, True]
    assert pair.muted == [False, False]
    assert pair.heard == ["result"]


def test_after_both_have_ended_every_player_is_audible_again(show):
    opened = show(compare(tone(200, seconds=0.3), tone(400, seconds=0.3), RATE))
    opened.switch()
    assert opened.muted == [False, True]
    opened.until("all.every(player => player.ended)")
    opened.settled()
    assert opened.muted == [False, False]
    assert (opened.button, opened.heard) == ("A/B", [])
    opened.ask("void all[1].play()")
    opened.settled()
    assert (opened.playing, opened.muted, opened.heard) == (
        [False, True],
        [False, False],
        ["result"],
    )


def test_the_longer_of_two_can_be_switched_to_when_the_shorter_is_over(show):
    opened = show(compare(tone(200, seconds=0.3), tone(400, seconds=4), RATE))
    opened.switch()
    opened.until("all[0].ended")
    opened.settled()
    assert opened.playing == [False, True]
    opened.switch()
    assert opened.playing == [False, True]
    assert opened.muted[1] is False
    assert opened.heard == ["result"]
    assert opened.places[1] > 0.3


def test_clicks_in_quick_succession_end_with_the_last(pair):
    pair.ask(
        "{ const [a, b] = document.querySelectorAll('.sv-picture'),"
        " s = document.querySelector('.sv-switch');"
        " s.click(); a.click(); s.click(); b.click(); a.click(); }"
    )
    pair.settled()
    assert pair.playing == [True, False]
    assert pair.muted == [False, False]
    assert pair.heard == ["original"]


def test_a_hostile_label_adds_no_element(show):
    opened = show(compare(tone(), tone(), RATE, labels=[HOSTILE, "plain"]))
    opened.switch()
    assert opened.ask("'hacked' in window") is False
    assert opened.page.locator("#bold").count() == 0
    assert opened.page.locator("script").count() == 1
    assert opened.heard == [HOSTILE]
    assert opened.button == f"A/B: {HOSTILE}"


@pytest.mark.parametrize("theme", THEMES)
def test_text_can_be_read_on_a_light_and_on_a_dark_page(show, theme):
    background, colour = THEMES[theme]
    widget = compare(tone(seconds=4), tone(seconds=4), RATE)
    widget.notes = ["a note", "another"]
    frame = f'<div style="background:{background};color:{colour}">{{}}</div>'
    opened = show(widget, frame)
    opened.switch()
    for name in (".sv-heard figcaption", ".sv-card:not(.sv-heard) figcaption", "small", "button"):
        element = opened.page.locator(f"{name}:not(.sv-picture)").first
        style = element.evaluate("e => [getComputedStyle(e).color, getComputedStyle(e).opacity]")
        assert contrast(style[0], float(style[1]), background) >= 4.5, name  # WCAG 2.1, level AA


def test_long_labels_leave_the_cards_in_line(show):
    labels = ["short", "a label that is much too long for the card it stands on, by far"]
    opened = show(compare(tone(), tone(), RATE, labels=labels))
    boxes = [opened.page.locator(".sv-card").nth(i).bounding_box() for i in range(2)]
    assert boxes[0]["width"] == boxes[1]["width"] == 220
    assert (boxes[0]["y"], boxes[0]["height"]) == (boxes[1]["y"], boxes[1]["height"])
    before = opened.page.locator(".sv-switch").bounding_box()
    opened.switch()
    opened.switch()
    assert opened.page.locator(".sv-switch").bounding_box() == before


def contrast(colour: str, opacity: float, background: str) -> float:
    """WCAG's ratio of a text's luminance to that of what lies behind it."""
    red, green, blue, *alpha = (float(part) for part in re.findall(r"[\d.]+", colour))
    behind = [int(background[i : i + 2], 16) for i in (1, 3, 5)]
    share = opacity * (alpha[0] if alpha else 1.0)
    front = [share * f + (1 - share) * b for f, b in zip((red, green, blue), behind, strict=True)]
    lighter, darker = sorted((luminance(front), luminance(behind)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(rgb: list[float]) -> float:
    scaled = np.array(rgb) / 255
    linear = np.where(scaled <= 0.04045, scaled / 12.92, ((scaled + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
