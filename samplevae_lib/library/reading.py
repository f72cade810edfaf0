"""The sounds of a folder as rows of numbers: how loud each band is when, and a few facts.

A sound is described from its first sample above a fiftieth of its peak on, so that silence before
it makes no difference, and at its own rate, so that it doesn't depend on the other files.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import torch
from scipy.spatial.distance import cdist

from samplevae_lib import audio
from samplevae_lib.datasets.folder import MAX_SECONDS, sound_files
from samplevae_lib.datasets.store import shown
from samplevae_lib.inversion.borrowed import onset
from samplevae_lib.inversion.envelopes import Envelope
from samplevae_lib.models.drum_classifier import DrumClassifier
from samplevae_lib.progress import Progress
from samplevae_lib.spectral import decibels, one_thread_each

ENVELOPE = Envelope(bands=64)
SHORTEST = 0.005  # seconds
FACTS = ("rate", "seconds", "begins", "rings", "centroid", "flatness", "peak")
ASKED = 5000  # of more sounds, the classifier hears about so many
# How far from every drum that the classifier learnt from a sound is none that it knows. Of drums of
# other machines a fifth is farther, of synthesised ones two fifths, of spoken digits two thirds, of
# notes of instruments more than nine tenths; how sure the classifier is tells them apart badly.
STRANGE = 5.5
_OVER = 0.999  # the share of its energy after which a sound has rung out
_TOGETHER = 16  # files that a thread reads at a time
_COLUMNS = ("levels", "facts", "heard", "sure")
_LEAST = 1e-10  # of the greatest power: what is lower counts as this


class Described(NamedTuple):
    """Levels (bands, segments) in dB, float16, and the facts, in the order of FACTS.

    rate: Hz. seconds: of the whole sound. begins: in seconds. rings: seconds from there to where
    999 thousandths of its energy are over. centroid: Hz. flatness: 0 a tone … 1 white noise. peak.
    """

    levels: np.ndarray
    facts: np.ndarray


@dataclass
class Rows:
    """One row for each file, of zeros for those that can't be used.

    files: paths below the folder. stamps: (files, 2), size and time. reasons: why a file can't be
    used, else "". levels: (files, bands, segments), float16. facts: (files, 7). heard: (files,),
    the classifier's class, as many as there are classes for none of them, -1 where it wasn't asked.
    sure: (files,), how likely that class is.
    """

    files: list[str]
    stamps: np.ndarray
    reasons: list[str]
    levels: np.ndarray
    facts: np.ndarray
    heard: np.ndarray
    sure: np.ndarray

    @classmethod
    def unread(cls, files: list[str], stamps: np.ndarray) -> Rows:
        """Rows that nothing is known of yet."""
        count = len(files)
        levels = np.zeros((count, *ENVELOPE.shape), np.float16)
        facts = np.zeros((count, len(FACTS)), np.float32)
        heard, sure = np.full(count, -1, np.int8), np.zeros(count, np.float32)
        return cls(files, stamps, [""] * count, levels, facts, heard, sure)

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], notes: Mapping[str, Any]) -> Rows:
        """The rows whose `state` this is."""
        kept = {name: arrays[name] for name in ("stamps", *_COLUMNS)}
        return cls(files=unpacked(arrays["names"]), reasons=notes["reasons"], **kept)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """All of it as arrays of numbers and as notes, for a file."""
        kept = {name: getattr(self, name) for name in ("stamps", *_COLUMNS)}
        return {"names": packed(self.files), **kept}, {"reasons": self.reasons}

    def problems(self) -> list[tuple[str, str]]:
        """The files that can't be used, as text, and why."""
        pairs = zip(self.files, self.reasons, strict=True)
        return [(shown(file), reason) for file, reason in pairs if reason]

    def take(self, old: Rows) -> list[int]:
        """Copy the rows of files that are as they were; returns the indices of the others."""
        known = {(f, *s): i for i, (f, s) in enumerate(zip(old.files, old.stamps, strict=True))}
        places = [known.get((f, *s)) for f, s in zip(self.files, self.stamps, strict=True)]
        here = [i for i, place in enumerate(places) if place is not None]
        there = [place for place in places if place is not None]
        for name in _COLUMNS:
            getattr(self, name)[here] = getattr(old, name)[there]
        for i, place in zip(here, there, strict=True):
            self.reasons[i] = old.reasons[place]
        return [i for i, place in enumerate(places) if place is None]


def packed(files: Sequence[str]) -> np.ndarray:
    """Paths as bytes in one array: they need not be valid UTF-8."""
    return np.frombuffer(b"\0".join(map(os.fsencode, files)), np.uint8)


def unpacked(names: np.ndarray) -> list[str]:
    """The paths again."""
    return [os.fsdecode(name) for name in names.tobytes().split(b"\0")]


