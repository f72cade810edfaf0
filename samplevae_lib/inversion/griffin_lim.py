"""Phases by Griffin and Lim's iteration, classic and with momentum, and what it builds on."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numba
import numpy as np
import torch
from numba import prange
from torch import Tensor

from samplevae_lib.inversion.phase_gradient import integrated
from samplevae_lib.inversion.short_time import Frames, ahead, magnitudes, random_phases
from samplevae_lib.spectral import Spectrogram

STARTS = ("random", "pghi")


def without_phase(spectrum: Tensor, spec: Spectrogram, *, seed: int = 0) -> Tensor:
    """The inverse STFT of magnitudes alone: in every frame all partials are cosines of its middle.

    There is no chance in it: `seed` has no bearing.
    """
    frames = Frames(spec, spectrum.shape[-1], spectrum)
    wanted = magnitudes(spectrum, spec)
    return frames.cut(frames.sound(torch.complex(wanted, torch.zeros_like(wanted))))


def rebuild(
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


def rebuild_from_mel(
    bands: Tensor,
    spec: Spectrogram,
    *,
    seed: int = 0,
    solver_steps: int = 10,
    **options: Any,
) -> Tensor:
    """Griffin–Lim on the linear magnitudes that best explain the mel bands."""
    return rebuild(linear(bands, spec, steps=solver_steps), spec, seed=seed, **options)


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


_TINY = 1e-16  # squared: keeps the phase of nothing at nothing


def rebuild_by_admm(
    spectrum: Tensor,
    spec: Spectrogram,
    *,
    seed: int = 0,
    iterations: int = 32,
    rho: float = 0.2,
    start: str = "random",
) -> Tensor:
    """(clips, bins, frames) → (clips, samples): "Griffin–Lim like phase recovery via the
    alternating direction method of multipliers", IEEE Signal Processing Letters 26.

    Looks for a spectrum with the wanted magnitudes that is as near as can be to one that a sound
    can have. rho: how slowly what was left over is taken up; for 32 iterations 0.2 comes nearest,
    for 8 it is 0.4, for 128 it is 0.1 (measured on drums). start: as for griffin_lim.
    """
    if iterations < 1 or rho < 0:
        raise ValueError(f"iterations {iterations} and rho {rho}: expected ≥ 1 and ≥ 0")
    frames = Frames(spec, spectrum.shape[-1], spectrum)
    wanted = magnitudes(spectrum, spec)
    estimate = started(wanted, spec, start, seed)
    for left in reversed(range(iterations)):
        possible = frames.spectra(frames.sound(estimate))
        # The multipliers lead the iteration, but they are no part of what comes out of it.
        estimate = step(estimate, possible, wanted, rho, 1 / (1 + rho) if left else 0.0)
    return frames.cut(frames.sound(estimate))


def step(estimate: Tensor, possible: Tensor, wanted: Tensor, rho: float, share: float) -> Tensor:
    """The next sum of spectrum and multipliers, written over the last one.

    The paper's three variables follow from that sum and from the nearest spectrum that a sound can
    have, `possible`; so one sweep of memory does. share: of the multipliers that is kept,
    1 / (1 + rho), or 0 for the spectrum alone. wanted: real, all of one shape.
    """
    if possible.device.type != "cpu":
        return _plain(estimate, possible, wanted, rho, share)
    numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))
    pairs = (torch.view_as_real(t).view(-1, 2).numpy() for t in (estimate, possible))
    kind = wanted.numpy().dtype.type
    _compiled(*pairs, wanted.view(-1).numpy(), kind(rho), kind(share))
    return estimate


def _plain(estimate: Tensor, possible: Tensor, wanted: Tensor, rho: float, share: float) -> Tensor:
    aim = (rho - 1) * estimate + 2 * possible
    found = aim * (wanted * (aim.real**2 + aim.imag**2 + _TINY).rsqrt())
    return found + share * (estimate - possible)


@numba.njit(parallel=True, fastmath={"contract", "nsz", "arcp"}, cache=True)
def _compiled(estimate, possible, wanted, rho, share):
    one, two, tiny = wanted.dtype.type(1), wanted.dtype.type(2), wanted.dtype.type(_TINY)
    for row in prange(len(wanted)):
        real = (rho - one) * estimate[row, 0] + two * possible[row, 0]
        imaginary = (rho - one) * estimate[row, 1] + two * possible[row, 1]
        factor = wanted[row] / np.sqrt(real * real + imaginary * imaginary + tiny)
        estimate[row, 0] = real * factor + share * (estimate[row, 0] - possible[row, 0])
        estimate[row, 1] = imaginary * factor + share * (estimate[row, 1] - possible[row, 1])
