"""A sample library labelled by ear on a map, which spreads each label to what lies near it.

Assisted annotation after Moussa, section 8.1. Plain HTML with a page of script: it works in
JupyterLab, in an exported page and offline, and hands out labels and log as files.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise

import numpy as np
from soundfile import LibsndfileError

from samplevae_lib import audio, plots
from samplevae_lib.propagation import ties
from samplevae_lib.widgets import page

_COLOURS = (*plots.COLOURS, "#999999")  # one for each class, of which there are as many as keys
# How labels spread: what share a sound takes from its neighbours in each of so many rounds, and
# how much the classifier's word counts where there is no label, which counts 1.
_SPREADING = {"alpha": 0.8, "trust": 0.2, "rounds": 20}
_COLUMNS, _HEIGHTS = 96, "0123456789abcdefghijklmnopqrstuvwxyz"  # of a waveform's picture
_DEEDS = {"p": "▶ play", "s": "skip", "u": "undo", "e": "save labels", "l": "save log"}
_DESK = """
<div class="sv-half"><canvas class="sv-points" role="img"
 aria-label="map of {count} sounds: click one to hear it"></canvas>
<small>Colour: most probable class, fainter where less certain. Thin ring: labelled. Thick ring: the
 sound at hand. A click chooses another.</small></div>
