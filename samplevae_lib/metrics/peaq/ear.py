"""The ear model of PEAQ's basic version: from sound to excitation in 109 bands.

A frame's spectrum is weighted by what outer and middle ear let through, summed into bands of a
quarter Bark, raised by the ear's own noise, spread over neighbouring bands, and made to die away
over time. Section numbers are those of BS.1387-1, annex 2; where it can be read in more ways than
one, this follows P. Kabal (2002), "An Examination and Interpretation of ITU-R BS.1387", section 2.

Energies are relative to 0 dB SPL. The first axis of every array counts frames.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numba
import numpy as np
from scipy import fft, sparse

RATE = 48000  # Hz
SIZE, HOP = 2048, 1024  # samples of a frame, and from one frame to the next
BANDS = 109
STEP = 0.25  # width of a band in Bark
LEVEL = 92.0  # dB SPL of a sine of full scale
LEAST = 1e-12  # energy that an empty band is given, so that it has a logarithm
_LOWEST, _HIGHEST = 80.0, 18000.0  # Hz
_BETWEEN_BINS = 0.84971762641205  # share of its peak that a sine of 1019.5 Hz has in the next bin
_SUMMED_AS = 0.4  # energies that meet in a band are raised to this power before they are summed
_DOWN = 10 ** (
    -2.7 * STEP
)  # share of a band's energy that reaches the next lower band (27 dB/Bark)


class Bands(NamedTuple):
    """The 109 bands.

    edges: (110,), in Hz. centre: (109,), in Hz. noise: (109,), energy of the ear's own noise.
    share: sparse (109, 1025), how much of each bin's energy passes the outer ear into each band.
    """

    edges: np.ndarray
    centre: np.ndarray
    noise: np.ndarray
    share: sparse.csr_array


class Excitation(NamedTuple):
    """Two excitations, energies (frames, 109).

    spread: over neighbouring bands ("unsmeared excitation" in the standard).
    lasting: spread, and dying away over time as well ("excitation patterns").
    """

    spread: np.ndarray
    lasting: np.ndarray


def frame_count(samples: int) -> int:
    """How many frames `frames` cuts from so many samples."""
    return max(samples // HOP, 1)


def frames(signal: np.ndarray) -> np.ndarray:
    """Cut a signal (samples,) at 48 kHz into frames that overlap by half: a view (frames, 2048).

    What is left after the last whole frame makes one more, filled up with silence, as in GstPEAQ.
    """
    padded = np.zeros((frame_count(len(signal)) + 1) * HOP)
    padded[: len(signal)] = signal
    return np.lib.stride_tricks.sliding_window_view(padded, SIZE)[::HOP]


def power(cut: np.ndarray) -> np.ndarray:
    """Energy in each bin of the spectrum: (frames, 2048) → (frames, 1025). Section 2.1.3."""
    spectrum = fft.rfft(cut * _window())
    return np.square(spectrum.real) + np.square(spectrum.imag)


def in_bands(energy: np.ndarray) -> np.ndarray:
    """Energy in each band behind the outer ear: (frames, 1025) → (frames, 109).

    Sections 2.1.4 and 2.1.5; Kabal, 2.6.
    """
    return np.maximum((bands().share @ energy.T).T, LEAST)


def hear(energy: np.ndarray) -> Excitation:
    """The excitation that energies in bands cause, both (frames, 109).

    The ear's own noise is added, the sum spread over bands and then over time. Sections 2.1.6 to
    2.1.8; Kabal, 2.7 to 2.9.
    """
    spread = spread_out(energy + bands().noise) / _spread_of_ones()
    decay = decays(0.030)
    return Excitation(spread, np.maximum(spread, follow(spread, decay, 1 - decay)))


def outer_ear(hertz: np.ndarray) -> np.ndarray:
    """Share of the energy that outer and middle ear let through, at frequencies in Hz above 0.

    Section 2.1.4, equation 7.
    """
    khz = hertz / 1000
    level = -2.184 * khz**-0.8 + 6.5 * np.exp(-0.6 * (khz - 3.3) ** 2) - 1e-3 * khz**3.6
    return 10 ** (level / 10)


@cache
def bands() -> Bands:
    """The bands, a quarter Bark wide each and the last one less. Section 2.1.5; noise: 2.1.6."""
    bark = np.minimum(_bark(_LOWEST) + STEP * np.arange(BANDS + 1), _bark(_HIGHEST))
    edges, centre = _hertz(bark), _hertz((bark[:-1] + bark[1:]) / 2)
    noise = 10 ** (0.1456 * (centre / 1000) ** -0.8)
    bins, at = np.arange(SIZE // 2 + 1), edges[:, None] * SIZE / RATE
    overlap = np.minimum(at[1:], bins + 0.5) - np.maximum(at[:-1], bins - 0.5)
    passed = np.append(0.0, outer_ear(bins[1:] * RATE / SIZE))
    return Bands(edges, centre, noise, sparse.csr_array(np.maximum(overlap, 0) * passed))


@cache
def decays(at_100_hz: float) -> np.ndarray:
    """Factor by which each band's value dies away from one frame to the next, (109,). Kabal, 2.9.

    at_100_hz: time constant at 100 Hz, in seconds; it falls towards 8 ms at high frequencies.
    """
    seconds = 0.008 + 100 / bands().centre * (at_100_hz - 0.008)
    return np.exp(-HOP / (RATE * seconds))


def follow(values: np.ndarray, decay: np.ndarray, gain: np.ndarray | float) -> np.ndarray:
    """Filter values (frames, bands) over time: out[t] = decay · out[t − 1] + gain · values[t].

    decay: (bands,), such as `decays` gives. gain: a number or (bands,); with 1 − decay the result
    is a running mean in which the past fades away. Before the first frame there is 0.
    """
    return _followed(np.ascontiguousarray(values * gain), decay)


def spread_out(energy: np.ndarray) -> np.ndarray:
    """Spread each band's energy over all bands, upwards the further the louder it is.

    (frames, 109) → (frames, 109). Downwards it falls by 27 dB a Bark; upwards by 24 + 230 / centre
    − 0.2 · (level in dB) dB a Bark. What arrives in a band is summed as powers of 0.4. Section
    2.1.7; Kabal, 2.8, without his normalisation. Computed in logarithms, since exponentials are
    many times faster than powers.
    """
    level = np.log(energy)
    up = STEP * (np.log(10) * (-2.4 - 23 / bands().centre) + 0.2 * level)
    # At some 120 dB nothing is lost on the way up, and the sum below would be 0 / 0.
    up = np.where(up == 0, LEAST, up)
    shares = np.arange(1, BANDS + 1)
    total = (1 - _DOWN**shares) / (1 - _DOWN) + np.expm1(shares[::-1] * up) / np.expm1(up) - 1
    kept = np.exp(_SUMMED_AS * (level - np.log(total)))
    summed = _shared(kept, np.exp(_SUMMED_AS * up), _DOWN**_SUMMED_AS)
    return np.square(summed) * np.sqrt(summed)


@numba.njit(cache=True)
def _followed(values, decay):
    """`follow` in place, with the gain already in the values."""
    for t in range(1, len(values)):
        for band in range(values.shape[1]):
            values[t, band] += decay[band] * values[t - 1, band]
    return values


@numba.njit(cache=True)
def _shared(kept, up, down):
    """Add to each band what arrives from the others: all in powers of 0.4, (frames, bands).

    kept: what stays in a band. up: (frames, bands), the share of it that each step upwards leaves.
    down: the same of a step downwards, one number, so that one pass collects it.
    """
    made = kept.copy()
    last = kept.shape[1] - 1
    for t in range(len(kept)):
        for band in range(last - 1, -1, -1):
            made[t, band] += down * made[t, band + 1]
        for band in range(last):
            rest = kept[t, band]
            for above in range(band + 1, last + 1):
                rest *= up[t, band]
                made[t, above] += rest
    return made


@cache
def _spread_of_ones() -> np.ndarray:
    """What spreading makes of one unit of energy in every band, (109,): it normalises the rest."""
    return spread_out(np.ones((1, BANDS)))[0]


@cache
def _window() -> np.ndarray:
    """A Hann window (2048,), scaled so that a sine of full scale has 92 dB. Kabal, 2.1, 2.2."""
    return np.hanning(SIZE) * 10 ** (LEVEL / 20) / (_BETWEEN_BINS / 4 * (SIZE - 1))


def _bark(hertz: float) -> float:
    return 7 * np.arcsinh(hertz / 650)


def _hertz(bark: np.ndarray) -> np.ndarray:
    return 650 * np.sinh(bark / 7)
