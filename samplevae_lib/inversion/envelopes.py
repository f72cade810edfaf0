"""How loud each mel band of a sound is, on a time axis that is fine at first and coarse later.

A struck sound changes fastest when it begins. Sixty segments, of 8 ms at first and of 60 after two
seconds, tell as much of it as 250 equal frames do, and a small code spends its numbers on attacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from samplevae_lib.spectral import Spectrogram, decibels


@dataclass(frozen=True)
class Envelope:
    """Levels of mel bands in segments, in dB below a sound's loudest band and frame.

    bands: mel bands up to `top` Hz, on 32 ms windows every 8 ms. seconds: what is described of a
    sound; behind it the last segment holds. segments: how many there are about, for neighbouring
    ones of the same frame are one. growth: the k-th begins at (k / segments)^growth of the time.
    floor_db: the lowest level, and that of silence.
    """

    bands: int = 128
    top: float = 8000.0
    seconds: float = 2.0
    segments: int = 64
    growth: float = 1.8
    floor_db: float = -90.0

    def spec(self, sample_rate: int) -> Spectrogram:
        """The mel spectrogram that is looked at, for sounds of this rate in Hz (16000 or more)."""
        if sample_rate < 2 * self.top:
            raise ValueError(
                f"sample_rate {sample_rate} Hz holds nothing above {sample_rate / 2:g} Hz, but the "
                f"bands reach {self.top:g}: resample the sounds to {2 * self.top:g} Hz or more"
            )
        return Spectrogram(
            "mel", sample_rate, 2 * round(0.016 * sample_rate), round(0.008 * sample_rate),
            n_mels=self.bands, fmax=self.top,
        )  # fmt: skip

    @property
    def edges(self) -> np.ndarray:
        """First frame of each segment, and the number of frames behind the last."""
        frames = round(self.seconds / 0.008) + 1
        at = np.linspace(0, 1, self.segments + 1) ** self.growth
        return np.unique(np.round(frames * at).astype(int))

    @property
    def shape(self) -> tuple[int, int]:
        """Bands and segments of a sound."""
        return self.bands, len(self.edges) - 1

    def levels(self, sounds: Sequence[np.ndarray], sample_rate: int) -> np.ndarray:
        """Sounds, each (samples,), → (sounds, bands, segments) in dB, floor_db … 0."""
        return np.stack([self.segmented(self.framed(s, sample_rate)) for s in sounds])

    def framed(self, sound: np.ndarray, sample_rate: int) -> np.ndarray:
        """One sound (samples,) → (bands, frames) in dB below its loudest, a frame every 8 ms."""
        bands = self.spec(sample_rate).forward(np.asarray(sound, np.float32))
        return decibels(bands, floor=self.floor_db).level

    def segmented(self, frames: np.ndarray) -> np.ndarray:
        """Levels (bands, frames) → their means over each segment, (bands, segments)."""
        missing = max(0, self.edges[-1] - frames.shape[-1])
        frames = np.pad(frames, ((0, 0), (0, missing)), constant_values=self.floor_db)
        sums = np.add.reduceat(frames[:, : self.edges[-1]], self.edges[:-1], axis=1)
        return (sums / np.diff(self.edges)).astype(np.float32)

    def frames(self, segments: np.ndarray, count: int) -> np.ndarray:
        """(…, bands, segments) → (…, bands, count): straight lines between segments' middles."""
        return segments @ _lines(tuple(self.edges), count)


@cache
def _lines(edges: tuple[int, ...], count: int) -> np.ndarray:
    """(segments, count): the weight of each segment in each frame."""
    middles = (np.array(edges[:-1]) + np.array(edges[1:]) - 1) / 2
    rows = [np.interp(np.arange(count), middles, one) for one in np.eye(len(middles))]
    return np.array(rows, np.float32)
