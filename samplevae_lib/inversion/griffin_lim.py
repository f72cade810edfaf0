"""Phases by Griffin and Lim's iteration, classic and with momentum, and what it builds on."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor

from samplevae_lib.frames import Frames
from samplevae_lib.inversion.phases import ahead
from samplevae_lib.spectral import Spectrogram


def no_phase(spectrum: Tensor, spec: Spectrogram, *, seed: int = 0) -> Tensor:
    """The inverse STFT of magnitudes alone: in every frame all partials are cosines of its middle.

    There is no chance in it: `seed` has no bearing.
    """
    frames = Frames(spec, spectrum.shape[-1], spectrum)
    magnitudes = _magnitudes(spectrum, spec)
    return frames.cut(frames.sound(torch.complex(magnitudes, torch.zeros_like(magnitudes))))


def griffin_lim(
    spectrum: Tensor,
    spec: Spectrogram,
    *,
    seed: int = 0,
    iterations: int = 32,
    momentum: float = 0.99,
) -> Tensor:
    """(clips, bins, frames) → (clips, samples), from random phases.

    Each iteration takes the phase of the nearest spectrum that a sound can have. momentum: how far
    it goes beyond, along its last step (Perraudin et al. 2013); 0 is the method of 1984.
    """
    if iterations < 1 or momentum < 0:
        raise ValueError(f"iterations {iterations} and momentum {momentum}: expected ≥ 1 and ≥ 0")
    frames = Frames(spec, spectrum.shape[-1], spectrum)
    wanted = _magnitudes(spectrum, spec)
    estimate, before = _random_phases(wanted, seed), None
    for _ in range(iterations):
        possible = frames.spectra(frames.sound(estimate))
        before = possible if before is None else before
        estimate, before = ahead(possible, before, wanted, momentum), possible
    return frames.cut(frames.sound(estimate))


def mel_griffin_lim(
    magnitudes: Tensor,
    spec: Spectrogram,
    *,
    seed: int = 0,
    solver_steps: int = 15,
    **options: float,
) -> Tensor:
    """Griffin–Lim on the linear magnitudes that best explain the mel bands."""
    return griffin_lim(linear(magnitudes, spec, steps=solver_steps), spec, seed=seed, **options)


def linear(bands: Tensor, spec: Spectrogram, *, steps: int = 15) -> Tensor:
    """Non-negative x with filters · x ≈ bands: (clips, n_mels, frames) → (clips, bins, frames).

    Projected gradient steps with Nesterov's momentum, all frames at once (Beck and Teboulle 2009),
    from what the pseudo-inverse gives.
    """
    filters, inverse = (torch.from_numpy(array).to(bands) for array in _pseudo_inverse(spec))
    rate = 1 / _steepest(spec)
    columns = bands.transpose(0, 1).flatten(1)
    solution, speed = (inverse @ columns).clamp_(min=0), 1.0
    further = solution.clone()
    for _ in range(steps):
        left = torch.addmm(columns, filters, further, beta=-1)
        following = further.addmm_(filters.T, left, alpha=-rate).clamp_(min=0)
        faster = (1 + math.sqrt(1 + 4 * speed**2)) / 2
        further = torch.lerp(solution, following, 1 + (speed - 1) / faster)
        solution, speed = following, faster
    return solution.unflatten(1, (len(bands), -1)).transpose(0, 1)


@cache
def _pseudo_inverse(spec: Spectrogram) -> tuple[np.ndarray, np.ndarray]:
    """The mel filters and their pseudo-inverse."""
    return spec.mel_filters(), np.linalg.pinv(spec.mel_filters())


@cache
def _steepest(spec: Spectrogram) -> float:
    """The largest curvature of the squared error: the filters' largest singular value, squared."""
    return float(np.linalg.norm(spec.mel_filters(), 2)) ** 2


def _magnitudes(spectrum: Tensor, spec: Spectrogram) -> Tensor:
    """(clips, bins, frames) of any power as magnitudes (clips, frames, bins)."""
    turned = spectrum.transpose(-1, -2).contiguous()
    return turned if spec.power == 1 else turned ** (1 / spec.power)


def _random_phases(magnitudes: Tensor, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    turns = torch.rand(magnitudes.shape, generator=generator, dtype=magnitudes.dtype)
    return torch.polar(magnitudes, (2 * math.pi * turns).to(magnitudes.device))
