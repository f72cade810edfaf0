"""The slider between two sounds: what is put into the page, and what it does in a real browser."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from conftest import LISTEN
from PIL import Image

from samplevae_lib import plots, widgets
from samplevae_lib.widgets import Morph
from samplevae_lib.widgets import page as embed

RATE = 16000
HOSTILE = "<script>window.hacked = 1</script><b id='bold'>\"&'{count}"
BROWSER: list[str] = []  # Chromium keeps its own rule that nothing sounds without a click
VIEWPORT = {"width": 800, "height": 700}
# JupyterLab's light and dark theme: background and colour of text.
THEMES = {"light": ("#ffffff", "rgba(0, 0, 0, 0.87)"), "dark": ("#111111", "rgb(230, 230, 230)")}


def cycles(*, count: int = 5, samples: int = 512, level: float = 1.0) -> np.ndarray:
    """From a cosine to its own negative, eight periods each: (count, samples).

    It begins, and at any multiple of 64 samples is, at its peak: no cut goes unheard.
    """
    cosine = np.cos(2 * np.pi * 8 * np.arange(samples) / samples)
    return level * np.linspace(1, -1, count)[:, None] * cosine


class Page(HTMLParser):
    """The elements of a page and its text outside scripts and styles."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.elements[-1][0] not in ("style", "script"):
            self.text += data

    def one(self, tag: str) -> dict[str, str]:
        (found,) = [attributes for name, attributes in self.elements if name == tag]
        return found

    @property
    def root(self) -> dict[str, str]:
        (found,) = [a for _, a in self.elements if a.get("class") == "sv-morph"]
        return found


def page(widget: Morph) -> Page:
    return Page(widget._repr_html_())


def embedded(widget: Morph) -> np.ndarray:
    """The steps as a browser gets them, (count, samples)."""
    root = page(widget).root
    values = np.frombuffer(base64.b64decode(root["data-samples"]), dtype="<i2")
    return values.reshape(int(root["data-count"]), -1) / 32767


# What is put into the page.


def test_it_is_where_notebooks_look_for_it():
    assert widgets.Morph is Morph
    assert "Morph" in widgets.__all__


def test_a_page_holds_the_sounds_and_all_that_is_needed_to_play_them():
    steps = np.random.default_rng(0).uniform(-1, 1, (7, 100))
    root = page(Morph(steps, 22050, labels=("a", "b"), repeat=3)).root
    np.testing.assert_allclose(embedded(Morph(steps, 22050)), steps, atol=1 / 32767)
    assert (float(root["data-rate"]), root["data-count"], root["data-repeat"]) == (22050, "7", "3")
    assert root["data-colours"].split() == list(plots.COLOURS[:3])


def test_41_cycles_of_512_samples_are_56_kilobytes():
    made = page(Morph(cycles(count=41), RATE))
    assert len(made.root["data-samples"]) == pytest.approx(56_000, abs=500)


def test_a_list_of_sounds_is_as_good_as_an_array():
    steps = cycles().astype(np.float32)
    np.testing.assert_array_equal(embedded(Morph(list(steps), RATE)), embedded(Morph(steps, RATE)))


def test_sounds_within_full_scale_keep_their_level():
    quiet = Morph(cycles(level=0.01), RATE)
    np.testing.assert_allclose(embedded(quiet), cycles(level=0.01), atol=1 / 32767)
    assert "of its level" not in page(quiet).text


def test_sounds_above_full_scale_are_brought_down_together_and_it_says_so():
    loud = Morph(np.stack([cycles()[0], 2 * cycles()[0], -4 * cycles()[0]]), RATE)
    np.testing.assert_allclose(embedded(loud)[0], cycles()[0] / 4, atol=1 / 32767)
    assert np.abs(embedded(loud)).max() == 1
    assert "drawn and played at 0.25 of its level" in page(loud).text


def test_what_it_was_given_is_left_as_it_was():
    steps = cycles(level=3)
    Morph(steps, RATE)
    np.testing.assert_array_equal(steps, cycles(level=3))


