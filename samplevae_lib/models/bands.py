"""An autoencoder of mel bands in decibels, far cheaper than one of waveforms.

What the ear can't tell apart, such as where in its course a partial stands, is not in the bands, so
nothing of the latent is spent on it; the way back to sound is an inverter's (see `inversion`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from samplevae_lib import inversion
from samplevae_lib.spectral import Spectrogram

STRIDE = 8  # frames that one column of the narrowest layer stands for
_SILENT = 0.025
_ITERATIONS = 64


@dataclass(frozen=True)
class BandScale:
    """Mel bands from 0, `range_db` below a sound's loudest, to 1."""

    spec: Spectrogram
    range_db: float = 60.0

    def levels(self, audio: np.ndarray) -> np.ndarray:
        """(sounds, samples) → (sounds, n_mels, frames), a whole number of STRIDE frames."""
        bands = self.spec.forward(np.asarray(audio, np.float32))
        bands = bands[..., : bands.shape[-1] // STRIDE * STRIDE]
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


class BandAutoencoder(nn.Module):
    """(batch, n_mels, frames) ↔ (batch, length): convolutions over time, three strides of two."""

    def __init__(self, n_mels: int, frames: int, *, channels: int = 64):
        super().__init__()
        if frames % STRIDE:
            raise ValueError(f"{frames} frames are not a multiple of {STRIDE}")
        self.narrow = (channels // 2, frames // STRIDE)
        self.length = self.narrow[0] * self.narrow[1]
        down, up = ([], [])
        for _ in range(3):
            down += [nn.Conv1d(channels, channels, 4, 2, 1), nn.GELU()]
            up += [nn.ConvTranspose1d(channels, channels, 4, 2, 1), nn.GELU()]
        first, last = (
            nn.Conv1d(*size, 3, padding=1) for size in ((n_mels, channels), (channels, n_mels))
        )
        self.encoder = nn.Sequential(
            first, nn.GELU(), *down, nn.Conv1d(channels, self.narrow[0], 1)
        )
        self.decoder = nn.Sequential(nn.Conv1d(self.narrow[0], channels, 1), nn.GELU(), *up, last)

    def encode(self, levels: Tensor) -> Tensor:
        """(batch, n_mels, frames) → (batch, length)."""
        return self.encoder(2 * levels - 1).flatten(1)

    def decode(self, latent: Tensor) -> Tensor:
        """(batch, length) → (batch, n_mels, frames)."""
        return (1 + self.decoder(latent.unflatten(1, self.narrow))) / 2
