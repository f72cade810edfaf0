"""What iterations begin with: the magnitudes as they take them, and random phases."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from samplevae_lib.spectral import Spectrogram


def magnitudes(spectrum: Tensor, spec: Spectrogram) -> Tensor:
    """(clips, bins, frames) of any power as magnitudes (clips, frames, bins)."""
    turned = spectrum.transpose(-1, -2).contiguous()
    return turned if spec.power == 1 else turned ** (1 / spec.power)


def random_phases(wanted: Tensor, seed: int) -> Tensor:
    """A complex tensor of the wanted magnitudes, each phase as likely as any other."""
    generator = torch.Generator().manual_seed(seed)
    turns = torch.rand(wanted.shape, generator=generator, dtype=wanted.dtype)
    return torch.polar(wanted, (2 * math.pi * turns).to(wanted.device))
