"""Ten families of synthesised instruments: what sounds when a key is pressed.

Most read one period of a wave from a stack of tables that runs from dark to bright. Whatever
distorts is computed on the period itself and then stripped of the harmonics that the sample
rate can't hold, so nothing folds back. Struck bars and strings are sums of damped partials; the
guitar is a push in a delay line that loses a little on every round.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from samplevae_lib.datasets.stand_ins.synthesis import (
    REACH,
    Panel,
    band,
    band_noise,
    clock,
    damped_partials,
    delay_line,
    fall,
    read_tables,
    rise,
    turns,
)

SWAY = 1.03  # vibrato and detuning stay within half a semitone
_HELD = 0.75  # the share of a note for which its key is down
_TABLE, _MOST_HARMONICS = 8192, 256
_PERIOD = 2 * np.pi * np.arange(_TABLE) / _TABLE


@dataclass(frozen=True)
class Key:
    """One key pressed on one instrument: Hz, force above 0 to 1, seconds, samples a second."""

    frequency: float
    force: float
    seconds: float
    rate: int
    panel: Panel

    def knob(self, low: float, high: float) -> float:
        return self.panel.knob(low, high)

    @cached_property
    def t(self) -> np.ndarray:
        return clock(self.seconds, self.rate)

    @cached_property
    def k(self) -> np.ndarray:
        """The numbers of the harmonics that fit below the highest frequency, float64."""
        count = int(REACH * self.rate / (self.frequency * SWAY))
        return np.arange(1.0, min(count, _MOST_HARMONICS) + 1)

    def let_go(self, release: float) -> np.ndarray:
        """1 while the key is down, then a fall of 60 dB in `release` seconds of a 4 s note."""
        return fall(self.t - _HELD * self.seconds, release * self.seconds / 4, shape=1.5)

    def brightness(self, low: float, high: float) -> float:
        """Where the spectrum ends, in Hz: the instrument's setting, raised by force and pitch."""
        opened = self.knob(low, high) * self.force ** self.knob(0.6, 1.2)
        return opened * (self.frequency / 262) ** 0.5 + 0.8 * self.frequency

    def vibrato(self, cents: float, *, after: float = 0.0) -> np.ndarray:
        """The moving frequency in Hz: a sway of `cents` that begins `after` seconds."""
        pace = self.panel.hand.uniform(0.95, 1.05) * self.knob(4.2, 6.8)
        sway = np.sin(2 * np.pi * pace * self.t) * rise(self.t - after, 0.8)
        return self.frequency * 2 ** (cents * sway / 1200)

    @property
    def steady(self) -> np.ndarray:
        return np.full(len(self.t), self.frequency)

    def noise(self, low: float, high: float) -> np.ndarray:
        return band_noise(self.panel.hand, len(self.t), low, high, self.rate)

    def play(
        self, spectra: np.ndarray, shade: np.ndarray, moving: np.ndarray, *, start: float = 0.0
    ) -> np.ndarray:
        """Complex `spectra` (tables, harmonics) at `moving` Hz from phase `start` in cycles.

        The loudest table has an RMS of 1. shade: see `read_tables`.
        """
        tables = np.fft.irfft(np.pad(spectra, ((0, 0), (1, 0))), _TABLE, axis=1)
        tables /= np.sqrt(np.square(tables).mean(axis=1).max())
        return read_tables(tables, shade, start + turns(moving, self.rate))

    def several(
        self, spectra: np.ndarray, shade: np.ndarray, moving: np.ndarray, cents: float
    ) -> np.ndarray:
        """One voice or, on some instruments, two more up to `cents` below and above it."""
        sound = self.play(spectra, shade, moving)
        if self.panel.chance(0.5):
            return sound
        # Softer, uneven and out of phase: three like voices would keep falling silent together.
        for side, start in zip((-1, 0.73), self.panel.home.random(2), strict=True):
            aside = moving * 2 ** (side * cents / 1200)
            sound += 0.5 * self.play(spectra, shade, aside, start=start)
        return sound

    def damped(
        self, frequencies: np.ndarray, amplitudes: np.ndarray, seconds: np.ndarray
    ) -> np.ndarray:
        """Sines that start at zero and die in their own times; three arrays (partials,)."""
        partials = frequencies, amplitudes, seconds, np.zeros(len(frequencies))
        return damped_partials(*partials, samples=len(self.t), rate=self.rate)

    def shaded(self, shape: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Harmonics of amplitudes `shape` (harmonics,) through filters that end at `ends` Hz."""
        slopes = 1 / (1 + (self.k * self.frequency / ends[:, None]) ** 4) ** 0.75
        return -1j * shape * slopes

    def body(self, low: float, high: float) -> np.ndarray:
        """How a box with four resonances between `low` and `high` Hz colours the harmonics."""
        centres = np.log2(low) + np.log2(high / low) * self.panel.home.random(4)
        gains = self.panel.home.uniform(0.3, 2.5, 4)
        distance = (np.log2(self.k * self.frequency)[:, None] - centres) / 0.25
        return 0.3 + np.exp(-(distance**2)) @ gains


def _without_folding(key: Key, periods: np.ndarray) -> np.ndarray:
    """The spectra of whole periods (tables, _TABLE), less the harmonics the rate can't hold."""
    return np.fft.rfft(periods, axis=1)[:, 1 : len(key.k) + 1]


def _modulated(key: Key, ratio: int, most: float) -> np.ndarray:
    """FM spectra of a whole ratio, with an index from near 0 to `most` radians."""
    index = np.linspace(0.05, most, 8)[:, None]
    spectra = _without_folding(key, np.sin(_PERIOD + index * np.sin(ratio * _PERIOD)))
    # Some indices put much of the power where nothing is heard: at 0 Hz or out of reach.
    return spectra / np.linalg.norm(spectra, axis=1, keepdims=True)


def _bass(key: Key) -> np.ndarray:
    """A wave behind a filter that closes after the attack, or FM that calms down likewise."""
    shade = np.exp(-key.t / key.knob(0.08, 1.2))
    gain = rise(key.t, key.knob(0.004, 0.03)) * fall(key.t, key.knob(3, 25))
    opened = key.brightness(500, 4000)
    shape = key.k ** -key.knob(0.7, 1.5) * np.abs(np.sin(np.pi * key.k * key.knob(0.08, 0.5)))
    spectra = key.shaded(shape, np.geomspace(opened * key.knob(0.1, 0.5), opened, 8))
    if key.panel.chance(0.35):
        spectra = _modulated(key, 1 + key.panel.chance(0.5), key.knob(1.5, 6) * key.force**0.8)
    return key.play(spectra, shade, key.steady) * gain * key.let_go(key.knob(0.1, 0.5))


def _brass(key: Key) -> np.ndarray:
    """Lips that start below the pitch; the louder, the brighter, within every note too."""
    blown = rise(key.t, key.knob(0.06, 0.25))
    shade = blown * (1 - key.knob(0.05, 0.4) * rise(key.t - 0.1, 0.8))
    shape = key.k ** -key.knob(0.3, 0.9) * key.body(400, 2500)
    spectra = key.shaded(shape, np.geomspace(key.frequency, key.brightness(1000, 4500), 8))
    scoop = 2 ** (-key.knob(10, 80) * np.exp(-key.t / 0.03) / 1200)
    moving = key.vibrato(key.knob(1, 12), after=0.6) * scoop
    breath = key.noise(400, 3000) * key.knob(0.003, 0.03)
    return (key.play(spectra, shade, moving) + breath) * blown * key.let_go(key.knob(0.1, 0.35))


def _flute(key: Key) -> np.ndarray:
    """Few harmonics, audible breath, a vibrato that is heard as loudness too."""
    shape = key.k ** -key.knob(1.6, 3.4)
    shape[1:2] *= key.knob(0.3, 3)
    spectra = key.shaded(shape, np.array([key.brightness(700, 3500)]))
    moving = key.vibrato(key.knob(2, 16), after=key.knob(0.1, 0.7))
    tone = key.play(spectra, np.zeros(len(key.t)), moving)
    tone *= 1 + key.knob(4, 30) * (moving / key.frequency - 1)
    air = key.noise(0.8 * key.frequency, 4 * key.frequency) * key.knob(0.01, 0.15)
    air *= 1 + key.knob(0.5, 6) * np.exp(-key.t / 0.04)
    return (tone + air) * rise(key.t, key.knob(0.04, 0.22)) * key.let_go(key.knob(0.08, 0.4))


def _guitar(key: Key) -> np.ndarray:
    """A plucked string on a box with two resonances."""
    kept = 10 ** (-3 / (key.frequency * key.knob(2.5, 14)))
    # Set by how fast 2 kHz dies, so that a string sounds alike at any rate.
    loss = 6.9 / (key.frequency * key.knob(0.3, 2.5)) / (1 - np.cos(2 * np.pi * 2000 / key.rate))
    period = key.rate / key.frequency
    string = delay_line(_pluck(key, period), period, kept=kept, loss=min(loss, 0.5))
    for low, high in ((85, 130), (180, 400)):
        centre = key.knob(low, high)
        string = string + key.knob(0.1, 1.5) * band(string, centre / 1.2, centre * 1.2, key.rate)
    return string * key.let_go(key.knob(0.1, 0.6))


def _pluck(key: Key, period: float) -> np.ndarray:
    """A click and a period of noise, hollowed by where the string is plucked, (samples,)."""
    push = key.knob(0.03, 0.3) * key.panel.hand.standard_normal(len(key.t)) / period**0.5
    push[int(period) :] = 0
    push[0] += 1
    frequencies = np.fft.rfftfreq(len(push), 1 / key.rate)
    where = key.knob(0.06, 0.5) / key.frequency
    spectrum = np.fft.rfft(push) * (1 - np.exp(-2j * np.pi * frequencies * where))
    spectrum *= np.exp(-2j * np.pi * frequencies * 0.002)  # room for the filter to ring ahead
    spectrum /= 1 + (frequencies / key.brightness(900, 6000)) ** 2
    spectrum /= (20 + frequencies) ** key.knob(0.5, 1.1)
    return np.fft.irfft(np.where(frequencies <= REACH * key.rate, spectrum, 0), len(push))


def _keyboard(key: Key) -> np.ndarray:
    """Two stiff strings under a hammer, or an electric piano: FM with a bell at the front."""
    gain = rise(key.t, 0.003) * key.let_go(key.knob(0.1, 0.6))
    lasting = key.knob(5, 20) * (262 / key.frequency) ** 0.4
    thump = key.noise(80, 700) * fall(key.t, 0.12) * key.knob(0.02, 0.2) * key.force
    if key.panel.chance(0.35):
        spectra = _modulated(key, 1, key.knob(0.8, 3.5) * key.force)
        shade = np.exp(-key.t / key.knob(0.1, 1.0))
        tone = key.play(spectra, shade, key.steady) * fall(key.t, lasting)
        bell = np.array((key.frequency * key.knob(6.5, 14.5),))
        return (tone + thump + key.force * key.damped(bell, np.array((0.3,)), 0.6)) * gain
    stiff = 1 + key.knob(5e-5, 6e-4) * key.k**2
    strings = key.k * key.frequency * np.sqrt(stiff / stiff[0])
    shape = key.k ** -key.knob(0.3, 0.9) * np.abs(np.sin(np.pi * key.k / key.knob(7, 9.5)))
    shape /= 1 + (strings / key.brightness(900, 5000)) ** 2
    dying = lasting / (1 + strings / key.knob(800, 5000))
    apart = 2 ** (key.knob(0.2, 1.2) / 1200)
    both = sum(key.damped(strings * side, shape, dying) for side in (apart, 1 / apart))
    return (both / shape.max() + thump) * gain


def _mallet(key: Key) -> np.ndarray:
    """A bar with overtones far from any harmonics, a knock, and a motor on some."""
    ratios = np.array((1, key.knob(2.7, 4.05), key.knob(5.2, 10.2), key.knob(9, 17)))
    lasting = key.knob(0.6, 8) * (262 / key.frequency) ** 0.5
    struck = np.array([1, *(key.knob(0.1, 0.9) * key.force ** (0.5 * n) for n in (1, 2, 3))])
    bar = key.damped(ratios * key.frequency, struck, lasting / ratios ** key.knob(0.5, 1.3))
    motor = 1 + key.panel.chance(0.3) * 0.35 * np.sin(2 * np.pi * key.knob(3, 7) * key.t)
    knock = key.noise(300, key.brightness(1500, 6000)) * fall(key.t, key.knob(0.01, 0.06))
    return (bar * motor + key.knob(0.03, 0.4) * knock) * key.let_go(key.knob(0.2, 1))


def _organ(key: Key) -> np.ndarray:
    """Nine drawbars, a click of the contacts, a turning loudspeaker; steady until let go."""
    feet = np.array((2, 1, 3, 4, 6, 8, 10, 12, 16))  # 8' first; in halves of the frequency
    drawn = np.array([1, key.knob(0.03, 0.4), *(key.knob(0.02, 1) for _ in feet[2:])])
    spectra = np.zeros((1, 2 * len(key.k) + 1), dtype=complex)
    held = feet < spectra.shape[1]
    spectra[0, feet[held]] = -1j * (drawn * key.force ** (0.08 * (feet - 2).clip(0)))[held]
    turning = key.vibrato(key.knob(0.5, 14))
    tone = key.play(spectra[:, 1:], np.zeros(len(key.t)), turning / 2)
    tone *= 1 + key.knob(2, 25) * (turning / key.frequency - 1)
    click = key.noise(1000, 5000) * fall(key.t, 0.02) * key.knob(0.03, 0.6) * key.force
    return (tone + click) * rise(key.t, key.knob(0.004, 0.04)) * key.let_go(key.knob(0.05, 0.25))


def _reed(key: Key) -> np.ndarray:
    """A sine bent by a reed that closes: mostly odd harmonics, more the harder it is blown."""
    drive = np.geomspace(0.3, 0.4 + key.knob(1, 9) * key.force, 8)[:, None]
    spectra = _without_folding(key, np.tanh(drive * (np.sin(_PERIOD) + key.knob(0.02, 0.9))))
    spectra *= key.body(500, 3500) / (1 + (key.k * key.frequency / key.brightness(2e3, 6e3)) ** 2)
    blown = rise(key.t, key.knob(0.03, 0.18))
    shade = blown * (1 - key.knob(0.05, 0.3) * rise(key.t - 0.1, 1))
    tone = key.play(spectra, shade, key.vibrato(key.knob(1, 14), after=0.4))
    breath = key.noise(800, 5000) * key.knob(0.004, 0.05)
    return (tone + breath) * blown * key.let_go(key.knob(0.06, 0.3))


def _string(key: Key) -> np.ndarray:
    """A bowed string, or three of them, in a body; vibrato once the note stands."""
    shape = key.k ** -key.knob(0.8, 1.2) * key.body(280, 3600)
    spectra = key.shaded(shape, np.geomspace(key.frequency, key.brightness(1800, 7000), 8))
    bowed = rise(key.t, key.knob(0.08, 0.7))
    moving = key.vibrato(key.knob(3, 22), after=key.knob(0.15, 0.6))
    tone = key.several(spectra, bowed**0.5, moving, key.knob(2, 10))
    rosin = key.noise(1200, 7000) * key.knob(0.004, 0.04) * key.force
    return (tone + rosin) * bowed * key.let_go(key.knob(0.1, 0.8))


def _synth_lead(key: Key) -> np.ndarray:
    """Saws, pulses or FM, often several out of tune, behind a filter that answers the attack."""
    closing = np.exp(-key.t / key.knob(0.05, 1.5))
    shade = key.knob(0.3, 1) * (1 - (1 - closing) * key.knob(0.1, 0.9))
    shape = np.abs(np.sin(np.pi * key.k * key.knob(0.1, 0.5))) / key.k
    shape = 1 / key.k if key.panel.chance(0.5) else shape
    spectra = key.shaded(shape, np.geomspace(key.frequency, key.brightness(2500, 12000), 8))
    if key.panel.chance(0.25):
        spectra = _modulated(key, 1 + key.panel.chance(0.5), key.knob(2, 7) * key.force)
    moving = key.vibrato(key.knob(0.5, 15), after=key.knob(0.05, 0.8))
    tone = key.several(spectra, shade, moving, key.knob(1, 18))
    return tone * rise(key.t, key.knob(0.003, 0.06)) * key.let_go(key.knob(0.05, 0.7))


# Lowest and highest MIDI key, and what sounds when it is pressed.
FAMILIES: dict[str, tuple[int, int, Callable[[Key], np.ndarray]]] = {
    "bass": (21, 64, _bass),
    "brass": (40, 84, _brass),
    "flute": (58, 98, _flute),
    "guitar": (40, 88, _guitar),
    "keyboard": (21, 108, _keyboard),
    "mallet": (45, 108, _mallet),
    "organ": (28, 100, _organ),
    "reed": (44, 93, _reed),
    "string": (28, 103, _string),
    "synth_lead": (36, 100, _synth_lead),
}
