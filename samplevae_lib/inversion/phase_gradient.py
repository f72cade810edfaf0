"""Phases integrated from the slopes of the magnitudes, loudest bins first: no iteration at all.

For a Gaussian window the phase's slopes along time and frequency are those of the logarithm of the
magnitude along the other axis; a Hann window is nearly one (Průša, Balazs and Søndergaard,
"A noniterative method for reconstruction of phase from STFT magnitude", IEEE/ACM TASLP 25, 2017).
"""

from __future__ import annotations

import heapq

import numba
import numpy as np
import torch
from numba import prange
from torch import Tensor

from samplevae_lib.inversion.short_time import Frames, magnitudes, random_phases
from samplevae_lib.spectral import Spectrogram

_HANN = 0.25645  # the nearest Gaussian exp(−π t² / γ) has γ = _HANN · n_fft² (Průša et al.)
_TOLERANCE = 1e-6  # of a clip's largest magnitude: what is softer gets a random phase
_FLOOR = 1e-10  # of it too: zeros have no logarithm
_LEAST = 1e-30  # of a silent clip


def rebuild(spectrum: Tensor, spec: Spectrogram, *, seed: int = 0) -> Tensor:
    """(clips, bins, frames) → (clips, samples), by phase gradient heap integration."""
    frames = Frames(spec, spectrum.shape[-1], spectrum)
    return frames.cut(frames.sound(integrated(magnitudes(spectrum, spec), spec, seed)))


def integrated(wanted: Tensor, spec: Spectrogram, seed: int) -> Tensor:
    """Magnitudes (clips, frames, bins) with phases that fit their slopes, complex.

    seed: of the phases below the tolerance.
    """
    numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))
    made = random_phases(wanted, seed)
    loudness = wanted.detach().cpu().numpy()
    phases = torch.from_numpy(_phases(loudness, spec.n_fft, spec.hop)).to(wanted)
    return torch.where(phases.isnan(), made, torch.polar(wanted, phases))


def _phases(loudness: np.ndarray, n_fft: int, hop: int) -> np.ndarray:
    """Radians in [0, 2π) of bins above the tolerance; NaN below it."""
    made = np.full(loudness.shape, np.nan, loudness.dtype)
    _each_clip(loudness, n_fft, hop, made)
    return made


@numba.njit(parallel=True, cache=True)
def _each_clip(loudness, n_fft, hop, made):
    for clip in prange(len(loudness)):
        slopes = _slopes(loudness[clip], n_fft, hop)
        made[clip] = _integrated(loudness[clip], slopes) % (2 * np.pi)


@numba.njit(cache=True)
def _slopes(loudness, n_fft, hop):
    """Radians from a frame to the next and from a bin to the next, (2, frames, bins).

    Phases count from a window's first sample, hence half a turn from bin to bin.
    """
    frames, bins = loudness.shape
    level = np.log(np.maximum(loudness, loudness.max() * _FLOOR + _LEAST))
    ratio = hop / (_HANN * n_fft)  # hop · n_fft / γ
    slopes = np.empty((2, frames, bins))
    for frame in range(frames):
        before, after = max(frame - 1, 0), min(frame + 1, frames - 1)
        for bin in range(bins):
            # A real sound's spectrum is even about both its ends, so it has no slope there.
            inside = 0 < bin < bins - 1
            rise = (level[frame, bin + 1] - level[frame, bin - 1]) / 2 if inside else 0.0
            slopes[0, frame, bin] = ratio * rise + 2 * np.pi * hop * bin / n_fft
            rise = (level[after, bin] - level[before, bin]) / max(after - before, 1)
            slopes[1, frame, bin] = -rise / ratio - np.pi
    return slopes


@numba.njit(cache=True)
def _integrated(loudness, slopes):
    """From the loudest bin to its neighbours and on, always from the loudest reached so far.

    Bins stand in the heap by their rank in loudness. What no loud enough neighbour leads to is
    begun anew with phase zero; below the tolerance phases stay NaN.
    """
    order = np.argsort(-loudness.ravel())
    rank = np.empty(order.shape, np.int64)
    rank[order] = np.arange(len(order))
    audible = np.sum(loudness > loudness.max() * _TOLERANCE)
    phases = np.full(loudness.shape, np.nan)
    for first in range(audible):
        start = divmod(order[first], loudness.shape[1])
        if np.isnan(phases[start]):
            phases[start] = 0
            heap = [first]
            while heap:
                _spread(heap, order, rank, audible, slopes, phases)
    return phases


@numba.njit(cache=True)
def _spread(heap, order, rank, audible, slopes, phases):
    """Take the loudest bin off the heap and lead its phase on to those beside it."""
    frames, bins = phases.shape
    at = divmod(order[heapq.heappop(heap)], bins)
    for axis in range(2):
        for step in (-1, 1):
            to = (at[0] + step, at[1]) if axis == 0 else (at[0], at[1] + step)
            if not (0 <= to[0] < frames and 0 <= to[1] < bins):
                continue
            reached = rank[to[0] * bins + to[1]]
            if reached < audible and np.isnan(phases[to]):
                slope = (slopes[axis][at] + slopes[axis][to]) / 2
                phases[to] = phases[at] + step * slope
                heapq.heappush(heap, reached)
