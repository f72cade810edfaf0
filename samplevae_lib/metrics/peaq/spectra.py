"""What PEAQ reads off two spectra, frame by frame: energies, bandwidths, the error's harmonics.

BS.1387-1, annex 2, sections 4.4, 4.5 and 4.8. Where the standard leaves something open, this does
as GstPEAQ 0.6.1 does.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import fft

from samplevae_lib.metrics.peaq import ear

_BLOCK = 128  # frames at a time: few enough to stay in the processor's cache
_TOP = 921  # from this bin on (21.6 kHz) all that the test holds is taken for noise
_LAGS = 256
_ENERGY = 8000 / 32768**2  # a frame whose second half holds less is too weak to have harmonics


class Spectra(NamedTuple):
    """What is read off the spectra of a pair.

    reference, test, error: energies in bands, (frames, 109); the error is the difference of the
        magnitudes.
    width, test_width: bandwidths in bins, (frames,).
    harmonics: how regularly the error recurs along frequency, (frames,); NaN where both sounds are
        too weak to tell.
    """

    reference: np.ndarray
    test: np.ndarray
    error: np.ndarray
    width: np.ndarray
    test_width: np.ndarray
    harmonics: np.ndarray


def spectra_of(reference: np.ndarray, test: np.ndarray) -> Spectra:
    """Read the spectra of two signals at 48 kHz, (samples,) each and equally long."""
    pair = ear.frames(reference), ear.frames(test)
    starts = range(0, len(pair[0]), _BLOCK)
    blocks = [_block(*(cut[start : start + _BLOCK] for cut in pair)) for start in starts]
    return Spectra(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))


def widths(reference: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bandwidths of both sounds in bins: energies (frames, 1025) twice → (frames,) twice.

    The test's strongest bin above 21.6 kHz is the noise. The reference reaches up to the highest
    bin that is 10 dB above it; the test up to the highest one, within the reference's bandwidth,
    that is 5 dB above it. Section 4.4.
    """
    noise = test[:, _TOP:-1].max(1, keepdims=True)
    width = _highest(reference[:, :_TOP] > 10 * noise)
    below = np.arange(_TOP) < width[:, None]
    return width, _highest((test[:, :_TOP] >= np.sqrt(10) * noise) & below)


def harmonics(reference: np.ndarray, test: np.ndarray) -> np.ndarray:
    """How regularly the error recurs along frequency: energies (frames, 1025) twice → (frames,).

    It is the highest peak in the spectrum of the autocorrelation of log(test / reference).
    Section 4.8, but with the mean removed before the window, as Kabal proposes and GstPEAQ does.
    It is 0 where this is undefined: where there is no error at all, and where one of the two has no
    energy in a bin in which the other one has some.
    """
    reference, test = (energy[:, 1 : 2 * _LAGS] for energy in (reference, test))
    known = ((reference > 0) == (test > 0)).all(1)
    error = np.subtract(*(np.log(np.where(e > 0, e, 1)) for e in (test, reference)))
    # The outer ear lets nothing of 0 Hz through, so the error is 0 in that bin.
    alike = _correlation(np.pad(error, ((0, 0), (1, 0))))
    alike -= alike.mean(1, keepdims=True)
    peaks = np.square(np.abs(fft.rfft(alike * _lag_window())))
    rising = peaks[:, 1:] > peaks[:, :-1]
    return np.where(known, (peaks[:, 1:] * rising).max(1), 0.0)


def _block(reference: np.ndarray, test: np.ndarray) -> Spectra:
    """The spectra of some frames, (frames, 2048) of each sound."""
    bins, test_bins = ear.power(reference), ear.power(test)
    error = np.square(np.sqrt(bins) - np.sqrt(test_bins))
    late = (np.square(cut[:, ear.HOP :]).sum(1) for cut in (reference, test))
    strong = np.maximum(*late) >= _ENERGY
    return Spectra(
        *(ear.in_bands(energy) for energy in (bins, test_bins, error)),
        *widths(bins, test_bins),
        np.where(strong, harmonics(bins, test_bins), np.nan),
    )


def _highest(marked: np.ndarray) -> np.ndarray:
    """Number of the highest marked bin, counted from 1, or 0: (frames, bins) → (frames,)."""
    return np.where(marked.any(1), marked.shape[1] - marked[:, ::-1].argmax(1), 0)


def _correlation(error: np.ndarray) -> np.ndarray:
    """Normalised autocorrelation of the error along frequency: (frames, 512) → (frames, 256).

    Bins 0 to 255 are compared with as many bins that begin 0 to 255 bins higher; from −1 to 1.
    """
    first = fft.rfft(error[:, :_LAGS], 2 * _LAGS)
    product = fft.irfft(fft.rfft(error) * first.conj())[:, :_LAGS]
    sums = np.pad(np.square(error).cumsum(1), ((0, 0), (1, 0)))
    energy = sums[:, _LAGS:-1] - sums[:, :_LAGS]
    size = np.sqrt(energy[:, :1] * energy)
    defined = size.min(1, keepdims=True) > 0
    return np.where(defined, product / np.where(defined, size, 1), 0.0)


@cache
def _lag_window() -> np.ndarray:
    """A Hann window over the lags, (256,), scaled as in GstPEAQ."""
    return np.sqrt(2 / 3) * 2 * np.hanning(_LAGS) / _LAGS