def test_slider_and_button_say_what_they_are_for():
    made = page(Morph(cycles(), RATE, labels=("sine", "sawtooth")))
    slider = made.one("input")
    assert (slider["type"], slider["min"], slider["max"], slider["step"]) == (
        "range",
        "1",
        "5",
        "1",
    )
    assert slider["aria-label"] == "step from sine to sawtooth"
    assert slider["data-lm-suppress-shortcuts"] == "true"  # or JupyterLab takes its arrow keys
    assert made.one("button")["aria-label"] == "play this step"
    assert made.one("canvas")["aria-label"].endswith("between sine and sawtooth")


def test_labels_are_text_whatever_they_hold():
    plain = page(Morph(cycles(), RATE, labels=("one", "other")))
    made = page(Morph(cycles(), RATE, labels=(HOSTILE, "other")))
    assert [tag for tag, _ in made.elements] == [tag for tag, _ in plain.elements]
    assert [set(a) for _, a in made.elements] == [set(a) for _, a in plain.elements]
    assert HOSTILE in made.text


def test_only_the_name_differs_from_one_time_to_the_next():
    widget = Morph(cycles(), RATE)
    first, second = widget._repr_html_(), widget._repr_html_()
    names = [re.search(r'id="(morph-\w+)"', html)[1] for html in (first, second)]
    assert names[0] != names[1]
    assert first.replace(names[0], names[1]) == second


def test_data_in_the_page_are_text_whatever_they_hold():
    root = Page(embed.embedded("morph", "", said=HOSTILE, count=3)).root
    assert (root["data-said"], root["data-count"]) == (HOSTILE, "3")


def test_nothing_is_fetched_from_elsewhere():
    html = Morph(cycles(), RATE)._repr_html_()
    assert re.findall(r"https?:|//cdn|@import|url\(", html) == []


@pytest.mark.parametrize("count", [0, 1])
def test_a_way_has_two_steps_or_more(count):
    with pytest.raises(ValueError, match=f"steps: {count}, but a way has 2 or more"):
        Morph(np.zeros((count, 512)), RATE)


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((), "has shape (): expected (samples,)"),
        ((0,), "is empty: expected at least one sample"),
        ((2, 100), "has shape (2, 100): expected (samples,)"),
    ],
)
def test_a_step_of_the_wrong_shape_is_named(shape, told):
    with pytest.raises(ValueError, match=re.escape(f"step 1 of 3 {told}")):
        Morph(np.zeros((3, *shape)), RATE)


def test_a_step_of_another_length_is_named():
    with pytest.raises(ValueError, match="step 2 of 3 has 99 samples and step 1 has 100"):
        Morph([np.zeros(100), np.zeros(99), np.zeros(100)], RATE)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_step_that_cannot_be_played_is_named(value):
    steps = cycles()
    steps[3, 7] = value
    with pytest.raises(ValueError, match=r"step 4 of 5 holds 1 values .* the first at sample 7"):
        Morph(steps, RATE)


@pytest.mark.parametrize("rate", [0, 7999, 96_001, float("nan")])
def test_a_rate_that_not_every_browser_plays_is_refused(rate):
    with pytest.raises(ValueError, match=f"sample_rate is {rate} Hz, .* 8000 to 96000 Hz"):
        Morph(cycles(), rate)


@pytest.mark.parametrize("labels", [(), ("one",), ("one", "two", "three"), "ab"])
def test_labels_are_two(labels):
    with pytest.raises(ValueError, match=re.escape(f"labels are {labels!r}: they must be two")):
        Morph(cycles(), RATE, labels=labels)


@pytest.mark.parametrize("repeat", [0, -1, 1.5])
def test_repeat_is_a_whole_number_from_one(repeat):
    with pytest.raises(ValueError, match=f"repeat is {repeat}: it must be a whole number"):
        Morph(cycles(), RATE, repeat=repeat)


# What it does in a browser.


