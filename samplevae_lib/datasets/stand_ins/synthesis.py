"""What the synthesisers of drums and notes share: chance, envelopes, noise, partials, endings.

Sounds are float64 (samples,) until `finish`; times are in seconds, frequencies in Hz.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfilt

REACH = 0.45  # highest frequency of any partial, as a share of the sample rate
Range = tuple[float, float]
_BLOCK = 512  # samples


def generator(seed: int, *place: int) -> np.random.Generator:
    """Random numbers of their own for every place (class, machine, clip, …) below one seed."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=place))


def maker_of(k: int, *, each: int, fewest: int) -> tuple[int, int]:
    """Which machine or instrument makes clip k of a class, and which of its clips that is.

    each: clips that one makes. The first `fewest` share the first clips, so that small sets have
    several makers too.
    """
    if k < fewest * each:
        return k % fewest, k // fewest
    return k // each, k % each


@dataclass(frozen=True)
class Panel:
    """The knobs of a machine or instrument, and the hand that never sets them quite alike.

    home: draws the instrument's own settings; made anew from one seed for each of its sounds.
    hand: draws what differs from sound to sound, and all noise.
    stray: how far the hand strays, as a share of each knob's range.
    """

    home: np.random.Generator
    hand: np.random.Generator
    stray: float = 0.0

    def knob(self, ends: Range) -> float:
        """A setting between two ends, evenly spread."""
        turn = self.home.random() + self.stray * self.hand.normal()
        return float(np.interp(turn, (0, 1), ends))


def clock(seconds: float, rate: int) -> np.ndarray:
    """The time of every sample."""
    return np.arange(max(2, round(seconds * rate))) / rate


def fall(t: np.ndarray, seconds: float | np.ndarray) -> np.ndarray:
    """An envelope that is 1 until t = 0 and falls by 60 dB in every `seconds` from there."""
    return 10 ** (-3 * np.maximum(t, 0) / seconds)


def rise(t: np.ndarray, seconds: float) -> np.ndarray:
    """An envelope that is 0 until t = 0 and comes within 1 % of 1 in `seconds`."""
    return -np.expm1(-4.6 * np.maximum(t, 0) / seconds)


def cycles(frequency: np.ndarray, rate: int) -> np.ndarray:
    """How often an oscillator of this moving frequency (samples,) has turned at each sample."""
    return (np.cumsum(frequency) - frequency[0]) / rate


def noise(rng: np.random.Generator, samples: int, low: float, high: float, rate: int) -> np.ndarray:
    """Noise between two frequencies, 12 dB an octave on each side, with an RMS of 1."""
    high = min(high, REACH * rate)
    low = min(low, high / 1.4)
    band = butter(2, (low, high), "bandpass", fs=rate, output="sos")
    sound = sosfilt(band, rng.standard_normal(samples))
    return sound / np.sqrt(np.square(sound).mean())


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


def finish(sound: np.ndarray, *, peak: float, fade: float, rate: int) -> np.ndarray:
    """Fade in over 0.3 ms and out over `fade` seconds, centre, scale to `peak`; float32."""
    into, out = max(2, round(0.0003 * rate)), max(2, round(fade * rate))
    ends = np.ones(len(sound))
    ends[:into] = np.linspace(0, 1, into)
    ends[-out:] *= np.sin(np.linspace(np.pi / 2, 0, out)) ** 2
    sound = sound * ends
    # Centred by a bump and not by a constant, so that both ends stay at zero.
    bump = np.hanning(len(sound))
    sound -= bump * (sound.sum() / bump.sum())
    return (sound * (peak / np.abs(sound).max())).astype(np.float32)