def found(folder: Path) -> tuple[list[str], np.ndarray, list[str]]:
    """Sound files below a folder, their sizes and times (files, 2), and sub-folders not opened."""
    locked: list[OSError] = []
    files = sound_files(folder, onerror=locked.append)
    stamps = [_stamp(folder / file) for file in files]
    closed = [os.path.relpath(error.filename, folder) for error in locked]
    return files, np.array(stamps, np.int64).reshape(-1, 2), closed


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time; a size of -1 where there is no file, and of -2 where to read it may hang."""
    try:
        status = path.stat()
    except OSError:
        return -1, 0
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else (-2, 0)


def listen(
    folder: Path, rows: Rows, which: Sequence[int], classifier: DrumClassifier, *,
    progress: Progress, seed: int,
) -> None:  # fmt: skip
    """Read the files of some rows, on all cores, and fill these rows in."""
    parts = [which[start : start + _TOGETHER] for start in range(0, len(which), _TOGETHER)]
    share = ASKED / max(1, len(rows.files))

    def part(numbers: Sequence[int]) -> None:
        begun = {n: sound for n in numbers if (sound := _fill(rows, n, folder)) is not None}
        asked = [n for n in begun if crc32(os.fsencode(rows.files[n]), seed) / 2**32 < share]
        if asked:
            sounds = [audio.resample(*begun[n], classifier.sample_rate) for n in asked]
            rows.heard[asked], rows.sure[asked] = _heard(classifier, sounds)

    with (
        one_thread_each(),
        ThreadPoolExecutor(os.cpu_count()) as pool,
        closing(pool.map(part, parts)) as done,  # Ctrl-C waits for no more than what is begun
    ):
        for numbers, _ in zip(parts, done, strict=True):
            progress.advance(len(numbers))


def _fill(rows: Rows, number: int, folder: Path) -> tuple[np.ndarray, int] | None:
    """Fill in a row; returns the first second of the sound and its rate, or None."""
    try:
        if rows.stamps[number, 0] == -2:
            raise ValueError("is no file but a pipe, a device or a folder")
        sound, rate = audio.read(folder / rows.files[number], max_seconds=MAX_SECONDS)
        rows.levels[number], rows.facts[number] = heard = described(sound, rate)
    except (ValueError, OSError, RuntimeError, MemoryError) as error:
        rows.reasons[number] = shown(getattr(error, "reason", str(error)))
        return None
    start = max(0, int((heard.facts[FACTS.index("begins")] - SHORTEST) * rate))
    return sound[start : start + rate], rate


def _heard(classifier: DrumClassifier, sounds: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The class that each sound is heard as, or none of them, and how likely it is."""
    chances, vectors = classifier.listen(sounds, classifier.sample_rate)
    strange = cdist(vectors, classifier.known.vectors).min(1) > STRANGE
    best, sure = chances.argmax(1), chances.max(1)
    return np.where(strange, len(classifier.classes), best), np.where(strange, 0, sure)


def described(sound: np.ndarray, rate: int) -> Described:
    """What a sound (samples,) at a rate in Hz is known by; a ValueError says what is wrong."""
    seconds, peak = len(sound) / rate, float(np.abs(sound).max())
    if seconds < SHORTEST:
        raise ValueError(f"is {1000 * seconds:.2g} ms long: expected {1000 * SHORTEST:g} or more")
    if np.ptp(sound) < 2 * audio.SILENCE:
        raise ValueError("is silent: all its samples have nearly the same value")
    sound = sound / np.float32(peak)
    own, rate = rate, max(rate, int(2 * ENVELOPE.top))
    sound = audio.resample(sound, own, rate)
    energy = np.cumsum(np.square(sound, dtype=np.float64))
    first = onset(sound)
    rings = int(np.searchsorted(energy, _OVER * energy[-1])) - first
    spec = ENVELOPE.spec(rate)
    seen = sound[first : first + int(ENVELOPE.seconds * rate) + spec.n_fft]
    magnitude = np.abs(spec.complex(torch.from_numpy(seen)).numpy())  # torch's is slower
    bands = decibels(spec.mel_filters() @ magnitude, floor=ENVELOPE.floor_db).level
    levels = ENVELOPE.segmented(bands)
    timbre = _timbre(np.square(magnitude[: int(ENVELOPE.top * spec.n_fft / rate) + 1]))
    facts = (own, seconds, first / rate, max(0, rings) / rate, *timbre, min(peak, 1))
    return Described(levels.astype(np.float16), np.array(facts, np.float32))


def _timbre(power: np.ndarray) -> tuple[float, float]:
    """Centroid in Hz and flatness of energies (bins up to the top, frames)."""
    frames = power.sum(0)
    hertz = np.linspace(0, ENVELOPE.top, len(power))
    centroid = float(hertz @ power.sum(1) / frames.sum())
    power = np.maximum(power, _LEAST * power.max())
    flat = np.exp(np.log(power).mean(0)) / power.mean(0)
    return centroid, float(np.average(flat, weights=frames))
