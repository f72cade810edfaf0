"""PGHI: phases integrated from the slopes of the magnitudes, loudest bins first, in one go.

For a Gaussian window the phase's slopes along time and frequency are those of the logarithm of the
magnitude along the other axis; a Hann window is nearly one (Průša, Balazs and Søndergaard,
"A noniterative method for reconstruction of phase from STFT magnitude", IEEE/ACM TASLP 25, 2017).
"""

from __future__ import annotations

import heapq
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numba
import numpy as np
import torch
from torch import Tensor

from samplevae_lib.inversion.short_time import Frames, magnitudes, random_phases
from samplevae_lib.spectral import Spectrogram

_HANN = 0.25645  # the nearest Gaussian exp(−π t² / γ) has γ = _HANN · n_fft² (Průša et al.)
_TOLERANCE = 1e-6  # of a clip's largest magnitude: what is softer gets a random phase
_FLOOR = 1e-10  # of it too: zeros have no logarithm
_LEAST = 1e-30  # the floor of a silent clip


def rebuild(spectrum: Tensor, spec: Spectrogram, *, seed: int = 0) -> Tensor:
    """STFT magnitudes (clips, bins, frames) → (clips, samples), without iterations.

    seed: of the random phases that the softest bins get.
    """
    frames = Frames(spec, spectrum.shape[-1], spectrum)
    return frames.cut(frames.sound(with_fitting_phases(magnitudes(spectrum, spec), spec, seed)))


def with_fitting_phases(wanted: Tensor, spec: Spectrogram, seed: int) -> Tensor:
    """Magnitudes (clips, frames, bins) with phases that fit their slopes, complex.

    seed: of the random phases of bins below the tolerance.
    """
    made = random_phases(wanted, seed)
    one_clip = partial(_phases, n_fft=spec.n_fft, hop=spec.hop)
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        found = list(pool.map(one_clip, wanted.detach().cpu().numpy()))
    phases = torch.from_numpy(np.stack(found)).to(wanted)
    return torch.where(phases.isnan(), made, torch.polar(wanted, phases))


def _phases(loudness: np.ndarray, n_fft: int, hop: int) -> np.ndarray:
    """Magnitudes (frames, bins) → radians in [0, 2π) of bins above the tolerance; NaN below it."""
    audible = np.flatnonzero(loudness > loudness.max() * _TOLERANCE)
    ranked = np.argsort(-loudness.ravel()[audible], kind="stable")  # ties alike on every machine
    phases = np.full(loudness.shape, np.nan)
    _integrate(audible[ranked], _slopes(loudness, n_fft, hop), phases)
    return (phases % (2 * np.pi)).astype(loudness.dtype)


def _slopes(loudness: np.ndarray, n_fft: int, hop: int) -> np.ndarray:
    """Radians from a frame to the next and from a bin to the next, (2, frames, bins).

    Phases count from a window's first sample, hence half a turn from bin to bin.
    """
    level = np.log(np.maximum(loudness, float(loudness.max()) * _FLOOR + _LEAST, dtype=np.float64))
    ratio = hop / (_HANN * n_fft)  # hop · n_fft / γ
    over_bins, over_frames = np.zeros_like(level), np.zeros_like(level)
    # A real sound's spectrum is even about both its ends, so it has no slope there.
    over_bins[:, 1:-1] = (level[:, 2:] - level[:, :-2]) / 2
    if len(level) > 1:
        over_frames = np.gradient(level, axis=0)
    turn = 2 * np.pi * hop * np.arange(level.shape[1]) / n_fft
    return np.stack([ratio * over_bins + turn, -over_frames / ratio - np.pi])


@numba.njit(nogil=True, cache=True)
def _integrate(order, slopes, phases):
    """From the loudest bin to its neighbours and on, always from the loudest reached so far.

    order: the bins that get a phase, counted frame by frame, from loud to soft. phases (frames,
    bins): NaN at first, filled in place. Bins stand in the heap by their place in that order. A bin
    that no loud enough neighbour leads to is begun anew with phase zero.
    """
    bins = phases.shape[1]
    rank = np.full(phases.size, -1)
    for place in range(len(order)):
        rank[order[place]] = place
    for first in range(len(order)):
        start = divmod(order[first], bins)
        if np.isnan(phases[start]):
            phases[start] = 0
            heap = [first]
            while heap:
                _spread(heap, order, rank, slopes, phases)


@numba.njit(nogil=True, cache=True)
def _spread(heap, order, rank, slopes, phases):
    """Take the loudest bin off the heap and lead its phase on to those beside it."""
    frames, bins = phases.shape
    at = divmod(order[heapq.heappop(heap)], bins)
    for axis in range(2):
        for step in (-1, 1):
            to = (at[0] + step, at[1]) if axis == 0 else (at[0], at[1] + step)
            if not (0 <= to[0] < frames and 0 <= to[1] < bins):
                continue
            reached = rank[to[0] * bins + to[1]]
            if reached >= 0 and np.isnan(phases[to]):
                slope = (slopes[axis][at] + slopes[axis][to]) / 2
                phases[to] = phases[at] + step * slope
                heapq.heappush(heap, reached)
