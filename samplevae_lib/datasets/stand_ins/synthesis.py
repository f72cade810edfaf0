"""The parts both synthesisers are built from: chance, envelopes, filtered noise, partials, endings.

Sounds are float64 (samples,) until `finish`; times are in seconds, frequencies in Hz.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.signal import butter, lfilter, sosfilt

REACH = 0.45  # highest frequency of any partial, as a share of the sample rate
_BLOCK = 512


def generator(seed: int, *place: int) -> np.random.Generator:
    """A stream of chance of its own for every place (class, clip, …) below one seed."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=place))


@dataclass(frozen=True)
class Panel:
    """The knobs of a machine or instrument, and the hand that does not set them alike twice.

    home: draws the settings; made anew from one seed for every sound of the instrument.
    hand: draws what differs from sound to sound, and all noise.
    stray: how far the hand strays, as a share of each knob's way.
    """

    home: np.random.Generator
    hand: np.random.Generator
    stray: float

    def knob(self, low: float, high: float) -> float:
        """A setting between two positive ends, evenly spread over its logarithm."""
        turn = abs(self.home.random() + self.stray * self.hand.normal())
        # Reflected at both ends, so that settings do not pile up there.
        return low * (high / low) ** abs(1 - abs(1 - turn))

    def chance(self, probability: float) -> bool:
        """Whether this instrument, in all its sounds, has a trait."""
        return bool(self.home.random() < probability)


def clock(seconds: float, rate: int) -> np.ndarray:
    """Time of every sample in seconds, (samples,)."""
    return np.arange(max(2, round(seconds * rate))) / rate


def fall(t: np.ndarray, seconds: float, *, shape: float = 1.0) -> np.ndarray:
    """An envelope from 1 at t ≤ 0 down by 60 dB in `seconds`; shape > 1 holds on and then drops."""
    return 10 ** (-3 * (np.maximum(t, 0) / seconds) ** shape)


def rise(t: np.ndarray, seconds: float) -> np.ndarray:
    """An envelope from 0 towards 1, within 1 % of it after `seconds`."""
    return -np.expm1(-4.6 * np.maximum(t, 0) / seconds)


def turns(frequency: np.ndarray, rate: int) -> np.ndarray:
    """Phase in cycles, (samples,), of an oscillator whose frequency in Hz moves."""
    return (np.cumsum(frequency) - frequency[0]) / rate


def band(sound: np.ndarray, low: float, high: float, rate: int) -> np.ndarray:
    """Band-pass, 12 dB an octave on each side; edges the rate can't hold move down."""
    high = min(high, REACH * rate)
    low = min(low, high / 1.4)
    return sosfilt(butter(2, (low, high), "bandpass", fs=rate, output="sos"), sound)


def band_noise(
    rng: np.random.Generator, samples: int, low: float, high: float, rate: int
) -> np.ndarray:
    """Noise between two frequencies, with an RMS of 1 however narrow the band, (samples,)."""
    noise = band(rng.standard_normal(samples), low, high, rate)
    return noise / np.sqrt(np.square(noise).mean())


def damped_partials(
    frequencies: np.ndarray,
    amplitudes: np.ndarray,
    seconds: np.ndarray,
    phases: np.ndarray,
    *,
    samples: int,
    rate: int,
) -> np.ndarray:
    """The sum of sines that each fall by 60 dB in their own time; four arrays (partials,).

    What lies above `REACH` is left out.
    """
    amplitudes = np.where(frequencies <= REACH * rate, amplitudes, 0.0)
    pole = (2j * np.pi * frequencies - np.log(1000) / seconds) / rate
    # exp(p(b + n)) = exp(pb) · exp(pn): a sum over partials is one product of two small matrices.
    starts = np.arange(0, samples, _BLOCK)
    coarse = np.exp(np.outer(starts, pole) + 1j * phases) * amplitudes
    return (coarse @ np.exp(np.outer(pole, np.arange(_BLOCK)))).imag.ravel()[:samples]


def read_tables(tables: np.ndarray, shade: np.ndarray, cycles: np.ndarray) -> np.ndarray:
    """An oscillator: at phase `cycles` (samples,) from periods (tables, points).

    shade: 0 for the first table to 1 for the last, (samples,).
    """
    closed = np.column_stack([tables, tables[:, 0]])
    places = [shade * (len(tables) - 1), cycles % 1 * tables.shape[1]]
    return map_coordinates(closed, places, order=1, mode="nearest")


def delay_line(push: np.ndarray, period: float, *, kept: float, loss: float) -> np.ndarray:
    """Karplus and Strong's string: a `push` that returns, smoothed, every `period` samples (≥ 4).

    kept: what a round leaves of the amplitude. loss: 0 … 0.5, how much duller it returns.
    """
    whole = int(period) - 3
    loop = np.convolve((loss / 2, 1 - loss, loss / 2), _fraction(period - 1 - whole))
    feedback = np.zeros(whole + len(loop))
    feedback[0] = 1
    feedback[whole:] -= kept * loop
    return lfilter([1.0], feedback, push)


def _fraction(delay: float) -> np.ndarray:
    """A filter of six taps that delays by 2 to 3 samples (Lagrange interpolation)."""
    taps = np.arange(6)
    return np.array([np.prod((delay - taps[taps != n]) / (n - taps[taps != n])) for n in taps])


def finish(sound: np.ndarray, *, peak: float, fade: float, rate: int) -> np.ndarray:
    """Ramp the first 0.3 ms and the last `fade` seconds, centre, scale to `peak`: float32."""
    ends = _ends(len(sound), min(round(fade * rate), len(sound)), max(2, round(0.0003 * rate)))
    sound = sound * ends
    # Spread as a bump rather than a constant, so that both ends stay at zero.
    bump = np.hanning(len(sound))
    sound -= bump * (sound.sum() / bump.sum())
    return (sound * (peak / np.abs(sound).max())).astype(np.float32)


def _ends(samples: int, fade: int, ramp: int) -> np.ndarray:
    gain = np.ones(samples)
    gain[:ramp] = np.arange(1, ramp + 1) / ramp
    gain[samples - fade :] *= np.cos(np.linspace(0, np.pi / 2, fade)) ** 2
    return gain
