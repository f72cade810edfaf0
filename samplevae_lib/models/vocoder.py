"""A vocoder that turns mel bands into sound in one pass, in the manner of Vocos.

ConvNeXt blocks at frame rate end in a short-time spectrum, which one inverse STFT makes a sound
(Siuzdak, ICLR 2024). Three things differ from it. The magnitudes are corrections of what the bands
imply, so that the network is indifferent to level. And the phases run on: each bin turns at a rate
that the network names, and is set anew where the network opens a gate, as at the onset of a hit; a
convolution alone gives constant phases for constant bands, which no steady tone has. In the end the
sound's own bands are measured, and what they lack of those asked for is made up for, once.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samplevae_lib.frames import Frames
from samplevae_lib.models.running_phase import running
from samplevae_lib.spectral import Spectrogram

RANGE = 1e-5  # of a clip's loudest band: what lies below, 100 dB down, is taken for silence
_MOST = 4.0  # that a band is made louder or softer by, once the sound is there
_LEAST = 1e-16  # of the loudest band's energy: keeps gradients finite in silence
_STEEPEST = 6.0  # nepers that a magnitude can be corrected by


class Block(nn.Module):
    """ConvNeXt (Liu et al., CVPR 2022) in one dimension: (clips, channels, frames) to the same."""

    def __init__(self, channels: int, scale: float):
        super().__init__()
        self.along = nn.Conv1d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.across = nn.Sequential(
            nn.Linear(channels, 3 * channels), nn.GELU(), nn.Linear(3 * channels, channels)
        )
        self.scale = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """(clips, frames, channels) to the same."""
        near = self.along(x.transpose(1, 2)).transpose(1, 2)
        return x + self.scale * self.across(self.norm(near))


class Vocoder(nn.Module):
    """mel bands (clips, n_mels, frames) → sound (clips, hop · (frames − 1))."""

    def __init__(
        self, spec: Spectrogram, *, channels: int = 160, blocks: int = 6, mended: bool = True
    ):
        super().__init__()
        self.mended = mended
        self.spec, self.linear_bins = spec, spec.n_fft // 2 + 1
        self.first = nn.Conv1d(spec.n_mels, channels, 7, padding=3)
        self.first_norm = nn.LayerNorm(channels)
        self.blocks = nn.ModuleList(Block(channels, 1 / blocks) for _ in range(blocks))
        self.last_norm = nn.LayerNorm(channels)
        self.head = nn.Linear(channels, 5 * self.linear_bins)
        self.register_buffer("implied", torch.from_numpy(implied(spec)), persistent=False)
        shares = spec.mel_filters() / np.maximum(spec.mel_filters().sum(0), 1e-12)
        self.register_buffer("filters", torch.from_numpy(spec.mel_filters()), persistent=False)
        self.register_buffer("shares", torch.from_numpy(shares), persistent=False)
        self.register_buffer("turn", torch.from_numpy(_turn(spec)), persistent=False)

    def forward(self, bands: Tensor) -> Tensor:
        """The sound, of the bands' own level; silence where there is none."""
        frames = Frames(self.spec, bands.shape[-1], bands)
        return frames.cut(frames.sound(self.asked(bands)))

    def asked(self, bands: Tensor) -> Tensor:
        """The complex spectrum, (clips, frames, bins), that the sound comes nearest to."""
        spectrum = self.spectrum(bands)
        if not self.mended:
            return spectrum
        frames = Frames(self.spec, bands.shape[-1], bands)
        return self._mended(frames.spectra(frames.sound(spectrum)), bands.transpose(1, 2))

    def spectrum(self, bands: Tensor) -> Tensor:
        """What the network makes of the bands: complex, (clips, frames, bins)."""
        columns = bands.transpose(1, 2)  # (clips, frames, n_mels)
        loudest = columns.amax((1, 2), keepdim=True).clamp(min=torch.finfo(bands.dtype).tiny)
        seen = (columns / loudest).clamp(min=RANGE).log10() / math.log10(RANGE)
        x = self.first(1 - 2 * seen.transpose(1, 2)).transpose(1, 2)
        x = self.first_norm(x)
        for block in self.blocks:
            x = block(x)
        louder, real, imaginary, faster, gate = self.head(self.last_norm(x)).chunk(5, dim=-1)
        magnitude = columns @ self.implied * louder.clamp(max=_STEEPEST).exp()
        return magnitude * self._phase(real, imaginary, faster, gate)

    def _mended(self, possible: Tensor, columns: Tensor) -> Tensor:
        """A spectrum that a sound can have, each bin louder by what its bands lack."""
        least = _LEAST * columns.amax((1, 2), keepdim=True).square()
        size = (possible.real.square() + possible.imag.square() + least).sqrt()
        lacking = columns / (size @ self.filters.T).clamp(min=torch.finfo(columns.dtype).tiny)
        kept = 1 - self.shares.sum(0)  # by bins that no band reaches
        return possible * (lacking.clamp(1 / _MOST, _MOST) @ self.shares + kept)

    def _phase(self, real: Tensor, imaginary: Tensor, faster: Tensor, gate: Tensor) -> Tensor:
        """Numbers of modulus 1, (clips, frames, bins)."""
        set_anew = F.normalize(torch.stack([real, imaginary], -1), dim=-1, eps=1e-4)
        return running(torch.view_as_complex(set_anew), self.turn + faster, torch.sigmoid(gate))


def implied(spec: Spectrogram) -> np.ndarray:
    """(n_mels, bins): magnitudes that a flat spectrum's bands imply, by the bands' own weights."""
    filters = spec.mel_filters().astype(np.float64)  # (n_mels, bins)
    share = filters / np.maximum(filters.sum(1, keepdims=True), 1e-12)  # of flat: 1
    reach = share.sum(0)
    near = np.flatnonzero(reach > 0)
    nearest = near[np.abs(np.arange(len(reach))[:, None] - near).argmin(1)]
    share, reach = share[:, nearest], reach[nearest]
    height = 1 / np.maximum(filters.sum(1, keepdims=True), 1e-12)
    return (share / reach * height).astype(np.float32)


def _turn(spec: Spectrogram) -> np.ndarray:
    """Radians that the middle of each bin turns by in a hop, (bins,)."""
    bins = np.arange(spec.n_fft // 2 + 1)
    return (2 * np.pi * (bins * spec.hop % spec.n_fft) / spec.n_fft).astype(np.float32)
