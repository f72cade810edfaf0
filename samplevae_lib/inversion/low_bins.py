"""The low bins of a sound, settled: there each band tells of a bin or two, so that bands and phases
can be found together, and in a few bins many iterations cost little.

Griffin and Lim's iteration, but the magnitudes it asks for are its own, made louder or softer by
what each band lacks. Only bins up to an eighth of the rate take part, as the spectra of a sound at
a quarter of it; above three quarters of those, what the sound held stays as it is.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from samplevae_lib.inversion.phase_gradient import integrated
from samplevae_lib.inversion.short_time import Frames, magnitudes
from samplevae_lib.spectral import Spectrogram

_PARTS = 4  # of the rate: what a quarter can hold takes part
_FREE, _FADE = 0.75, 1.5  # share of the bins that move; bins over which that ends
_STILL = 1e-3  # what moves by less than this share is left alone
_MOST = 4.0  # that a band is made louder or softer by in one step
_LEAST = 1e-16  # of the loudest band's energy: keeps silence silent
_MOMENTUM = 0.99
_KEPT = 0.9  # in a step, of what no band tells of: at 0 Hz, what sounds do not have would build up


class _Bank(NamedTuple):
    """Between low bands and the bins that move.

    filters: (bins, bands). inverse, shares: (bands, bins). moving: how far a bin moves, (bins,).
    alone: what is kept of bins that no band reaches, as at 0 Hz; 0 for all others. pace: 1 and the
    momentum, of which such bins have none, (bins, 1).
    """

    filters: Tensor
    inverse: Tensor
    shares: Tensor
    moving: Tensor
    alone: Tensor
    pace: Tensor


def settle(
    spectra: Tensor, bands: Tensor, spec: Spectrogram, *, iterations: int, seed: int
) -> None:
    """Find the low bins of spectra (clips, frames, bins) anew, in place, to fit their bands.

    bands: (clips, n_mels, frames). seed: of phases where there is next to nothing.
    """
    bank, small = _Bank(*(part.to(bands) for part in _bank(spec))), _at_a_quarter(spec)
    wanted = magnitudes(bands, spec)[..., : bank.filters.shape[1]].contiguous()
    begun = integrated((wanted @ bank.inverse).clamp_(min=0), small, seed)
    estimate, moved = spectra[..., : small.n_fft // 2 + 1].clone(), len(bank.moving)
    stays = estimate[..., :moved] * (1 - bank.moving)
    estimate[..., :moved] = stays + begun * bank.moving
    frames = Frames(small, spectra.shape[1], wanted)
    least, before = _LEAST * wanted.amax((1, 2), keepdim=True).square(), None
    for _ in range(iterations):
        possible = frames.spectra(frames.sound(estimate))[..., :moved]
        beyond = possible if before is None else _past(before, possible, bank.pace)
        estimate[..., :moved] = stays + beyond * _gain(beyond, wanted, bank, least)
        before = possible
    spectra[..., :moved] = estimate[..., :moved]


def _past(before: Tensor, now: Tensor, pace: Tensor) -> Tensor:
    # As real numbers: torch is five times as slow with complex ones here.
    both = torch.view_as_real(before), torch.view_as_real(now)
    return torch.view_as_complex(torch.lerp(*both, pace))


def _gain(beyond: Tensor, wanted: Tensor, bank: _Bank, least: Tensor) -> Tensor:
    """What each bin's bands lack, as far as it moves, (clips, frames, bins)."""
    size = (beyond.real.square() + beyond.imag.square() + least).sqrt()
    lacking = wanted / (size @ bank.filters).clamp(min=torch.finfo(size.dtype).tiny)
    return lacking.clamp_(1 / _MOST, _MOST) @ bank.shares + bank.alone


def _at_a_quarter(spec: Spectrogram) -> Spectrogram:
    """Short-time spectra with the same bins and frames, of a sound at a quarter of the rate."""
    if spec.n_fft % _PARTS or spec.hop % _PARTS:
        raise ValueError(
            f"low bins are settled at a quarter of the rate: n_fft {spec.n_fft} and hop {spec.hop} "
            f"must be multiples of {_PARTS}; iterations=0 does without"
        )
    rate = spec.sample_rate // _PARTS  # only for form's sake: bins and frames are what counts
    return Spectrogram("stft", rate, spec.n_fft // _PARTS, spec.hop // _PARTS)


@cache
def _bank(spec: Spectrogram) -> _Bank:
    kept = spec.n_fft // (2 * _PARTS) + 1
    moving = 1 / (1 + np.exp((np.arange(kept) - _FREE * (kept - 1)) / _FADE))
    moving = moving[moving > _STILL]
    filters = spec.mel_filters().astype(np.float64)
    inside = np.flatnonzero((filters[:, len(moving) :].sum(1) == 0) & (filters.sum(1) > 0))
    if not len(inside):
        hertz = len(moving) * spec.sample_rate // spec.n_fft
        raise ValueError(
            f"none of {spec.n_mels} bands lies below {hertz} Hz, where low bins are settled; "
            "iterations=0 does without"
        )
    filters = filters[: inside.max() + 1, : len(moving)]
    reach = filters.sum(0)
    shares = filters / np.where(reach > 0, reach, 1) * moving
    pace = 1 + _MOMENTUM * (reach[:, None] > 0)
    arrays = (
        filters.T,
        np.linalg.pinv(filters).T,
        shares,
        moving,
        _KEPT * moving * (reach == 0),
        pace,
    )
    return _Bank(*(torch.from_numpy(array.astype(np.float32)) for array in arrays))