class Open:
    """A page with widgets in a browser, and what can be seen and heard of one of them."""

    def __init__(self, page, which: int = 0):
        self.page, self.which = page, which
        self.root = page.locator(".sv-morph").nth(which)

    def ask(self, question: str):
        return self.root.evaluate(f"root => {question}")

    def move(self, step: int) -> None:
        self.ask(
            f"{{ const slider = root.querySelector('input'); slider.value = {step};"
            " slider.dispatchEvent(new Event('input', { bubbles: true })); }"
        )

    def press(self) -> None:
        self.root.locator("button").click()

    def until(self, condition: str) -> None:
        self.page.wait_for_function(
            f"root => {condition}", arg=self.root.element_handle(), timeout=5000
        )

    def let_sound(self, seconds: float) -> None:
        """Until so much more was played, as the sound counts it."""
        until = self.ask("contexts.at(-1).currentTime") + seconds
        self.until(f"contexts.at(-1).currentTime > {until}")

    @property
    def step(self) -> str:
        return self.ask("root.dataset.step")

    @property
    def playing(self) -> bool:
        return self.ask("root.dataset.playing") == "true"

    @property
    def text(self) -> str:
        return self.root.locator("output").text_content()

    @property
    def button(self) -> str:
        return self.root.locator("button").text_content()

    @property
    def contexts(self) -> list[str]:
        return self.ask("contexts.map(context => context.state)")

    @property
    def picture(self) -> np.ndarray:
        """The canvas' pixels, (height, width, 3)."""
        url = self.ask("root.querySelector('canvas').toDataURL()")
        image = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
        return np.asarray(image.convert("RGB")).astype(int)

    @property
    def played(self) -> np.ndarray:
        """The last 32768 samples that went to the loudspeaker."""
        values = self.ask(
            "{ const all = new Float32Array(32768), { played } = contexts.at(-1);"
            " played.getFloatTimeDomainData(all); const bytes = new Uint8Array(all.buffer);"
            " return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), '')); }"
        )
        return np.frombuffer(base64.b64decode(values), dtype="<f4")


@pytest.fixture
def show(heeded, tmp_path: Path):
    """Open widgets in the browser; a page that complains fails its test."""

    def opened(*shown: Morph, frame: str = "{}") -> Open:
        html = frame.format("".join(widget._repr_html_() for widget in shown))
        file = tmp_path / "page.html"
        file.write_text(
            f"<!doctype html><meta charset=utf-8><body><script>{LISTEN}</script>{html}", "utf-8"
        )
        heeded.goto(file.as_uri())
        return Open(heeded)

    return opened


@pytest.fixture
def tone(show) -> Open:
    return show(Morph(cycles(), RATE, labels=("cosine", "negative")))


def ink(picture: np.ndarray, colour: str) -> np.ndarray:
    """Where a colour was drawn on the white, in full or at an edge, (height, width)."""
    wanted = 255 - np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    taken = 255 - picture
    strength = np.linalg.norm(taken, axis=-1)
    alike = taken @ wanted > 0.99 * strength * np.linalg.norm(wanted)
    return alike & (strength > 40)


def jumps(played: np.ndarray) -> float:
    """The largest difference of one sample to the next."""
    return float(np.abs(np.diff(played)).max())


def test_it_begins_at_the_first_step_and_is_silent(tone):
    assert (tone.step, tone.playing, tone.button) == ("1", False, "▶ play")
    assert tone.text == "step 1 of 5 · 0 % of the way"
    assert tone.contexts == []


def test_moving_the_slider_changes_the_picture_and_the_text(tone):
    before = tone.picture
    tone.move(4)
    assert (tone.step, tone.text) == ("4", "step 4 of 5 · 75 % of the way")
    assert tone.ask("root.querySelector('input').ariaValueText") == tone.text
    assert (tone.picture != before).any()
    assert (tone.playing, tone.contexts) == (False, [])


def test_the_arrow_keys_move_the_slider(tone):
    tone.root.locator("input").focus()
    for key, step in [("ArrowRight", "2"), ("ArrowUp", "3"), ("ArrowLeft", "2"), ("End", "5")]:
        tone.page.keyboard.press(key)
        assert tone.step == step
    assert tone.text == "step 5 of 5 · 100 % of the way"


def test_the_picture_shows_the_step_over_both_ends_at_their_levels(show):
    opened = show(Morph(np.linspace(0.9, -0.9, 7)[:, None] * np.ones(100), RATE))
    opened.move(3)  # a flat line at 0.3, between 0.9 and -0.9
    drawn = opened.picture
    heights = [np.nonzero(ink(drawn, c).sum(axis=1) > 300)[0].mean() for c in plots.COLOURS[:3]]
    step, first, last = heights
    assert (step - first) / (last - first) == pytest.approx(1 / 3, abs=0.02)


