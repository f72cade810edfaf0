"""Synthesised notes in place of NSynth's: ten families, held keys, five velocities.

An instrument is a family with knobs set once; its notes differ in pitch and velocity. As in
NSynth a key is down for three of four seconds. What is blown, bowed or electric holds its tone (a
wave, read at a swaying pitch); what is plucked or struck rings on (a sum of damped partials).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from samplevae_lib.datasets.dataset import Clip
from samplevae_lib.datasets.stand_ins import synthesis
from samplevae_lib.datasets.stand_ins.synthesis import Panel, Range, fall, generator, rise

VELOCITIES = (25, 50, 75, 100, 127)
SWAY = 1.03  # vibrato and detuning stay within half a semitone
_DOWN = 0.75  # the share of a note for which its key is down
_UNEVEN = 4  # dB by which single harmonics stray from the slope
_PERIOD = 8192  # samples of one period of a wave
_HARMONICS = np.arange(1.0, 129.0)
_NOTES_PER_INSTRUMENT = 16
_INSTRUMENT, _SCORE, _NOTE = range(3)  # what a stream of random numbers is for


@dataclass(frozen=True)
class Family:
    """The lowest and highest MIDI key of a family, and the ranges of its settings."""

    low: int
    high: int
    slope: Range  # harmonic k has the amplitude k^−slope
    bright: Range  # Hz above which the harmonics of middle C fade at the hardest touch
    attack: Range = (0.003, 0.006)  # seconds
    rings: Range | None = None  # seconds of a fall by 60 dB at middle C; None holds the tone
    stretch: Range = (1, 1)  # partial k of what rings lies at k to this power
    even: Range = (0.5, 1)  # level of the even harmonics
    vibrato: Range = (0, 0)  # cents
    detuned: Range = (0, 0)  # cents between two voices
    breath: Range = (0, 0.01)  # level of the noise that a held tone has


FAMILIES = {
    "bass": Family(21, 64, (0.7, 1.5), (500, 4000), rings=(3, 12)),
    "brass": Family(40, 84, (0.3, 0.9), (1000, 4500), (0.06, 0.25), vibrato=(1, 12)),
    "flute": Family(
        58, 98, (1.6, 3.2), (700, 3500), (0.04, 0.22), vibrato=(2, 16), breath=(0.01, 0.12)
    ),
    "guitar": Family(40, 88, (0.6, 1.3), (1200, 6000), rings=(2.5, 10), stretch=(1, 1.0005)),
    "keyboard": Family(21, 108, (0.8, 1.6), (1000, 5000), rings=(5, 16), stretch=(1.0003, 1.002)),
    "mallet": Family(45, 108, (0.6, 2), (1200, 6000), rings=(0.6, 6), stretch=(1.45, 2)),
    "organ": Family(28, 100, (0, 0.7), (2500, 9000), (0.004, 0.04), even=(0.1, 2)),
    "reed": Family(
        44, 93, (0.4, 1.1), (1200, 5000), (0.03, 0.18), vibrato=(1, 12), even=(0.05, 0.4)
    ),
    "string": Family(
        28, 103, (0.8, 1.2), (1800, 7000), (0.08, 0.6), vibrato=(3, 20), detuned=(2, 12)
    ),
    "synth_lead": Family(36, 100, (0.5, 1.1), (2500, 12000), (0.003, 0.06), detuned=(0, 18)),
}


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
        each = min(_NOTES_PER_INSTRUMENT, len(keys))
        for k in range(per_family if keys else 0):
            number, turn = synthesis.maker_of(k, each=each, fewest=3)
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


def playable(family: str, rate: int, pitches: tuple[int, int]) -> list[tuple[int, int]]:
    """Every pitch and velocity of a family that is asked for and that the rate can hold."""
    low, high = max(FAMILIES[family].low, pitches[0]), min(FAMILIES[family].high, pitches[1])
    held = [key for key in range(low, high + 1) if _frequency(key) * SWAY <= synthesis.REACH * rate]
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
    key = _Key(
        family, _frequency(pitch), velocity / 127, synthesis.clock(seconds, rate), rate, panel
    )
    sound = _held(key) if family.rings is None else _ringing(key)
    sound *= rise(key.t, panel.knob(family.attack))
    sound *= fall(key.t - _DOWN * seconds, panel.knob((0.1, 0.6)) * seconds / 4)
    # Set by the power and not by the peak: bright notes are spikier, and would come out softer.
    peak = panel.knob((0.1, 0.24)) * key.force**0.8 * np.abs(sound).max()
    return synthesis.finish(sound, peak=np.clip(peak, 0.06, 0.95), fade=0.005 * seconds, rate=rate)


@dataclass(frozen=True)
class _Key:
    """One key pressed: its family, Hz, force above 0 to 1, times (samples,), rate, settings."""

    family: Family
    frequency: float
    force: float
    t: np.ndarray
    rate: int
    panel: Panel


def _ringing(key: _Key) -> np.ndarray:
    """What is plucked or struck: partials that die each in its time, the high ones first."""
    levels = _levels(key)
    hertz = key.frequency * _HARMONICS ** key.panel.knob(key.family.stretch)
    lasting = key.panel.knob(key.family.rings) * (262 / key.frequency) ** 0.4
    seconds = lasting / (1 + (hertz - key.frequency) / 2000)
    phases = np.zeros(len(hertz))
    return synthesis.damped_partials(
        hertz, levels, seconds, phases, samples=len(key.t), rate=key.rate
    )


def _held(key: _Key) -> np.ndarray:
    """What is blown, bowed or electric: one voice and a softer one beside it, and breath."""
    sway = np.sin(2 * np.pi * key.panel.knob((4.2, 6.8)) * key.t) * rise(key.t - 0.3, 0.8)
    moving = key.frequency * 2 ** (key.panel.knob(key.family.vibrato) * sway / 1200)
    turned = synthesis.cycles(moving, key.rate)
    beside = turned * 2 ** (key.panel.knob(key.family.detuned) / 1200)
    phases = np.exp(2j * np.pi * key.panel.home.random(len(_HARMONICS)))
    period = np.fft.irfft(np.append(0, _levels(key) * phases), _PERIOD, norm="forward") / 2
    closed, places = np.append(period, period[0]), np.linspace(0, 1, _PERIOD + 1)
    voice, other = (np.interp(at % 1, places, closed) for at in (turned, beside))
    air = synthesis.noise(key.panel.hand, len(key.t), 300, 5000, key.rate)
    return 0.6 * voice + 0.4 * other + key.panel.knob(key.family.breath) * key.force * air


def _levels(key: _Key) -> np.ndarray:
    """The amplitude of each harmonic, 0 where the rate can't hold it; together an RMS of 1."""
    hertz, knob = _HARMONICS * key.frequency, key.panel.knob
    opened = knob(key.family.bright) * key.force * (key.frequency / 262) ** 0.5
    levels = _HARMONICS ** -knob(key.family.slope)
    levels /= 1 + (hertz / (opened + 0.8 * key.frequency)) ** 2
    levels[1::2] *= knob(key.family.even)
    levels[1:] *= 10 ** (_UNEVEN * key.panel.home.normal(size=len(levels) - 1) / 20)
    levels[hertz * SWAY > synthesis.REACH * key.rate] = 0
    return levels / np.sqrt(np.square(levels).sum() / 2)
