"""Sounds as mel bands in decibels between 0 and 1, for a model to learn from, and back to sound.

What the ear does not tell apart, such as the phase a partial begins with, is not in mel bands, so a
model of them spends none of its latent on it. The way back is Griffin–Lim from mel bands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from samplevae_lib.inversion.methods import invert
from samplevae_lib.spectral import Decibels, Spectrogram, decibels

_SILENT = 0.025  # of the range: a level so near the floor counts as silence
_ITERATIONS = 64
_TOGETHER = 16  # sounds whose spectra fit where memory is fast


@dataclass(frozen=True)
class BandScale:
    """Mel bands from 0, `range_db` below a sound's loudest band, to 1, the loudest.

    spec: of the bands, kind "mel". multiple: the number of frames is cut to a multiple of it, as
    the strides of a model need.
    """

    spec: Spectrogram
    range_db: float = 60.0
    multiple: int = 8

    def levels(self, audio: np.ndarray) -> np.ndarray:
        """(sounds, samples) → (sounds, n_mels, frames), 0 … 1. Silence is 0."""
        audio = np.asarray(audio, np.float32)
        parts = np.split(audio, range(_TOGETHER, len(audio), _TOGETHER))
        return np.concatenate([self._levels(part) for part in parts])

    def _levels(self, audio: np.ndarray) -> np.ndarray:
        bands = self.spec.forward(audio)
        bands = bands[..., : bands.shape[-1] // self.multiple * self.multiple]
        below = decibels(bands, power=self.spec.power, floor=-self.range_db).level
        return (1 + below / self.range_db).clip(0, 1)

    def sounds(self, levels: np.ndarray, *, samples: int, seed: int = 0) -> np.ndarray:
        """(sounds, n_mels, frames) → (sounds, samples), by Griffin–Lim; seed: of its phases.

        Levels do not tell how loud a sound was: the loudest band comes out as 1. Levels less than
        a fortieth of the range above the floor count as silence: a model rarely says exactly 0.
        """
        missing = self.spec.frames(samples) - levels.shape[-1]
        levels = np.pad(levels, ((0, 0), (0, 0), (0, missing)), mode="edge").clip(0, 1)
        below = (levels - 1) * self.range_db
        loud = Decibels(below, reference=1.0, power=self.spec.power).back()
        bands = np.where(levels > _SILENT, loud, 0).astype(np.float32)
        return invert(
            bands, self.spec, method="mel_griffin_lim", length=samples, start="pghi",
            iterations=_ITERATIONS, seed=seed,
        )  # fmt: skip
