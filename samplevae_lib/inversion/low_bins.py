"""The last step of the neural way: magnitudes and phases of a sound's low bins, found anew.

At low frequencies a mel band covers only a bin or two, so the bands nearly fix the magnitudes, and
in so few bins many iterations cost little. They are Griffin and Lim's, but for one thing: the
magnitudes that an iteration asks for are those it has, made louder or softer by what each band
lacks. Bins up to an eighth of the sample rate take part, as the spectra of a sound at a quarter of
the rate; the upper quarter of them stays as it was, with a soft edge.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from samplevae_lib.inversion.phase_gradient import with_fitting_phases
from samplevae_lib.inversion.short_time import Frames, band_gain, magnitudes
from samplevae_lib.spectral import Spectrogram

_PARTS = 4  # of the rate: bins that a quarter of it can hold take part
_FREE, _FADE = 0.75, 1.5  # share of those bins that change; bins over which the change fades out
_STILL = 1e-3  # bins that would change by less than this share are left alone
_MOMENTUM = 0.99
_KEPT = 0.9  # of bins under the lowest band, in each step: else an offset at 0 Hz would build up


class _Bank(NamedTuple):
    """What leads from the changing bins to their mel bands and back.

    filters: (bins, bands). inverse: (bands, bins), their pseudo-inverse. shares: (bands, bins), how
    much each band's gain counts in each bin. change: (bins,), how far a bin changes, 0 … 1.
    bandless: (bins,), what a step keeps of bins that no band reaches, and 0 for all others. pace:
    (bins, 1), 1 and the momentum; 1 alone for bins that no band reaches.
    """

    filters: Tensor
    inverse: Tensor
    shares: Tensor
    change: Tensor
    bandless: Tensor
    pace: Tensor


def settle(
    spectra: Tensor, bands: Tensor, spec: Spectrogram, *, iterations: int, seed: int
) -> None:
    """Find the low bins of spectra (clips, frames, bins) anew, in place, to fit the bands.

    bands: (clips, n_mels, frames), made with `spec`. It begins with phases that fit the magnitudes'
    slopes; seed: of the random phases where there is next to nothing.
    """
    bank, small = _Bank(*(part.to(bands) for part in _bank(spec))), _at_a_quarter(spec)
    wanted = magnitudes(bands, spec)[..., : bank.filters.shape[1]].contiguous()
    begun = with_fitting_phases((wanted @ bank.inverse).clamp_(min=0), small, seed)
    estimate, low = spectra[..., : small.n_fft // 2 + 1].clone(), len(bank.change)
    stays = estimate[..., :low] * (1 - bank.change)
    estimate[..., :low] = stays + begun * bank.change
    frames = Frames(small, spectra.shape[1], wanted)
    before = None
    for _ in range(iterations):
        possible = frames.spectra(frames.sound(estimate))[..., :low]
        beyond = possible if before is None else _past(before, possible, bank.pace)
        gain = band_gain(beyond, wanted, bank.filters, bank.shares) + bank.bandless
        estimate[..., :low] = stays + beyond * gain
        before = possible
    spectra[..., :low] = estimate[..., :low]


def _past(before: Tensor, now: Tensor, pace: Tensor) -> Tensor:
    """before + pace · (now − before), for complex tensors."""
    # As real numbers: torch is five times as slow with complex ones here.
    both = torch.view_as_real(before), torch.view_as_real(now)
    return torch.view_as_complex(torch.lerp(*both, pace))


def _at_a_quarter(spec: Spectrogram) -> Spectrogram:
    """Short-time spectra with the same bins and frames, of a sound at a quarter of the rate."""
    if spec.n_fft % _PARTS or spec.hop % _PARTS:
        raise ValueError(
            f"low bins are settled at a quarter of the rate: n_fft {spec.n_fft} and hop {spec.hop} "
            f"must be multiples of {_PARTS}; iterations=0 does without"
        )
    rate = spec.sample_rate // _PARTS  # stands there for completeness: only bins and frames count
    return Spectrogram("stft", rate, spec.n_fft // _PARTS, spec.hop // _PARTS)


@cache
def _bank(spec: Spectrogram) -> _Bank:
    """The bands that lie in the changing bins alone, and what leads to them and back."""
    kept = spec.n_fft // (2 * _PARTS) + 1
    change = 1 / (1 + np.exp((np.arange(kept) - _FREE * (kept - 1)) / _FADE))
    change = change[change > _STILL]
    filters = spec.mel_filters().astype(np.float64)
    inside = np.flatnonzero((filters[:, len(change) :].sum(1) == 0) & (filters.sum(1) > 0))
    if not len(inside):
        hertz = len(change) * spec.sample_rate // spec.n_fft
        raise ValueError(
            f"none of {spec.n_mels} bands lies below {hertz} Hz, where low bins are settled; "
            "iterations=0 does without"
        )
    filters = filters[: inside.max() + 1, : len(change)]
    reach = filters.sum(0)
    arrays = _Bank(
        filters=filters.T,
        inverse=np.linalg.pinv(filters).T,
        shares=filters / np.where(reach > 0, reach, 1) * change,
        change=change,
        bandless=_KEPT * change * (reach == 0),
        pace=1 + _MOMENTUM * (reach[:, None] > 0),
    )
    return _Bank(*(torch.from_numpy(array.astype(np.float32)) for array in arrays))
