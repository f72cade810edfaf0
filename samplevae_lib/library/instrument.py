"""A library of sounds that is played from its map: recorded sounds, and new ones for any place.

A new sound is a recorded one, the lender, each mel band of which is turned up or down until its
envelope is that of the place: the mean of the sounds around it, by their shares.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from numbers import Integral
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.signal import butter, sosfilt
from scipy.spatial import cKDTree
from sklearn.neighbors import NearestNeighbors

from samplevae_lib import audio as files
from samplevae_lib.datasets.dataset import Problem
from samplevae_lib.datasets.folder import MAX_SECONDS
from samplevae_lib.datasets.store import shown
from samplevae_lib.inversion.borrowed import LEAST_DB, MOST_DB, grafted, onset, turned
from samplevae_lib.inversion.envelopes import Envelope
from samplevae_lib.library import regions
from samplevae_lib.library.reading import ENVELOPE, described
from samplevae_lib.models.envelope_vae import EnvelopeVAE
from samplevae_lib.sample_map import SampleMap
from samplevae_lib.spectral import one_thread_each

LOWEST_RATE = 8000  # Hz
_HERE = 1e-6  # of the map's width: a place no farther from a sound is the sound's own
_KEPT = 32  # sounds, read lately
_FADE = 0.003  # seconds; a made sound may be louder than its lender where that begins or ends
_LOWEST = 20.0  # Hz: below, nothing is heard that might be turned up
_BESIDE, _FAR = 10, 4.0  # as on the map: so many are around, and so many times farther is a guess


class Made(NamedTuple):
    """A new sound and what it is made of.

    audio: float32 (samples,), at the library's rate. guess: 0 (among known sounds) … 1 (far from
    all). lender: the sound whose detail is borrowed. nearest, distances, weights: (k,), the sounds
    that make up the envelope, how far away they are on the map, and their shares. Of a graft, these
    are the attack's and the body's lenders, and how much of its time each is heard.
    """

    audio: np.ndarray
    guess: float
    lender: int
    nearest: np.ndarray
    distances: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class Library:
    """The sounds of a folder, their map, and what can be made of them; `open` makes it.

    folder: where the sounds lie. sample_rate: Hz of all that is heard. problems: files left out.
    sounds: a row for each, with the columns
        name (below the folder, as text), path, label ("" where none), seconds (of the whole),
        bright, noisy, long: centroid, flatness and time of ringing as ranks among the sounds, 0…1,
        heard, sure: the drum class that it sounds like, and how likely; "" and 0 for no drum,
        kind: the labels if there are any, else what is heard; a map is coloured by it,
        centroid (Hz, below 8 kHz), peak, begins (seconds of silence before it).
    latents: (sounds, dimensions), as `vae` encodes them. map: of the latents at their true scale.
    envelope, vae: what they are made with.
    """

    folder: Path
    sample_rate: int
    sounds: pd.DataFrame
    map: SampleMap
    vae: EnvelopeVAE
    problems: tuple[Problem, ...] = ()
    seed: int = 0
    envelope: Envelope = ENVELOPE

    def __repr__(self) -> str:
        return (
            f"<{self.title}: {len(self)} sounds at {self.sample_rate} Hz, "
            f"{len(self.problems)} files left out>"
        )

    @property
    def title(self) -> str:
        """The folder's name, as text."""
        return shown(self.folder.name)

    def __len__(self) -> int:
        return len(self.sounds)

    @cached_property
    def latents(self) -> np.ndarray:
        return self.map.vectors / self.vae.deviations

    @cached_property
    def points(self) -> np.ndarray:
        """Where the sounds lie, (sounds, 2), float32; both axes span 0 … 1."""
        return ((self.map.points - self._low) / self._span).astype(np.float32)

    @cached_property
    def regions(self) -> list[tuple[float, float, str]]:
        """Middles of the map's regions, and their names."""
        inside = self._centres.query(self.points)[1]
        told = regions.names(self.sounds, inside)
        return [(*map(float, xy), name) for xy, name in zip(self._centres.data, told, strict=True)]

    def region_of(self, points: np.ndarray) -> np.ndarray:
        """The name of the region that each place lies in: (n, 2) → (n,)."""
        told = np.array([name for _, _, name in self.regions])
        return told[self._centres.query(_places(points))[1]]

    def sound(self, index: int) -> np.ndarray:
        """A recorded sound, float32 (samples,), whole; turned down if it is above full scale."""
        return self._reader(int(index)).copy()

    def guess(self, xy: np.ndarray) -> np.ndarray:
        """How far places are from what is known: (n, 2) → (n,), 0 (well known) … 1 (guessing)."""
        return 1 - self.map.density(self._raw(xy))

    def nearest(self, xy: Sequence[float], k: int = 8) -> tuple[np.ndarray, np.ndarray]:
        """The k sounds that are nearest to a place (x, y), and their distances on the map."""
        distances, near = self._tree.query(_places([xy])[0], np.arange(1, min(k, len(self)) + 1))
        return near, distances

    def similar(
        self, audio: np.ndarray, sample_rate: int, k: int = 8
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k sounds that sound most like a given one (samples,), and how far away they are.

        sample_rate: Hz, 8000 or more. Distances are in dB, as a root mean square over the envelope.
        """
        if sample_rate < LOWEST_RATE:
            raise ValueError(f"sample_rate is {sample_rate} Hz: expected {LOWEST_RATE} or more")
        sound = np.asarray(files.check(audio), np.float32)
        try:
            with one_thread_each():
                levels, _ = described(sound, sample_rate)
        except ValueError as error:
            raise ValueError(f"audio {error}") from error
        away = self._away(self.vae.encode(levels) * self.vae.deviations)
        near = np.argsort(away, kind="stable")[:k]
        return near, away[near]

    def make(self, xy: Sequence[float], *, again: int = 0) -> Made:
        """A sound for a place (x, y) on the map; at a sound's own place, that sound.

        again: 1, 2, … borrow from the next sounds around.
        """
        place = _places([xy])
        sounds, shares = self.map.weights(self._raw(place))
        return self._made(sounds[0], shares[0], place, float(self.guess(place)[0]), again)

    def combine(
        self,
        weights: Mapping[int, float] | Iterable[tuple[int | Sequence[float], float]],
        *,
        again: int = 0,
    ) -> Made:
        """A sound whose latent is a weighted sum of those of sounds, or of places on the map.

        weights: {index: weight, …}, or pairs of an index or a place (x, y) with its weight. A half
        and a half is the mean of two; 1 and -1 leaves of one what the other has not; 1.5 and -0.5
        goes on from the other beyond the one. What they lack to 1, the library's mean has.
        """
        pairs = weights.items() if isinstance(weights, Mapping) else weights
        total: dict[int, float] = defaultdict(float)
        for which, weight in pairs:
            for index, share in self._parts(which):
                total[index] += float(weight) * share
        sounds = np.array(sorted(total, key=lambda index: -total[index]), int)
        shares = np.array([total[index] for index in sounds])
        if not (np.isfinite(shares).all() and shares.any()):
            raise ValueError(f"weights {weights!r}: expected finite ones, not all of them 0")
        vector = (shares @ self.map.vectors[sounds]).astype(np.float32)
        place = (self.map.add(vector[None]) - self._low) / self._span
        return self._made(sounds, shares, place, self._guessed(vector), again)

    def graft(
        self, attack: int | Sequence[float], body: int | Sequence[float], *, seconds: float = 0.03
    ) -> Made:
        """The attack of one sound on the body of another, each an index or a place (x, y).

        seconds: how long the attack is heard, see `borrowed.grafted`. A place is made first, and is
        as far from its lender as `distances` says. The guess is the larger one of both; a recorded
        sound is none.
        """
        both = [self._heard(which) for which in (attack, body)]
        audios = [one.audio for one in both]
        audio, first = grafted(*audios, self.sample_rate, seconds=seconds), onset(audios[0])
        heard = min(seconds * self.sample_rate, len(audios[0]) - first) / (len(audio) - first)
        shares = np.array([min(heard, 1.0), 1 - min(heard, 1.0)])
        lenders = np.array([one.lender for one in both])
        distances = np.array([one.distances[0] for one in both])
        guess = max(one.guess for one in both)
        return Made(audio, guess, both[1].lender, lenders, distances, shares)

    def render(self, xy: Sequence[float]) -> tuple[np.ndarray, float]:
        """A sound for a place (x, y), float32 (samples,), and how much of a guess it is, 0 … 1."""
        made = self.make(xy)
        return made.audio, made.guess

    def _heard(self, which: int | Sequence[float]) -> Made:
        """A recorded sound as it is, or what is made at a place."""
        if not isinstance(which, Integral):
            return self.make(which)
        index, here = self._parts(which)[0]
        return Made(self.sound(index), 0.0, index, np.array([index]), np.zeros(1), np.array([here]))

    def _parts(self, which: int | Sequence[float]) -> list[tuple[int, float]]:
        if isinstance(which, Integral):
            if not 0 <= which < len(self):
                raise ValueError(f"no sound {which}: there are {len(self)}, 0 … {len(self) - 1}")
            return [(int(which), 1.0)]
        sounds, shares = self.map.weights(self._raw(_places([which])))
        return [*zip(map(int, sounds[0]), shares[0], strict=True)]

    def _made(
        self, sounds: np.ndarray, shares: np.ndarray, place: np.ndarray, guess: float, again: int
    ) -> Made:
        lender = int(sounds[again % len(sounds)])
        change = shares @ self.latents[sounds] - self.latents[lender]
        level = np.average(self.sounds["peak"].to_numpy()[sounds], weights=np.abs(shares))
        with one_thread_each():
            audio = self._turned(lender, change.astype(np.float32), float(level))
        distances = np.linalg.norm(self.points[sounds] - place, axis=1)
        return Made(audio, guess, lender, sounds, distances, shares)

    def _turned(self, lender: int, change: np.ndarray, level: float) -> np.ndarray:
        """A recorded sound with the envelope that a change of its latent gives it, of this peak."""
        sound = self.sound(lender)
        if not change.any():
            return sound
        spec = self.envelope.spec(self.sample_rate)
        begins = round(self.sounds["begins"].iloc[lender] * self.sample_rate)
        begins = min(begins, len(sound) - 1)  # the file may be another by now
        pad = -begins % spec.hop  # so that it begins in the middle of a frame
        wave = np.pad(sound - sound.mean(), (pad, 0))
        before, count = (begins + pad) // spec.hop, spec.frames(len(wave))
        described = min(count - before, self.envelope.edges[-1])
        gains = self.envelope.frames(self.vae.change(change), described)
        gains = np.pad(gains, ((0, 0), (before, count - before - described)), mode="edge")
        made = turned(wave, np.clip(gains, LEAST_DB, MOST_DB), spec)[pad:]
        made = sosfilt(butter(2, _LOWEST, "highpass", fs=self.sample_rate, output="sos"), made)
        fade = min(round(_FADE * self.sample_rate), len(made))
        made[len(made) - fade :] *= np.linspace(1, 0, fade)
        made[: min(fade, begins)] *= np.linspace(0, 1, min(fade, begins))
        return (made * (level / np.abs(made).max())).astype(np.float32)

    def _away(self, vector: np.ndarray) -> np.ndarray:
        """How far each sound is from a vector, in dB: (sounds,)."""
        return np.linalg.norm(self.map.vectors - vector, axis=1) / np.sqrt(self.vae.mean.size)

    def _guessed(self, vector: np.ndarray) -> float:
        """`guess` for a vector, which need not have a place on the map."""
        tenth = min(_BESIDE, len(self)) - 1
        away = np.partition(self._away(vector), tenth)[tenth]
        return 1 - float(np.hypot(1, away / (_FAR * self._usual)) ** -2)

    def _raw(self, xy: np.ndarray) -> np.ndarray:
        """Places (n, 2) as the map has them; exactly those of sounds where there are any."""
        xy = _places(xy)
        away, near = self._tree.query(xy)
        there = self._low + xy * self._span
        return np.where((away < _HERE)[:, None], self.map.points[near], there)

    @cached_property
    def _low(self) -> np.ndarray:
        return self.map.points.min(0).astype(np.float64)

    @cached_property
    def _span(self) -> np.ndarray:
        return np.maximum(np.ptp(self.map.points.astype(np.float64), axis=0), 1e-9)

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.points)

    @cached_property
    def _centres(self) -> cKDTree:
        return cKDTree(regions.centres(self.points, seed=self.seed))

    @cached_property
    def _usual(self) -> float:
        """The median distance of a sound to the tenth nearest other one, in dB; of many, a part."""
        known, count = NearestNeighbors(algorithm="brute").fit(self.map.vectors), len(self)
        away, _ = known.kneighbors(self.map.vectors[:: -(-count // 256)], min(_BESIDE + 1, count))
        return max(float(np.median(away[:, -1])) / np.sqrt(self.vae.mean.size), 1e-9)

    @cached_property
    def _reader(self) -> Callable[[int], np.ndarray]:
        return lru_cache(_KEPT)(self._read)

    def _read(self, index: int) -> np.ndarray:
        sound, rate = files.read(self.sounds["path"].iloc[index], max_seconds=MAX_SECONDS)
        for step in (lambda x: x, lambda x: files.resample(x, rate, self.sample_rate)):
            sound = step(sound)
            sound = sound / np.maximum(np.abs(sound).max(), np.float32(1))
        return sound


def _places(xy: np.ndarray) -> np.ndarray:
    """Places on the map, as (n, 2), float64."""
    xy = np.asarray(xy, np.float64)
    if xy.ndim != 2 or xy.shape[1] != 2 or not np.isfinite(xy).all():
        raise ValueError(f"{xy.tolist()}: expected x and y on the map, 0 … 1 or around it")
    return xy
