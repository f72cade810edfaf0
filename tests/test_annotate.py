"""Labels by ear on a map: what is put into the page, how they spread, and a session by keyboard."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array

from samplevae_lib import widgets
from samplevae_lib.widgets import Annotate
from samplevae_lib.widgets.annotate import _edges, replay

RATE = 16000
CLASSES = ["kick", "snare", "hat"]
HOSTILE = "<script>window.hacked = 1</script><b id='bold'>\"&',\r\n{count}"
BROWSER: list[str] = []  # Chromium keeps its own rule that nothing sounds before a key or click
VIEWPORT = {"width": 900, "height": 700}


def sounds(count: int) -> list[np.ndarray]:
    """Tones of a quarter of a second, each of its own pitch, padded with silence."""
    time = np.arange(RATE // 4) / RATE
    return [
        np.pad(0.3 * np.sin(2 * np.pi * (200 + 20 * i) * time), (0, RATE)) for i in range(count)
    ]


def library(count: int = 30, **options) -> Annotate:
    """Three heaps of points, and a classifier that has some idea of them."""
    rng = np.random.default_rng(0)
    kind = np.arange(count) % 3
    points = rng.normal(size=(count, 2)) + 3 * np.stack([kind, kind == 1], axis=1)
    some_idea = rng.dirichlet(np.ones(3), count) + 0.5 * np.eye(3)[kind]
    given = {
        "names": [f"{i}.wav" for i in range(count)],
        "classes": CLASSES,
        "probabilities": some_idea / 1.5,
    }
    return Annotate(points, sounds(count), RATE, **given | options)


class Page(HTMLParser):
    """The elements of a page, and what its script reads."""

    def __init__(self, widget: Annotate):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.feed(widget._repr_html_())
        (self.root,) = [a for _, a in self.elements if a.get("class") == "sv-annotate"]
        self.content = json.loads(self.root["data-all"])

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))


# What is put into the page.


def test_it_is_where_notebooks_look_for_it():
    assert widgets.Annotate is Annotate
    assert "Annotate" in widgets.__all__


def test_the_page_holds_each_sound_as_a_small_mp3_without_its_padding():
    for i, address in enumerate(Page(library(3)).content["sounds"]):
        kind, _, content = address.partition(",")
        assert kind == "data:audio/mpeg;base64"
        assert len(address) < 6000
        clip, rate = sf.read(io.BytesIO(base64.b64decode(content)))
        assert (rate, len(clip)) == (RATE, RATE // 4)
        assert np.abs(np.fft.rfft(clip)).argmax() == pytest.approx((200 + 20 * i) / 4, abs=1)
        assert np.abs(clip).max() == pytest.approx(10 ** (-1 / 20), abs=0.1)


def test_a_rate_that_mp3_does_not_have_comes_as_wav():
    widget = Annotate(np.eye(2), sounds(2), 20_000, names="ab", classes=CLASSES)
    assert Page(widget).content["sounds"][0].startswith("data:audio/wav;base64,")


def test_a_waveform_is_drawn_from_its_peaks():
    falling = np.linspace(1, 0, 9600) * np.where(np.arange(9600) % 2, 1, -1)
    widget = Annotate(np.eye(2), [falling, falling], RATE, names="ab", classes=CLASSES)
    heights = [int(peak, 36) for peak in Page(widget).content["waves"][0]]
    np.testing.assert_allclose(heights, 35 * np.linspace(1, 1 / 96, 96), atol=1)


def test_names_and_classes_are_text_whatever_they_hold():
    plain = Page(library(2))
    made = Page(library(2, names=[HOSTILE, "b"], classes=[HOSTILE, "snare", "hat"]))
    assert [tag for tag, _ in made.elements] == [tag for tag, _ in plain.elements]
    assert [set(a) for _, a in made.elements] == [set(a) for _, a in plain.elements]
    assert made.content["names"][0] == made.content["classes"][0] == HOSTILE


def test_nothing_is_fetched_from_elsewhere_and_jupyterlab_leaves_the_keys_alone():
    html = library(2)._repr_html_()
    assert re.findall(r"https?:|//cdn|@import|url\(", html) == []
    assert Page(library(2)).root["data-lm-suppress-shortcuts"] == "true"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"names": ["a"]}, "3 sounds and 1 names: they must be as many"),
        ({"labels": ["kick"]}, "1 labels and 3 names: they must be as many"),
        ({"names": ["a", "b", "a"]}, "names: 'a' is there 2 times; all must differ"),
        ({"classes": ["kick", "kick"]}, "classes: 'kick' is there 2 times"),
        ({"classes": list("0123456789")}, "10 classes: expected 2 to 9"),
        ({"classes": ["kick"]}, "1 classes: expected 2 to 9"),
        ({"labels": ["kick", None, "tom"]}, "label 'tom' is no class; there are kick, snare, hat"),
        ({"probabilities": np.ones((3, 2))}, "probabilities of shape (3, 2): expected (3, 3)"),
        ({"probabilities": np.ones((3, 3))}, "probabilities[0] is [1. 1. 1.]: expected shares"),
        ({"neighbours": 0}, "neighbours is 0: expected 1 or more"),
        ({"log": [{"do": "skip", "sound": "x"}]}, "log entry 1: sound 'x' is none of those given"),
    ],
)
def test_what_does_not_fit_is_named(options, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        library(3, **options)


@pytest.mark.parametrize(
    ("sound", "told"),
    [
        (np.zeros(100), "b is silent: nobody can label it by ear"),
        (np.full(100, np.nan), "b holds 100 values that are NaN"),
        (np.zeros((2, 100)), "b has shape (2, 100): expected (samples,)"),
    ],
)
def test_a_sound_that_cannot_be_heard_is_named(sound, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        Annotate(np.eye(2), [np.ones(100), sound], RATE, names="ab", classes=CLASSES)


@pytest.mark.parametrize("points", [np.eye(3), np.full((2, 2), np.nan)])
def test_points_that_are_no_map_are_refused(points):
    with pytest.raises(ValueError, match=re.escape(f"points of shape {points.shape}: exp")):
        Annotate(points, sounds(2), RATE, names="ab", classes=CLASSES)


def test_one_sound_is_no_map():
    with pytest.raises(ValueError, match="1 sounds: a map has 2 or more"):
        Annotate(np.zeros((1, 2)), sounds(1), RATE, names="a", classes=CLASSES)


# The log.

KICK, HAT = ({"do": "label", "sound": "b", "class": name} for name in ("kick", "hat"))
SKIP, UNDO = {"do": "skip", "sound": "a"}, {"do": "undo"}


@pytest.mark.parametrize(
    ("log", "label"),
    [
        ([], ""),
        ([KICK], "kick"),
        ([KICK, HAT], "hat"),
        ([KICK, HAT, UNDO], "kick"),
        ([KICK, UNDO, HAT], "hat"),
        ([KICK, SKIP, UNDO], "kick"),
        ([KICK, SKIP, UNDO, UNDO], ""),
    ],
)
def test_a_log_leads_to_labels(log, label):
    assert replay(log, ["a", "b"], CLASSES) == ["", label]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([KICK, HAT, SKIP])), st.lists(st.sampled_from([KICK, HAT, SKIP])))
def test_as_many_undos_as_entries_take_all_of_them_back(before, after):
    undone = before + after + [UNDO] * len(after)
    assert replay(undone, ["a", "b"], CLASSES) == replay(before, ["a", "b"], CLASSES)


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ([KICK, {"do": "label", "sound": "c", "class": "hat"}], "log entry 2: sound 'c' is none"),
        ([{"do": "label", "sound": "a", "class": "tom"}], "log entry 1: class 'tom' is none"),
        ([{"do": "label", "sound": "a"}], "log entry 1: class None is none"),
        ([KICK, UNDO, UNDO], "log entry 3: undo, but there is nothing left to take back"),
        ([{"do": "sing"}], "log entry 1: \"do\" is 'sing', expected label, skip or undo"),
    ],
)
def test_an_entry_that_cannot_be_is_named(log, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        replay(log, ["a", "b"], CLASSES)


# How labels spread.


def matrix(points: np.ndarray, neighbours: int = 8) -> np.ndarray:
    """The graph, (n, n), from its upper triangle."""
    ends, weights = _edges(points, neighbours)
    upper = coo_array((weights, tuple(ends)), shape=(len(points),) * 2).toarray()
    assert (np.tril(upper) == 0).all()
    return upper + upper.T


def test_two_points_are_all_that_each_of_them_has():
    np.testing.assert_allclose(matrix(np.array([[0, 0], [3, 4]])), [[0, 1], [1, 0]])


def test_three_points_in_a_row_are_as_worked_out_by_hand():
    near, far = np.exp(-1), np.exp(-4 / 4)  # 0-1: one apart, the nearest of both; 1-2: two apart
    degree = np.array([2 * near, 2 * near + far, far])
    graph = matrix(np.array([[0, 0], [1, 0], [3, 0]]), neighbours=1)
    expected = np.array([[0, 2 * near, 0], [2 * near, 0, far], [0, far, 0]])
    np.testing.assert_allclose(graph, expected / np.sqrt(np.outer(degree, degree)))


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 40), st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_a_graph_is_normalised_whatever_the_points(count, neighbours, seed):
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 4, (count, 2)) * 10.0 ** rng.integers(-3, 4)  # many on one spot
    values = np.linalg.eigvalsh(matrix(points, neighbours))
    assert values.max() == pytest.approx(1)
    assert values.min() >= -1 - 1e-9


def spread(widget: Annotate, labels: list[int]) -> np.ndarray:
    """What the map should believe: the iteration of Zhou et al., each row as shares."""
    count, labels = len(widget.names), np.array(labels)
    upper = coo_array((widget.weights, tuple(widget.ends)), shape=(count, count)).toarray()
    known = np.eye(len(widget.classes))[labels]  # of no use where there is none
    start = np.where(labels[:, None] < 0, 0.2 * widget.probabilities, known)
    belief = start
    for _ in range(20):
        belief = 0.8 * (upper + upper.T) @ belief + 0.2 * start
    shares = belief / belief.sum(axis=1, keepdims=True)
    return np.where(labels[:, None] < 0, shares, known)


def least_sure(shares: np.ndarray, labels: list[int]) -> int:
    low, high = np.sort(shares, axis=1)[:, -2:].T
    return int(np.where(np.array(labels) < 0, high - low, np.inf).argmin())


# What it does in a browser.


class Open:
    """A page with widgets in a browser, and what can be seen of one of them."""

    def __init__(self, page, which: int = 0):
        self.page, self.root = page, page.locator(".sv-annotate").nth(which)

    def ask(self, question: str):
        return self.root.evaluate(f"root => {question}")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def start(self) -> Open:
        """Reach the widget as a keyboard does."""
        while not self.ask("root === document.activeElement"):
            self.press("Tab")
        return self

    def click(self, sound: int) -> None:
        x, y = self.ask(f"JSON.parse(root.dataset.all).points[{sound}]")
        points = self.root.locator(".sv-points")
        points.scroll_into_view_if_needed()
        box = points.bounding_box()
        side = box["width"] - 28
        self.page.mouse.click(box["x"] + 14 + x * side, box["y"] + 14 + (1 - y) * side)

    def saved(self, key: str) -> tuple[str, str]:
        """The name and the text of the file that a key leads to."""
        with self.page.expect_download() as waiting:
            self.press(key)
        return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes().decode()

    def state(self, key: str):
        return self.ask(f"root.state.{key}")

    def text(self, part: str) -> str:
        return self.root.locator(part).first.text_content()

    @property
    def playing(self) -> list:
        """Whether a sound plays, and which of them."""
        return self.ask(
            "(a => [!a.paused, JSON.parse(root.dataset.all).sounds.indexOf(a.src)])"
            "(root.querySelector('audio'))"
        )


@pytest.fixture
def show(heeded, tmp_path: Path):
    """Open widgets in the browser; a page that complains fails its test."""

    def opened(*shown: Annotate) -> Open:
        html = "".join(widget._repr_html_() for widget in shown)
        (tmp_path / "page.html").write_text(f"<!doctype html><meta charset=utf-8>{html}", "utf-8")
        heeded.goto((tmp_path / "page.html").as_uri())
        return Open(heeded)

    return opened


def test_it_begins_with_the_least_sure_and_is_silent(show):
    widget = library()
    opened = show(widget)
    nothing = [-1] * 30
    first = least_sure(spread(widget, nothing), nothing)
    assert (opened.state("current"), opened.text("b")) == (first, f"{first}.wav")
    assert opened.playing == [False, -1]
    assert opened.text(".sv-counts").startswith("0 of 30 labelled · mean certainty ")


def test_a_session_by_keyboard_labels_spreads_and_plays(show):
    widget = library()
    opened, labels = show(widget).start(), [-1] * 30
    for key in "12312":
        now = opened.state("current")
        assert now == least_sure(spread(widget, labels), labels)
        labels[now] = int(key) - 1
        opened.press(key)
        assert opened.state("labels") == labels
        np.testing.assert_allclose(opened.state("shares"), spread(widget, labels), atol=2e-4)
        assert opened.playing == [True, opened.state("current")]
    assert opened.text(".sv-counts").startswith("5 of 30 labelled")
    now = opened.state("current")
    row = np.array(opened.state("shares")[now])
    believed = [f"{round(100 * row[c])} % {CLASSES[c]}" for c in np.argsort(-row)]
    assert opened.root.locator(".sv-belief div").all_text_contents() == believed
    assert re.fullmatch(rf"snare: \d+\.wav\. Now: {now}\.wav", opened.text("output"))


@pytest.mark.parametrize("key", ["u", "Backspace", "Control+z"])
def test_undo_takes_back_labels_and_skips_one_by_one(show, key):
    opened, seen = show(library()).start(), []
    for act in ("1", "s", "3"):
        seen.append([opened.state("current"), opened.state("labels"), opened.state("shares")])
        opened.press(act)
    for before in reversed(seen):
        opened.press(key)
        assert [opened.state(part) for part in ("current", "labels", "shares")] == before
        assert opened.playing == [True, before[0]]
    opened.press(key)
    assert opened.text("output") == "There is nothing to undo."
    assert len(opened.state("log")) == 6


def test_the_log_leads_to_the_same_state_in_a_new_page_and_the_same_labels_in_python(show):
    opened = show(library()).start()
    for keys in ("12s3ArrowRight2u1", "uu"):
        opened.press(*re.findall("ArrowRight|.", keys))
        name, text = opened.saved("l")
        assert name == "log.json"
        log = json.loads(text)
        assert log == opened.state("log")
        state = opened.state("labels"), opened.state("shares"), opened.state("current")
        again = library(log=log)
        heard = [CLASSES[label] if label >= 0 else "" for label in state[0]]
        assert replay(log, again.names, again.classes) == heard
        opened = show(again).start()
        assert (opened.state("labels"), opened.state("shares"), opened.state("current")) == state
        assert opened.saved("l")[1] == text


def test_labels_come_as_csv_with_who_gave_them_and_quotes_where_needed(show):
    names = [HOSTILE, 'say "ah", again', "plain.wav", "ünï.wav"]
    widget = library(4, names=names, labels=["", "", "", "hat"])
    opened = show(widget).start()
    now = opened.state("current")
    opened.press("1")
    name, text = opened.saved("e")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert (name, rows[0]) == ("labels.csv", ["file", "class", "by", "certainty"])
    assert [row[0] for row in rows[1:]] == names
    labels = [0 if i == now else -1 for i in range(3)] + [2]
    shares = spread(widget, labels)
    assert [row[1] for row in rows[1:]] == [CLASSES[c] for c in shares.argmax(axis=1)]
    assert [row[2] for row in rows[1:]] == ["ear" if i == now else "map" for i in range(3)] + [
        "given"
    ]
    np.testing.assert_allclose([float(row[3]) for row in rows[1:]], shares.max(axis=1), atol=2e-4)
    assert text.endswith("\r\n")


def test_a_click_on_a_point_makes_it_the_one_at_hand_and_plays_it(show):
    opened = show(library())
    for sound in (7, 21):
        opened.click(sound)
        assert (opened.state("current"), opened.text("b")) == (sound, f"{sound}.wav")
        assert opened.playing == [True, sound]
    opened.press("2")  # the click has put the keyboard there
    assert opened.state("labels")[21] == 1
    assert opened.state("log") == [{"do": "label", "sound": "21.wav", "class": "snare"}]
    box = opened.root.locator(".sv-points").bounding_box()
    before = opened.state("current")
    opened.page.mouse.click(box["x"] + 2, box["y"] + 2)  # far from any
    assert opened.state("current") == before


def test_what_is_skipped_comes_again_when_all_others_are_labelled(show):
    opened = show(library(3)).start()
    skipped = opened.state("current")
    opened.press("s", "1")
    assert opened.state("current") != skipped
    opened.press("2")
    assert opened.state("current") == skipped
    opened.press("s")
    assert opened.state("current") == skipped
    opened.press("3")
    assert (opened.state("current"), opened.text("b")) == (-1, "All sounds are labelled.")
    before = opened.state("log")
    opened.press("1", "s", "p")  # there is nothing that they could mean
    assert opened.state("log") == before
    opened.press("u")
    assert opened.state("current") == skipped


def test_keys_act_only_inside_and_only_as_they_are(show):
    opened = show(library())
    opened.press("1", "s")
    assert opened.state("log") == []
    opened.start().press("Control+s", "Alt+1", "9", "x", "Shift")
    assert opened.state("log") == []
    opened.page.keyboard.down("1")
    opened.page.keyboard.down("1")  # held down
    opened.page.keyboard.up("1")
    assert len(opened.state("log")) == 1


def test_digits_that_need_a_shift_are_known_by_their_place(show):
    opened = show(library())
    opened.ask("root.dispatchEvent(new KeyboardEvent('keydown', {key: 'é', code: 'Digit2'}))")
    assert [entry["class"] for entry in opened.state("log")] == ["snare"]


def test_buttons_do_what_their_keys_do_and_a_space_after_a_click_plays(show):
    opened = show(library())
    button = opened.root.get_by_role("button", name="2 snare")
    assert button.get_attribute("aria-keyshortcuts") == "2"
    button.click()
    opened.press("Space")
    assert len(opened.state("log")) == 1
    button.focus()
    opened.press("Space", "Enter")
    assert [entry["class"] for entry in opened.state("log")] == ["snare"] * 3
    opened.root.get_by_role("button", name="u undo").click()
    assert opened.state("log")[-1] == UNDO


def test_leaving_with_labels_that_are_in_no_file_is_warned_of(show):
    opened = show(library()).start()
    leave = "window.dispatchEvent(new Event('beforeunload', {cancelable: true}))"
    assert opened.ask(leave)
    opened.press("1")
    assert not opened.ask(leave)
    opened.saved("l")
    assert opened.ask(leave)
    opened.press("u")
    assert not opened.ask(leave)
    opened.saved("e")


def test_two_on_a_page_leave_each_other_alone(show):
    one = show(library(9), library(12)).start()
    other = Open(one.page, 1)
    one.press("1", "2")
    assert (len(one.state("log")), other.state("log")) == (2, [])
    other.click(5)
    one.press("3")
    assert len(one.state("log")) == 2
    assert [entry["sound"] for entry in other.state("log")] == ["5.wav"]


def test_hostile_names_are_shown_as_they_are(show):
    in_html = HOSTILE.replace("\r", "")  # which has no other ends of lines
    opened = show(library(2, names=[HOSTILE, "b"], classes=[in_html, "snare", "hat"]))
    opened.click(0)
    opened.press("1")
    assert opened.ask("'hacked' in window") is False
    assert opened.page.locator("#bold").count() == 0
    assert HOSTILE in opened.text("output")
    assert opened.text(".sv-keys button") == f"1 {in_html}"


def test_it_fits_a_narrow_page(show):
    opened = show(library(5, names=[f"folder/{'long' * 40}{i}.wav" for i in range(5)]))
    opened.page.set_viewport_size({"width": 390, "height": 800})
    try:
        assert opened.ask("document.documentElement.scrollWidth") == 390
        opened.click(4)
        assert opened.state("current") == 4
    finally:
        opened.page.set_viewport_size(VIEWPORT)


def test_a_library_of_two_thousand_sounds_answers_at_once(show):
    rng = np.random.default_rng(0)
    points, tick = rng.normal(size=(2000, 2)), np.ones(1)
    names, classes = [str(i) for i in range(2000)], [str(i) for i in range(9)]
    opened = show(Annotate(points, [tick] * 2000, 20_000, names=names, classes=classes))
    took = opened.ask(
        "[1, 2, 3, 4, 5].map(() => { const start = performance.now();"
        " root.querySelector('button').click(); return performance.now() - start; })"
    )
    assert min(took) < 100  # milliseconds
