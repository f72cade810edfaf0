"""Phases by Griffin and Lim's iteration, classic and with momentum, and what it builds on."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from samplevae_lib.frames import Frames
from samplevae_lib.inversion.heap import integrated
from samplevae_lib.inversion.phases import ahead
from samplevae_lib.inversion.starts import magnitudes, random_phases
from samplevae_lib.spectral import Spectrogram

STARTS = ("random", "pghi")


def no_phase(spectrum: Tensor, spec: Spectrogram, *, seed: int = 0) -> Tensor:
    """The inverse STFT of magnitudes alone: in every frame all partials are cosines of its middle.

    There is no chance in it: `seed` has no bearing.
    """
    frames = Frames(spec, spectrum.shape[-1], spectrum)
    wanted = magnitudes(spectrum, spec)
    return frames.cut(frames.sound(torch.complex(wanted, torch.zeros_like(wanted))))


def griffin_lim(
    spectrum: Tensor,
    spec: Spectrogram,
    *,
    seed: int = 0,
    iterations: int = 32,
    momentum: float = 0.99,
    start: str = "random",
) -> Tensor:
    """(clips, bins, frames) → (clips, samples), from random phases.

    Each iteration takes the phase of the nearest spectrum that a sound can have. momentum: how far
    it goes beyond, along its last step (Perraudin et al. 2013); 0 is the method of 1984. start:
    "random" or "pghi", phases that fit the magnitudes' slopes; from those, 8 iterations come about
    as near as 32 from random ones.
    """
    if iterations < 1 or momentum < 0:
        raise ValueError(f"iterations {iterations} and momentum {momentum}: expected ≥ 1 and ≥ 0")
    frames = Frames(spec, spectrum.shape[-1], spectrum)
    wanted = magnitudes(spectrum, spec)
    estimate, before = started(wanted, spec, start, seed), None
    for _ in range(iterations):
        possible = frames.spectra(frames.sound(estimate))
        before = possible if before is None else before
        estimate, before = ahead(possible, before, wanted, momentum), possible
    return frames.cut(frames.sound(estimate))


def started(wanted: Tensor, spec: Spectrogram, start: str, seed: int) -> Tensor:
    """Magnitudes (clips, frames, bins) with the phases that an iteration begins with, complex."""
    if start not in STARTS:
        raise ValueError(f"start must be one of {', '.join(STARTS)}, not {start!r}")
    return random_phases(wanted, seed) if start == "random" else integrated(wanted, spec, seed)


def mel_griffin_lim(
    bands: Tensor,
    spec: Spectrogram,
    *,
    seed: int = 0,
    solver_steps: int = 10,
    **options: Any,
) -> Tensor:
    """Griffin–Lim on the linear magnitudes that best explain the mel bands."""
    return griffin_lim(linear(bands, spec, steps=solver_steps), spec, seed=seed, **options)


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
