"""Synthesised notes in place of NSynth's: ten families, held keys, five velocities.

An instrument is a family with knobs set once; its notes differ in pitch and velocity. As in
NSynth a key is down for three of four seconds. There are two ways to sound: what is blown, bowed
or electric holds its tone (a wave table that fades between dark and bright), what is plucked or
struck rings on (a sum of damped partials).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from samplevae_lib.datasets.dataset import Clip
from samplevae_lib.datasets.stand_ins.synthesis import (
    REACH,
    Panel,
    Range,
    clock,
    cycles,
    damped_partials,
    fall,
    finish,
    generator,
    noise,
    rise,
)

VELOCITIES = (25, 50, 75, 100, 127)
SWAY = 1.03  # vibrato and detuning stay within half a semitone
_DOWN = 0.75  # the share of a note for which its key is down
_TABLE = 8192  # samples of a period
_HARMONICS = np.arange(1.0, 129.0)
_NOTES_PER_INSTRUMENT, _FEWEST_INSTRUMENTS = 16, 3
_INSTRUMENT, _SCORE, _NOTE = range(3)  # what a stream of random numbers is for


@dataclass(frozen=True)
class Family:
    """The lowest and highest MIDI key of a family, and the ranges of its settings."""

    low: int
    high: int
    slope: Range  # harmonic k has the amplitude k^−slope
    bright: Range  # Hz above which the harmonics of middle C fade at the hardest touch
    even: Range = (1, 1)  # level of the even harmonics
    colour: float = 3  # dB by which single harmonics stray from the slope
    rings: Range | None = None  # seconds of a fall by 60 dB at middle C; None holds the tone
    stretch: Range = (1, 1)  # partial k of what rings lies at k to this power
    attack: Range = (0.003, 0.006)  # seconds
    release: Range = (0.1, 0.5)  # seconds
    breath: Range = (0, 0.01)  # level of the noise that a held tone has
    vibrato: Range = (0, 0)  # cents
    detuned: Range = (0, 0)  # cents between two voices


FAMILIES = {
    "bass": Family(21, 64, (0.7, 1.5), (500, 4000), (0.2, 1), rings=(3, 12)),
    "brass": Family(40, 84, (0.3, 0.9), (1000, 4500), attack=(0.06, 0.25), vibrato=(1, 12)),
    "flute": Family(
        58, 98, (1.6, 3.2), (700, 3500), attack=(0.04, 0.22), breath=(0.01, 0.12), vibrato=(2, 16)
    ),
    "guitar": Family(
        40, 88, (0.6, 1.3), (1200, 6000), (0.4, 1), 6, rings=(2.5, 10), stretch=(1.0001, 1.0005)
    ),
    "keyboard": Family(
        21, 108, (0.8, 1.6), (1000, 5000), rings=(5, 16), stretch=(1.0003, 1.002)
    ),
    "mallet": Family(
        45, 108, (0.6, 2), (1200, 6000), rings=(0.6, 6), stretch=(1.45, 2), release=(0.2, 1)
    ),
    "organ": Family(28, 100, (0, 0.7), (2500, 9000), colour=10, attack=(0.004, 0.04)),
    "reed": Family(
        44, 93, (0.4, 1.1), (1200, 5000), (0.05, 0.5), attack=(0.03, 0.18), vibrato=(1, 12)
    ),
    "string": Family(
        28, 103, (0.8, 1.2), (1800, 7000), colour=5, attack=(0.08, 0.6), release=(0.1, 0.8),
        vibrato=(3, 20), detuned=(2, 12),
    ),
    "synth_lead": Family(
        36, 100, (0.5, 1.1), (2500, 12000), (0.1, 1), attack=(0.003, 0.06), vibrato=(0, 12),
        detuned=(0, 18),
    ),
}  # fmt: skip


def note_clips(
    *,
    per_family: int,
    sample_rate: int,
    seed: int,
    seconds: float = 4.0,
    pitches: tuple[int, int] = (0, 127),
    families: Collection[str] = tuple(FAMILIES),
) -> Iterator[Clip]:
    """`per_family` notes of each of the `families`; note k is the same for any `per_family`.

    sample_rate in Hz. seconds: length of a note. pitches: lowest and highest MIDI key.
    An instrument plays each key at five velocities at most, so that of few keys there are more
    instruments. Keys too high for the rate are not played; a family that has none of the keys is
    left out.
    """
    for place, family in enumerate(FAMILIES):
        keys = playable(family, sample_rate, pitches) if family in families else []
        held = min(_NOTES_PER_INSTRUMENT, len(keys))
        for k in range(per_family if keys else 0):
            number, turn = _instrument_of(k, held)
            order = generator(seed, _SCORE, place, number).permutation(len(keys))
            pitch, velocity = keys[order[turn]]
            # Made anew for every note, so that all notes of an instrument have its settings.
            home = generator(seed, _INSTRUMENT, place, number)
            panel = Panel(home, generator(seed, _NOTE, place, k))
            group = f"{family}_stand-in_{number:03d}"
            attributes = {"pitch": pitch, "velocity": velocity, "family": family}
            yield Clip(
                audio=note(FAMILIES[family], pitch, velocity, seconds, sample_rate, panel),
                name=f"{group}-{pitch:03d}-{velocity:03d}",
                label=family,
                group=group,
                attributes=attributes | {"source": "synthetic"},
            )


def _instrument_of(k: int, held: int) -> tuple[int, int]:
    """Which instrument plays note k, and as the how manieth of its `held` notes.

    The first instruments share the first notes, so that small sets have several too.
    """
    if k < _FEWEST_INSTRUMENTS * held:
        return k % _FEWEST_INSTRUMENTS, k // _FEWEST_INSTRUMENTS
    return k // held, k % held


def playable(family: str, rate: int, pitches: tuple[int, int]) -> list[tuple[int, int]]:
    """Every pitch and velocity of a family that is asked for and that the rate can hold."""
    low, high = max(FAMILIES[family].low, pitches[0]), min(FAMILIES[family].high, pitches[1])
    held = [key for key in range(low, high + 1) if _frequency(key) * SWAY <= REACH * rate]
    return [(pitch, velocity) for pitch in held for velocity in VELOCITIES]


def _frequency(pitch: int) -> float:
    """The frequency of a MIDI key in Hz, equal temperament on A4 = 440 Hz."""
    return 440.0 * 2 ** ((pitch - 69) / 12)


def note(
    family: Family, pitch: int, velocity: int, seconds: float, rate: int, panel: Panel
) -> np.ndarray:
    """One key pressed on one instrument: float32 (samples,), louder and brighter with velocity.

    seconds: length of the note. rate: Hz. panel: the settings of the instrument.
    """
    key = _Key(family, _frequency(pitch), velocity / 127, clock(seconds, rate), rate, panel)
    sound = _held(key) if family.rings is None else _ringing(key)
    sound *= rise(key.t, key.knob(family.attack))
    sound *= fall(key.t - _DOWN * seconds, key.knob(family.release) * seconds / 4)
    # Set by the power and not by the peak: bright notes are spikier, and would come out softer.
    peak = key.knob((0.1, 0.24)) * key.force**0.8 * np.abs(sound).max()
    return finish(sound, peak=np.clip(peak, 0.06, 0.95), fade=0.005 * seconds, rate=rate)


@dataclass(frozen=True)
class _Key:
    """One key pressed: its family, Hz, force above 0 to 1, times (samples,), rate, settings."""

    family: Family
    frequency: float
    force: float
    t: np.ndarray
    rate: int
    panel: Panel

    def knob(self, ends: Range) -> float:
        return self.panel.knob(ends)


def _ringing(key: _Key) -> np.ndarray:
    """What is plucked or struck: partials that die each in its time, the high ones first."""
    levels = _levels(key)
    hertz = key.frequency * _HARMONICS ** key.knob(key.family.stretch)
    seconds = key.knob(key.family.rings) * (262 / key.frequency) ** 0.4
    seconds = seconds / (1 + (hertz - key.frequency) / 2000)
    phases = np.zeros(len(hertz))
    return damped_partials(hertz, levels, seconds, phases, samples=len(key.t), rate=key.rate)


def _held(key: _Key) -> np.ndarray:
    """What is blown, bowed or electric: a wave that grows darker, read at a swaying pitch."""
    phases = np.exp(2j * np.pi * key.panel.home.random(len(_HARMONICS)))
    audible = _HARMONICS * key.frequency * SWAY <= REACH * key.rate
    bright = _levels(key) * phases * audible
    shade = np.exp(-key.t / key.knob((0.3, 3)))
    sway = np.sin(2 * np.pi * key.knob((4.2, 6.8)) * key.t) * rise(key.t - 0.3, 0.8)
    moving = key.frequency * 2 ** (key.knob(key.family.vibrato) * sway / 1200)
    turned = cycles(moving, key.rate)
    beside = turned * 2 ** (key.knob(key.family.detuned) / 1200)
    tone = sum(
        level * (shade * _read(bright, at) + (1 - shade) * _read(bright / _HARMONICS, at))
        for level, at in ((0.6, turned), (0.4, beside))
    )
    air = noise(key.panel.hand, len(key.t), 300, 5000, key.rate)
    return tone + key.knob(key.family.breath) * key.force * air


def _levels(key: _Key) -> np.ndarray:
    """The amplitude of each harmonic; together they have an RMS of 1."""
    opened = key.knob(key.family.bright) * key.force * (key.frequency / 262) ** 0.5
    end = opened + 0.8 * key.frequency
    levels = _HARMONICS ** -key.knob(key.family.slope)
    levels /= 1 + (_HARMONICS * key.frequency / end) ** 2
    levels[1::2] *= key.knob(key.family.even)
    levels[1:] *= 10 ** (key.family.colour * key.panel.home.normal(size=len(levels) - 1) / 20)
    return levels / np.sqrt(np.square(levels).sum() / 2)


def _read(harmonics: np.ndarray, turned: np.ndarray) -> np.ndarray:
    """An oscillator: one period with these complex harmonics, read at the phase `turned`."""
    period = np.fft.irfft(np.append(0, harmonics), _TABLE, norm="forward") / 2
    return np.interp(turned % 1, np.linspace(0, 1, _TABLE + 1), np.append(period, period[0]))
