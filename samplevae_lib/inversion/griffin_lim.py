"""Griffin and Lim's iteration and its kin: with momentum, from mel bands, by multipliers (ADMM).

All of them keep the wanted magnitudes and look for phases: each iteration makes a sound of the
spectrum so far and takes over the phases that this sound's own spectrum has. `without_phase` is
what they are measured against.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from samplevae_lib.inversion.phase_gradient import with_fitting_phases
from samplevae_lib.inversion.short_time import (
    Frames,
    magnitudes,
    random_phases,
    with_magnitudes,
)
from samplevae_lib.spectral import Spectrogram

STARTS = ("random", "pghi")


def rebuild(
    spectrum: Tensor,
    spec: Spectrogram,
    *,
    seed: int = 0,
    iterations: int = 32,
    momentum: float = 0.99,
    start: str = "random",
) -> Tensor:
    """STFT magnitudes (clips, bins, frames) → (clips, samples), by Griffin and Lim's iteration.

    iterations: at least 1. momentum: how far each step goes on along the last one (Perraudin et al.
    2013); 0 is the method of 1984. start: "random" phases (by `seed`) or "pghi", phases that fit
    the slopes of the magnitudes, from which 8 iterations come about as near as 32 from random ones.
    """
    if iterations < 1 or momentum < 0:
        raise ValueError(f"iterations {iterations} and momentum {momentum}: expected ≥ 1 and ≥ 0")
    frames = Frames(spec, spectrum.shape[-1], spectrum)
    wanted = magnitudes(spectrum, spec)
    estimate, before = _first_phases(wanted, spec, start, seed), None
    for _ in range(iterations):
        possible = frames.spectra(frames.sound(estimate))
        estimate = with_magnitudes(possible, wanted, before=before, momentum=momentum)
        before = possible
    return frames.cut(frames.sound(estimate))


def rebuild_by_admm(
    spectrum: Tensor,
    spec: Spectrogram,
    *,
    seed: int = 0,
    iterations: int = 32,
    rho: float = 0.2,
    start: str = "random",
) -> Tensor:
    """STFT magnitudes (clips, bins, frames) → (clips, samples), by the alternating direction
    method of multipliers (Masuyama, Yatabe and Oikawa, IEEE Signal Processing Letters 26, 2019).

    It looks for a spectrum with the wanted magnitudes that is as near as can be to one that a sound
    can have. iterations: at least 1. rho: 0 or more; how slowly the multipliers take up what was
    left over. 0.2 comes nearest in 32 iterations, 0.4 in 8, 0.1 in 128 (measured on drums). start:
    "random" phases (by `seed`) or "pghi", phases that fit the slopes of the magnitudes.
    """
    if iterations < 1 or rho < 0:
        raise ValueError(f"iterations {iterations} and rho {rho}: expected ≥ 1 and ≥ 0")
    frames = Frames(spec, spectrum.shape[-1], spectrum)
    wanted = magnitudes(spectrum, spec)
    both = _first_phases(wanted, spec, start, seed)
    for left in reversed(range(iterations)):
        possible = frames.spectra(frames.sound(both))
        both = _admm_step(both, possible, wanted, rho, last=not left)
    return frames.cut(frames.sound(both))


def _admm_step(both: Tensor, possible: Tensor, wanted: Tensor, rho: float, *, last: bool) -> Tensor:
    """The next sum of spectrum and multipliers.

    both: the last sum; possible: the spectrum nearest to it that a sound can have. The paper's
    three variables follow from these two, so that its update is one sweep over memory. The
    multipliers lead the iteration but are no part of what comes out of the last one.
    """
    ahead, kept = (1 - rho) / (1 + rho), 0.0 if last else 1 / (1 + rho)
    return with_magnitudes(possible, wanted, before=both, momentum=ahead, kept=kept)


def rebuild_from_mel(
    bands: Tensor,
    spec: Spectrogram,
    *,
    seed: int = 0,
    solver_steps: int = 10,
    **options: Any,
) -> Tensor:
    """Mel bands (clips, n_mels, frames) → (clips, samples), by Griffin and Lim's iteration.

    It works on the linear magnitudes that best explain the bands. solver_steps: spent on finding
    those. options: of `rebuild`.
    """
    return rebuild(linear(bands, spec, steps=solver_steps), spec, seed=seed, **options)


def linear(bands: Tensor, spec: Spectrogram, *, steps: int = 15) -> Tensor:
    """Mel bands (clips, n_mels, frames) → the magnitudes (clips, bins, frames) that explain them.

    The least squares solution of filters · magnitudes = bands without negative numbers: `steps`
    projected gradient steps with Nesterov's momentum (Beck and Teboulle 2009), all frames at once,
    from what the pseudo-inverse gives. Bands of energies (power 2) give energies.
    """
    filters, inverse = (torch.from_numpy(array).to(bands) for array in _pseudo_inverse(spec))
    rate = 1 / _largest_curvature(spec)
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


def without_phase(spectrum: Tensor, spec: Spectrogram, *, seed: int = 0) -> Tensor:
    """STFT magnitudes (clips, bins, frames) → (clips, samples), with all phases zero.

    In every frame all partials are then cosines about its middle. Nothing is random: `seed` is
    taken so that all methods are called alike, and has no effect.
    """
    frames = Frames(spec, spectrum.shape[-1], spectrum)
    wanted = magnitudes(spectrum, spec)
    return frames.cut(frames.sound(torch.complex(wanted, torch.zeros_like(wanted))))


def _first_phases(wanted: Tensor, spec: Spectrogram, start: str, seed: int) -> Tensor:
    """Magnitudes (clips, frames, bins) with the phases that an iteration begins with, complex."""
    if start not in STARTS:
        raise ValueError(f"start must be one of {', '.join(STARTS)}, not {start!r}")
    if start == "random":
        return random_phases(wanted, seed)
    return with_fitting_phases(wanted, spec, seed)


@cache
def _pseudo_inverse(spec: Spectrogram) -> tuple[np.ndarray, np.ndarray]:
    """The mel filters and their pseudo-inverse."""
    return spec.mel_filters(), np.linalg.pinv(spec.mel_filters())


@cache
def _largest_curvature(spec: Spectrogram) -> float:
    """How steep the bands' squared error gets: the filters' largest singular value, squared."""
    return float(np.linalg.norm(spec.mel_filters(), 2)) ** 2
