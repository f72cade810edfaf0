"""An autoencoder of mel bands in decibels (see `band_levels`), cheaper than one of waveforms."""

from __future__ import annotations

from torch import Tensor, nn

STRIDE = 8  # frames that one column of the narrowest layer stands for


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
