"""What PEAQ reads off two spectra, frame by frame: energies, bandwidths, the error's harmonics.

BS.1387-1, sections 4.4, 4.5 and 4.8; where the standard leaves it open, as GstPEAQ 0.6.1 does.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import fft

from samplevae_lib.metrics.peaq import ear

_BLOCK = 128  # frames at a time: few enough to stay in the processor's cache
_TOP = 921  # from this bin on (21.6 kHz) the test is taken for noise
_LAGS = 256
_ENERGY = 8000 / 32768**2  # of a frame's later half, from which on its error has harmonics


class Spectra(NamedTuple):
    """Energies per band, (frames, 109), of the reference, the test and the error between them;
    bandwidths in bins, (frames,); harmonics of the error, (frames,), NaN where both are too weak.
    """

    reference: np.ndarray
    test: np.ndarray
    error: np.ndarray
    width: np.ndarray
    test_width: np.ndarray
    harmonics: np.ndarray


def spectra_of(reference: np.ndarray, test: np.ndarray) -> Spectra:
    """Of two signals at 48 kHz of one length, (samples,) each."""
    pair = ear.frames(reference), ear.frames(test)
    starts = range(0, len(pair[0]), _BLOCK)
    blocks = [_block(*(cut[start : start + _BLOCK] for cut in pair)) for start in starts]
    return Spectra(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))


def widths(reference: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bandwidths in bins: energies per bin, (frames, 1025) → (frames,) each. Section 4.4.

    How far up the reference stands 10 dB, and no higher than that the test 5 dB, over the test's
    noise.
    """
    noise = test[:, _TOP:-1].max(1, keepdims=True)
    width = _highest(reference[:, :_TOP] > 10 * noise)
    below = np.arange(_TOP) < width[:, None]
    return width, _highest((test[:, :_TOP] >= np.sqrt(10) * noise) & below)


def harmonics(reference: np.ndarray, test: np.ndarray) -> np.ndarray:
    """How regularly the error recurs along frequency: energies (frames, 1025) → (frames,).

    The highest peak in the spectrum of the autocorrelation of log(test / reference). Section 4.8,
    but the mean taken off before the window, as Kabal proposes and GstPEAQ does. 0 where that is
    undefined: without any error, and where only one of the two has nothing in some bin.
    """
    reference, test = (energy[:, 1 : 2 * _LAGS] for energy in (reference, test))
    known = ((reference > 0) == (test > 0)).all(1)
    error = np.subtract(*(np.log(np.where(e > 0, e, 1)) for e in (test, reference)))
    # The outer ear lets nothing of 0 Hz through, so that there is no error.
    alike = _correlation(np.pad(error, ((0, 0), (1, 0))))
    alike -= alike.mean(1, keepdims=True)
    peaks = np.square(np.abs(fft.rfft(alike * _lag_window())))
    rising = peaks[:, 1:] > peaks[:, :-1]
    return np.where(known, (peaks[:, 1:] * rising).max(1), 0.0)


def _block(reference: np.ndarray, test: np.ndarray) -> Spectra:
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
    """One more than the last marked bin, 0 without any: (frames, bins) → (frames,)."""
    return np.where(marked.any(1), marked.shape[1] - marked[:, ::-1].argmax(1), 0)


def _correlation(error: np.ndarray) -> np.ndarray:
    """Of bins 0 to 255 with those up to 255 further on, from −1 to 1: (frames, 512) → (…, 256)."""
    first = fft.rfft(error[:, :_LAGS], 2 * _LAGS)
    product = fft.irfft(fft.rfft(error) * first.conj())[:, :_LAGS]
    sums = np.pad(np.square(error).cumsum(1), ((0, 0), (1, 0)))
    energy = sums[:, _LAGS:-1] - sums[:, :_LAGS]
    size = np.sqrt(energy[:, :1] * energy)
    defined = size.min(1, keepdims=True) > 0
    return np.where(defined, product / np.where(defined, size, 1), 0.0)


@cache
def _lag_window() -> np.ndarray:
    return np.sqrt(2 / 3) * 2 * np.hanning(_LAGS) / _LAGS
