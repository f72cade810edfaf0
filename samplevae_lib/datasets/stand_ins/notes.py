"""Synthesised notes in place of NSynth's: ten families, held keys, five velocities.

An instrument is a family with knobs set once; its notes differ in pitch and velocity. As in
NSynth a key is down for three of four seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from samplevae_lib.datasets.dataset import Clip
from samplevae_lib.datasets.stand_ins.instruments import FAMILIES, SWAY, Key
from samplevae_lib.datasets.stand_ins.synthesis import REACH, Panel, finish, generator

VELOCITIES = (25, 50, 75, 100, 127)
_NOTES_PER_INSTRUMENT, _FEWEST_INSTRUMENTS = 16, 3
_INSTRUMENT, _SCORE, _NOTE = range(3)  # what a stream of chance is for


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

    pitches: lowest and highest MIDI key. An instrument plays each key at five velocities at most,
    so that of few keys there are more instruments. Keys too high for `sample_rate` (in Hz) are not
    played; a family that has none of the keys is left out.
    """
    for place, family in enumerate(FAMILIES):
        if family not in families:
            continue
        keys = playable(family, sample_rate, pitches)
        held = min(_NOTES_PER_INSTRUMENT, len(keys))
        scores: dict[int, Iterator[tuple[int, int]]] = {}
        for k in range(per_family if keys else 0):
            number = _instrument_of(k, held)
            if number not in scores:
                rng = generator(seed, _SCORE, place, number)
                scores[number] = _score(rng, family, keys)
            pitch, velocity = next(scores[number])
            home = generator(seed, _INSTRUMENT, place, number)
            # No straying: an instrument's notes differ by what is played, and by their noise.
            panel = Panel(home, generator(seed, _NOTE, place, k), stray=0.0)
            key = Key(_frequency(pitch), velocity / 127, seconds, sample_rate, panel)
            attributes = {"pitch": pitch, "velocity": velocity, "family": family}
            group = f"{family}_stand-in_{number:03d}"
            yield Clip(
                audio=_sound(family, key),
                name=f"{group}-{pitch:03d}-{velocity:03d}",
                label=family,
                group=group,
                attributes=attributes | {"source": "synthetic"},
            )


def _instrument_of(k: int, held: int) -> int:
    """The first instruments share the first notes, so that small sets have several too.

    held: notes of an instrument.
    """
    if k < _FEWEST_INSTRUMENTS * held:
        return k % _FEWEST_INSTRUMENTS
    return k // held


def playable(family: str, rate: int, pitches: tuple[int, int]) -> set[tuple[int, int]]:
    """Every pitch and velocity of the register that is asked for and that the rate can hold."""
    return {
        (pitch, velocity)
        for pitch, velocity in _register(family)
        if pitches[0] <= pitch <= pitches[1] and _frequency(pitch) * SWAY <= REACH * rate
    }


def _score(
    rng: np.random.Generator, family: str, playable: set[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """What can be played, once, in random order."""
    pairs = _register(family)
    return (pairs[i] for i in rng.permutation(len(pairs)) if pairs[i] in playable)


def _register(family: str) -> list[tuple[int, int]]:
    low, high, _ = FAMILIES[family]
    return [(pitch, velocity) for pitch in range(low, high + 1) for velocity in VELOCITIES]


def _frequency(pitch: int) -> float:
    """The frequency of a MIDI key in Hz, equal temperament on A4 = 440 Hz."""
    return 440.0 * 2 ** ((pitch - 69) / 12)


def _sound(family: str, key: Key) -> np.ndarray:
    """The note as float32 (samples,), the louder the harder the key is hit."""
    wanted = key.knob(0.1, 0.24) * key.force ** key.knob(0.5, 0.8)
    _, _, voice = FAMILIES[family]
    sound = voice(key)
    # Not the peak: brighter notes are spikier, and would come out softer for all the force.
    crest = np.abs(sound).max() / _loudest(sound)
    peak = np.clip(crest * wanted, 0.06, 0.95)
    return finish(sound, peak=peak, fade=0.005 * key.seconds, rate=key.rate)


def _loudest(sound: np.ndarray) -> float:
    """The RMS of the loudest fortieth."""
    pieces = np.array_split(np.square(sound), 40)
    return float(np.sqrt(max(piece.mean() for piece in pieces)))