def test_a_long_sound_is_drawn_with_its_extremes(show):
    steps = np.zeros((2, 50_000))
    steps[0, 25_000], steps[0, 40_000] = 1, -1  # single samples among very many
    opened = show(Morph(steps, RATE, repeat=1))
    rows = np.nonzero(ink(opened.picture, plots.COLOURS[0]).any(axis=1))[0]
    assert rows.max() - rows.min() == pytest.approx(174 * 2 / 2.1, abs=12)


def test_the_picture_is_crisp_and_as_wide_as_the_page_allows(tone):
    fine = tone.page.context.browser.new_page(
        viewport={"width": 400, "height": 600}, device_scale_factor=2
    )
    fine.goto(tone.page.url)
    shown = Open(fine).ask("(c => [c.width, c.height, c.clientWidth])(root.firstElementChild)")
    fine.close()
    assert shown == [2 * 384, 2 * 220, 384]
    assert tone.picture.shape == (220, 640, 3)


def test_play_sounds_and_stop_stops(tone):
    tone.press()
    assert (tone.playing, tone.button) == (True, "■ stop")
    tone.let_sound(0.2)
    assert tone.contexts == ["running"]
    assert np.abs(tone.played).max() == pytest.approx(0.3, abs=0.01)
    tone.press()
    assert (tone.playing, tone.button) == (False, "▶ play")
    tone.until("contexts[0].state === 'suspended'")
    assert np.abs(tone.played[-100:]).max() < 1e-3


def test_a_tone_goes_on_for_longer_than_its_repeats(show):
    opened = show(Morph(cycles(), RATE, repeat=2))  # 64 ms in a row
    opened.press()
    opened.let_sound(0.25)
    assert opened.playing
    assert np.abs(opened.played[-500:]).max() == pytest.approx(0.3, abs=0.01)


def test_moving_the_slider_while_it_plays_changes_what_is_heard(tone):
    tone.press()
    tone.let_sound(0.1)
    tone.move(2)  # half the level of step 1
    tone.let_sound(0.2)
    assert (tone.playing, tone.step) == (True, "2")
    assert np.abs(tone.played[-500:]).max() == pytest.approx(0.15, abs=0.01)
    tone.move(3)  # silence
    tone.let_sound(0.2)
    assert tone.playing
    assert np.abs(tone.played[-500:]).max() < 1e-3


def test_nothing_clicks_at_the_start_at_a_change_or_at_the_stop(tone):
    tone.press()
    for step in (5, 1, 4):  # to the negative and back: without a fade, a jump of up to 0.6
        tone.let_sound(0.11)
        tone.move(step)
    tone.let_sound(0.1)
    tone.press()
    tone.until("contexts[0].state === 'suspended'")
    played = tone.played
    assert np.abs(played).max() > 0.25
    slope = 0.3 * 2 * np.pi * 8 / 512  # of the tone itself
    assert jumps(played) < slope + 2 * 0.3 / (0.005 * RATE)


def test_a_drag_through_all_steps_leaves_the_last_alone_playing(tone):
    tone.press()
    tone.let_sound(0.1)
    for step in [2, 3, 4, 5, 4, 3, 2, 1, 2] * 3:
        tone.move(step)
    tone.let_sound(0.2)
    assert (tone.playing, tone.step) == (True, "2")
    assert np.abs(tone.played[-500:]).max() == pytest.approx(0.15, abs=0.01)
    assert np.abs(tone.played).max() < 0.31


def test_stop_and_play_in_quick_succession_end_with_the_last(tone):
    tone.ask("{ const b = root.querySelector('button'); for (let i = 0; i < 5; i++) b.click(); }")
    assert tone.playing
    tone.press()
    tone.press()
    tone.let_sound(0.3)
    assert (tone.playing, tone.contexts) == (True, ["running"])
    assert np.abs(tone.played[-500:]).max() == pytest.approx(0.3, abs=0.01)


