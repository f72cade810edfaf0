"""Sounds as mel bands in decibels, each between nothing and its loudest, and back.

What the ear can't tell apart, such as where in its course a partial stands, is not in them, so a
model of them spends nothing of its latent on it; the way back to sound is an inverter's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from samplevae_lib import inversion
from samplevae_lib.spectral import Spectrogram

_SILENT = 0.025
_ITERATIONS = 64


@dataclass(frozen=True)
class BandScale:
    """Mel bands from 0, `range_db` below a sound's loudest, to 1.

    multiple: what the number of frames is cut to a multiple of, as strides need it.
    """

    spec: Spectrogram
    range_db: float = 60.0
    multiple: int = 8

    def levels(self, audio: np.ndarray) -> np.ndarray:
        """(sounds, samples) → (sounds, n_mels, frames)."""
        bands = self.spec.forward(np.asarray(audio, np.float32))
        bands = bands[..., : bands.shape[-1] // self.multiple * self.multiple]
        loudest = np.maximum(bands.max((1, 2), keepdims=True), np.finfo(np.float32).tiny)
        return (1 + self._shares(bands / loudest)).clip(0, 1)

    def sounds(self, levels: np.ndarray, *, samples: int, seed: int = 0) -> np.ndarray:
        """(sounds, n_mels, frames) → (sounds, samples) of no certain level, by Griffin–Lim.

        A level within a fortieth of the range above its floor counts as silence: a model rarely
        says exactly 0.
        """
        missing = self.spec.frames(samples) - levels.shape[-1]
        levels = np.pad(levels, ((0, 0), (0, 0), (0, missing)), mode="edge").clip(0, 1)
        bands = np.where(levels > _SILENT, 10 ** ((levels - 1) * self.range_db / 20), 0)
        return inversion.invert(
            bands.astype(np.float32), self.spec, method="mel_griffin_lim", length=samples,
            start="pghi", iterations=_ITERATIONS, seed=seed,
        )  # fmt: skip

    def _shares(self, amount: np.ndarray) -> np.ndarray:
        """Decibels below the loudest as shares of the range, −1 to 0."""
        return 20 * np.log10(np.maximum(amount, 10 ** (-self.range_db / 20))) / self.range_db