<div class="sv-half"><b></b>
<canvas class="sv-wave" role="img" aria-label="waveform of the sound at hand"></canvas>
<div class="sv-belief" role="group" aria-label="what the map believes"></div>
<div class="sv-keys" role="group" aria-label="classes">{classes}</div>
<div class="sv-keys sv-deeds">{deeds}</div>
<span class="sv-counts"></span>
<output aria-live="polite">Needs scripts: in JupyterLab, trust this notebook.</output>
<audio></audio></div>
"""
_NEEDED = {"label": ("sound", "class"), "skip": ("sound",), "undo": ()}  # in an entry of the log


class Annotate:
    """A map of sounds to label with the keys 1 to 9; a notebook shows it as a cell's last value.

    The sound at hand is the one whose two most probable classes are closest. After each label
    the map judges all others anew: label spreading (Zhou et al. 2004, "Learning with local and
    global consistency") between neighbours, from the labels and what the classifier says.

    points: (n, 2), where the sounds lie on the map. sounds: (samples,) each, at `sample_rate` Hz;
        the page holds them as MP3, each as loud as possible.
    names: of the sounds, all different. classes: 2 to 9 names.
    probabilities: (n, classes), a classifier's; by default all classes are equally probable.
    labels: of the sounds, where known before; "" or None where not.
    neighbours: how many of them a sound has on the map.
    log: of earlier work, which goes on from there: what `json.loads` makes of the file saved.
    """

    def __init__(
        self, points: np.ndarray, sounds: Sequence[np.ndarray], sample_rate: int, *,
        names: Sequence[str], classes: Sequence[str], probabilities: np.ndarray | None = None,
        labels: Sequence[str | None] | None = None, neighbours: int = 8,
        log: Sequence[Mapping[str, str]] | None = None,
    ):  # fmt: skip
        self.names, self.classes = list(map(str, names)), list(map(str, classes))
        self.labels = [""] * len(names) if labels is None else [str(text or "") for text in labels]
        _refuse(sounds, self.names, self.classes, self.labels)
        self.points = _table("points", points, (len(self.names), 2))
        self.probabilities = _shares(probabilities, (len(self.names), len(self.classes)))
        self.sounds, self.sample_rate = list(map(_heard, sounds, self.names)), sample_rate
        self.ends, self.weights = _edges(self.points, neighbours)
        self.log = [dict(entry) for entry in log or ()]
        replay(self.log, self.names, self.classes)

    def _repr_html_(self) -> str:
        low, span = self.points.min(axis=0), np.ptp(self.points, axis=0)
        content = {
            "names": self.names, "classes": self.classes, "colours": _COLOURS, "log": self.log,
            "points": ((self.points - low) / np.where(span > 0, span, 1)).round(4).tolist(),
            "prior": self.probabilities.round(4).tolist(), "spreading": _SPREADING,
            "given": [self.classes.index(label) if label else -1 for label in self.labels],
            "ends": self.ends.tolist(), "weights": self.weights.round(5).tolist(),
            "waves": list(map(_wave, self.sounds)),
            "sounds": [_address(clip, self.sample_rate) for clip in self.sounds],
        }  # fmt: skip
        shortcuts = {"lm-suppress-shortcuts": "true"}  # or JupyterLab takes the keys for its own
        return page.embedded("annotate", self._desk(), all=json.dumps(content), **shortcuts)

    def _desk(self) -> str:
        deeds = "".join(_button(key, text) for key, text in _DEEDS.items())
        classes = "".join(
            _button(i + 1, text, f'<i style="background:{_COLOURS[i]}"></i>')
            for i, text in enumerate(self.classes)
        )
        return _DESK.format(count=len(self.names), classes=classes, deeds=deeds)


def replay(
    log: Sequence[Mapping[str, str]], names: Sequence[str], classes: Sequence[str]
) -> list[str]:
    """The labels that a log leads to, one for each of `names`; "" where there is none.

    log: entries {"do": "label", "sound": …, "class": …}, {"do": "skip", "sound": …} and
    {"do": "undo"}, which takes back the last label or skip that still holds.

    >>> kick, hat = ({"do": "label", "sound": "b.wav", "class": name} for name in ("kick", "hat"))
    >>> replay([kick, hat, {"do": "undo"}], ["a.wav", "b.wav"], ["kick", "hat"])
    ['', 'kick']
    """
    known, holding = {"sound": set(names), "class": set(classes)}, []
    for number, entry in enumerate(log, start=1):
        if (do := entry.get("do")) not in _NEEDED:
            raise ValueError(f'log entry {number}: "do" is {do!r}, expected label, skip or undo')
        for key in _NEEDED[do]:
            if (value := entry.get(key)) not in known[key]:
                raise ValueError(f"log entry {number}: {key} {value!r} is none of those given here")
        if do != "undo":
            holding.append(entry)
        elif not holding:
            raise ValueError(f"log entry {number}: undo, but there is nothing left to take back")
        else:
            holding.pop()
    labels = {entry["sound"]: entry["class"] for entry in holding if entry["do"] == "label"}
    return [labels.get(name, "") for name in names]


def _button(key: object, text: str, mark: str = "") -> str:
    keys = f'data-key="{key}" aria-keyshortcuts="{key}"'
    return f'<button type="button" {keys}>{mark}<kbd>{key}</kbd> {escape(text)}</button>'


def _edges(points: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of each tie between neighbours, (2, edges), the lower first, and its weight."""
    from scipy.sparse import triu

    if neighbours < 1:
        raise ValueError(f"neighbours is {neighbours}: expected 1 or more")
    graph = triu(ties(points, min(neighbours, len(points) - 1))).tocoo()
    return np.stack(graph.coords), graph.data


def _wave(clip: np.ndarray) -> str:
    """A waveform's peaks in columns of equal length, each from 0, silent, to z, the highest."""
    edges = np.linspace(0, len(clip), _COLUMNS + 1).astype(int)
    peaks = np.array([np.abs(clip[a : max(b, a + 1)]).max() for a, b in pairwise(edges)])
    return "".join(_HEIGHTS[i] for i in (peaks / peaks.max() * (len(_HEIGHTS) - 1)).astype(int))


def _address(clip: np.ndarray, sample_rate: int) -> str:
    """What a player takes a sound from: an MP3, or a WAV at a rate that MP3 does not have."""
    try:
        return page.data_url("audio/mpeg", audio.encode(clip, sample_rate, suffix=".mp3"))
    except LibsndfileError:
        return page.data_url("audio/wav", audio.encode(clip, sample_rate))


def _heard(clip: np.ndarray, name: str) -> np.ndarray:
    """A sound as loud as possible, without the digital silence that it is padded with."""
    clip = audio.check(clip, name)
    if np.abs(clip).max() < audio.SILENCE:
        raise ValueError(f"{name} is silent: nobody can label it by ear; leave it out")
    return audio.match_peak(np.trim_zeros(clip, "b"))


def _table(name: str, values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    table = np.asarray(values, dtype=np.float64)
    if table.shape != shape or not np.isfinite(table).all():
        raise ValueError(f"{name} of shape {table.shape}: expected {shape}, all of them finite")
    return table


def _shares(values: np.ndarray | None, shape: tuple[int, int]) -> np.ndarray:
    if values is None:
        return np.full(shape, 1 / shape[1])
    shares = _table("probabilities", values, shape)
    for row in np.flatnonzero((shares < 0).any(axis=1) | (np.abs(shares.sum(axis=1) - 1) > 1e-3)):
        raise ValueError(f"probabilities[{row}] is {shares[row]}: expected shares, 1 in all")
    return shares


def _refuse(sounds: Sequence, names: list[str], classes: list[str], labels: list[str]) -> None:
    for kind, values in (("sounds", sounds), ("labels", labels)):
        if len(values) != len(names):
            raise ValueError(f"{len(values)} {kind} and {len(names)} names: they must be as many")
    if len(names) < 2:
        raise ValueError(f"{len(names)} sounds: a map has 2 or more")
    if not 2 <= len(classes) <= len(_COLOURS):
        raise ValueError(f"{len(classes)} classes: expected 2 to 9, for each has a key of its own")
    for kind, texts in (("names", names), ("classes", classes)):
        text, times = Counter(texts).most_common(1)[0]
        if times > 1:
            raise ValueError(f"{kind}: {text!r} is there {times} times; all must differ")
    for label in labels:
        if label not in ("", *classes):
            raise ValueError(f"label {label!r} is no class; there are {', '.join(classes)}")