def test_a_recording_plays_once_as_loud_as_it_is_and_stops_by_itself(show):
    steps = np.stack([np.full(4000, 0.8), np.full(4000, 0.4)])
    opened = show(Morph(steps, RATE, repeat=1))
    opened.press()
    assert opened.playing
    opened.until("root.dataset.playing === 'false'")
    assert opened.button == "▶ play"
    heard = opened.played[opened.played != 0]
    np.testing.assert_allclose(heard, 0.8, atol=1e-3)
    assert len(heard) == pytest.approx(4000, abs=1)
    opened.press()
    assert opened.playing


def test_a_recording_goes_on_where_it_was_when_the_slider_moves(show):
    steps = np.stack([np.full(6400, 0.8), np.full(6400, 0.4)])
    opened = show(Morph(steps, RATE, repeat=1))
    opened.press()
    opened.let_sound(0.15)
    opened.move(2)
    opened.until("root.dataset.playing === 'false'")
    heard = opened.played[opened.played != 0]
    assert len(heard) == pytest.approx(6400, abs=2)
    assert heard[0] == pytest.approx(0.8, abs=1e-3)
    assert heard[-1] == pytest.approx(0.4, abs=1e-3)
    assert jumps(heard) < 0.01


def test_two_on_a_page_leave_each_other_alone(show):
    one = show(Morph(cycles(), RATE), Morph(cycles(count=9), 8000, repeat=8))
    other = Open(one.page, 1)
    before = other.picture
    one.move(3)
    one.press()
    assert (other.step, other.playing, other.text[:11]) == ("1", False, "step 1 of 9")
    assert (other.picture == before).all()
    other.press()
    one.press()
    other.let_sound(0.1)
    assert (one.playing, other.playing) == (False, True)
    assert one.ask("contexts.map(context => context.sampleRate)") == [RATE, 8000]


def test_it_starts_where_jupyterlab_puts_it_and_in_a_second_view(tone):
    """JupyterLab fills an element outside the page, then renews the scripts in it."""
    html = Morph(cycles(), RATE)._repr_html_()
    tone.page.evaluate(
        """html => [0, 1].forEach(() => {
          const host = document.createElement("div");
          host.innerHTML = html;
          host.querySelectorAll("script").forEach(old => {
            const script = document.createElement("script");
            script.textContent = old.textContent;
            old.replaceWith(script);
          });
          document.body.append(host);
        })""",
        html,
    )
    views = [Open(tone.page, 1), Open(tone.page, 2)]
    assert views[0].ask("root.id") == views[1].ask("root.id") != tone.ask("root.id")
    views[1].move(4)
    assert [view.step for view in (tone, *views)] == ["1", "1", "4"]
    views[0].press()
    assert [view.playing for view in (tone, *views)] == [False, True, False]
    assert tone.contexts == ["running"]  # started once, though both views' scripts found it
    assert ink(views[1].picture, plots.COLOURS[0]).any()


def test_it_falls_silent_when_it_is_taken_off_the_page(tone):
    tone.press()
    tone.let_sound(0.1)
    tone.ask("root.remove()")
    tone.page.wait_for_function("contexts[0].state === 'suspended'", timeout=5000)


def test_a_hostile_label_adds_no_element(show):
    opened = show(Morph(cycles(), RATE, labels=(HOSTILE, "plain")), frame="<div>{}</div>")
    assert opened.ask("'hacked' in window") is False
    assert opened.page.locator("#bold").count() == 0
    assert opened.page.locator(".sv-end").first.text_content() == HOSTILE


@pytest.mark.parametrize("theme", THEMES)
def test_text_has_the_pages_colour_and_the_drawing_its_own_white(show, theme):
    background, colour = THEMES[theme]
    frame = f'<div style="background:{background};color:{colour}">{{}}</div>'
    opened = show(Morph(cycles(), RATE), frame=frame)
    for name in (".sv-end", "output", "button"):
        element = opened.root.locator(name).first
        assert element.evaluate("e => getComputedStyle(e).color") == colour, name
    assert (opened.picture[0] == 255).all()


def test_long_labels_leave_room_for_the_slider(show):
    opened = show(Morph(cycles(), RATE, labels=("a label that is much too long " * 5, "b" * 200)))
    assert opened.root.bounding_box()["width"] == 640
    assert opened.root.locator("input").bounding_box()["width"] > 200
