"""Sounds side by side, each with a picture and a player, all at one loudness.

Plain HTML with a page of script: it works in JupyterLab, in an exported page and offline, and
where scripts are not allowed the players still play.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape
from itertools import pairwise

import numpy as np

from samplevae_lib import audio as sound
from samplevae_lib import plots
from samplevae_lib.datasets.dataset import Dataset
from samplevae_lib.spectral import FLOOR_DB
from samplevae_lib.widgets import page

_WIDTH, _WAVE_HEIGHT, _SPECTRUM_HEIGHT = 220, 40, 72


class Audition:
    """Players for some sounds, a card for each; a notebook shows it as the last value of a cell.

    sounds: (samples,) each, at `sample_rate` Hz. labels: what stands over each of them.
    notes: a line below each player.
    level_matched: bring all to one loudness, so that none seems better for being louder; without
        it all keep their level, unless one is above full scale: then all are brought down alike.
    pictures: show waveform and mel spectrogram; a click into them plays from there.
    """

    def __init__(
        self,
        sounds: Sequence[np.ndarray],
        sample_rate: int,
        *,
        labels: Sequence[str],
        notes: Sequence[str] | None = None,
        level_matched: bool = True,
        pictures: bool = True,
    ):
        notes = [""] * len(sounds) if notes is None else notes
        _check(sounds, labels, notes)
        self.sample_rate, self.labels = sample_rate, [str(label) for label in labels]
        self.notes = [str(note) for note in notes]
        clips = [np.asarray(clip, dtype=np.float32) for clip in sounds]
        self.sounds = sound.match_levels(clips) if level_matched else _within_full_scale(clips)
        self.pictures, self.switch = pictures, False

    @classmethod
    def of(cls, dataset: Dataset, which: Sequence[int], **options) -> Audition:
        """Some sounds of a dataset, under their labels, with length, group and file.

        which: the sounds' places in the dataset. options: those of `Audition`.
        """
        chosen = dataset.select(which)
        return cls(
            list(chosen.audio),
            chosen.sample_rate,
            labels=chosen.labels,
            notes=list(map(_note, chosen.durations, chosen.groups, chosen.names)),
            **options,
        )

    def _repr_html_(self) -> str:
        cards = "".join(map(self._card, range(len(self.sounds))))
        switch = '<button type="button" class="sv-switch">A/B</button>' if self.switch else ""
        return page.embedded("audition", cards + switch)

    def _card(self, position: int) -> str:
        clip, label = self.sounds[position], escape(self.labels[position])
        source = page.data_url("audio/wav", sound.encode(clip, self.sample_rate))
        picture = ""
        if self.pictures:
            image = page.data_url("image/png", picture_of(clip, self.sample_rate))
            picture = (
                f'<button type="button" class="sv-picture" aria-label="play {label}">'
                f'<img src="{image}" width="{_WIDTH}" alt="waveform and spectrogram of {label}">'
                '<span class="sv-cursor"></span></button>'
            )
        note = escape(self.notes[position])
        return (
            f'<figure class="sv-card"><figcaption title="{label}"><b>{label}</b></figcaption>'
            f'{picture}<audio controls preload="auto" aria-label="{label}" src="{source}"></audio>'
            f'<small title="{note}">{note}</small></figure>'
        )


def compare(
    first: np.ndarray,
    second: np.ndarray,
    sample_rate: int,
    *,
    labels: Sequence[str] = ("original", "result"),
) -> Audition:
    """Two sounds at one loudness, with a switch that changes between them while they play.

    first, second: (samples,) each, at `sample_rate` Hz. labels: what they are.
    """
    made = Audition([first, second], sample_rate, labels=labels)
    made.switch = True
    return made


def picture_of(clip: np.ndarray, sample_rate: int) -> bytes:
    """A small PNG: the waveform's outline over its mel spectrogram."""
    from matplotlib import colormaps
    from PIL import Image

    level = plots.mel_spectrogram(clip, sample_rate, n_mels=_SPECTRUM_HEIGHT)[::-1]
    columns = np.linspace(0, level.shape[1] - 1, _WIDTH).round().astype(int)
    shade = colormaps[plots.MAP](1 - level[:, columns] / FLOOR_DB)[..., :3]
    pixels = (np.vstack([_outline(clip), shade]) * 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _outline(clip: np.ndarray) -> np.ndarray:
    """Lowest and highest sample of each column, drawn dark on white: (height, width, 3)."""
    edges = np.linspace(0, len(clip), _WIDTH + 1).astype(int)
    spans = [clip[a : max(b, a + 1)] for a, b in pairwise(edges)]
    high = np.array([span.max(initial=0.0) for span in spans])
    low = np.array([span.min(initial=0.0) for span in spans])
    heights = np.linspace(1, -1, _WAVE_HEIGHT)[:, None]
    line = 1.0 / _WAVE_HEIGHT
    inside = (heights <= high + line) & (heights >= low - line)
    ink = np.array([int(plots.COLOURS[0][i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(inside[..., None], ink, 1.0)


def _note(seconds: float, group: str, name: str) -> str:
    """Length, group where there is one of its own, and the last part of the name."""
    file = name.rpartition("/")[2]
    return " · ".join(dict.fromkeys([f"{seconds:.2f} s", *([group] if group != "." else []), file]))


def _within_full_scale(clips: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Clips a browser can play without clipping: one above full scale brings all down alike."""
    peak = max((float(np.abs(clip).max()) for clip in clips), default=0.0)
    return [clip / max(peak, 1.0) for clip in clips]


def _check(sounds: Sequence[np.ndarray], labels: Sequence[str], notes: Sequence[str]) -> None:
    for kind, texts in (("labels", labels), ("notes", notes)):
        if len(sounds) != len(texts):
            raise ValueError(f"{len(sounds)} sounds and {len(texts)} {kind}: they must be as many")
    for clip, label in zip(sounds, labels, strict=True):
        sound.check(clip, str(label))
