"""Synthesised drum sounds in place of recorded ones: eight classes from imaginary drum machines.

Every sound is a sum of layers: a skin (a sine that drops to its pitch, and an overtone), metal (a
crowd of inharmonic partials), noise in a band. A class is a set of ranges; a machine has one
setting within each range, from which its hits stray a little. The ranges of neighbouring classes
overlap, as they do on records: a low tom is nearly a kick, a short open hat nearly a shaker.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from samplevae_lib.datasets.dataset import Clip
from samplevae_lib.datasets.stand_ins import synthesis
from samplevae_lib.datasets.stand_ins.synthesis import Panel, Range, fall, generator, rise

MACHINES = 40
SHORTEST, LONGEST = 0.06, 2.5  # seconds
_AUDIBLE = 0.9  # the share of a fall of 60 dB that is kept: it ends at −54 dB
_STRAY = 0.18  # how far hits stray, as a share of each range
_OPEN_HATS = 0.4  # their share of all hats
_HIGHEST_METAL = 14000  # Hz
_MACHINE, _PATCH, _HIT, _WIDE = range(4)  # what a stream of random numbers is for


def drum_clips(*, per_class: int, sample_rate: int, seed: int) -> Iterator[Clip]:
    """`per_class` hits of every class, class by class; clip k is the same for any `per_class`.

    sample_rate in Hz. A clip depends on seed, rate, class and k alone.
    """
    for place, label in enumerate(CLASSES):
        for k in range(per_class):
            number = machine_of(k)
            patch, hand = generator(seed, _PATCH, number, place), generator(seed, _HIT, place, k)
            hit = _hit(generator(seed, _MACHINE, number), Panel(patch, hand, _STRAY), sample_rate)
            is_open = label == "hat" and hand.random() < _OPEN_HATS
            audio = hit.play(OPEN_HAT if is_open else CLASSES[label])
            group = f"machine-{number + 1:02d}"
            yield Clip(audio=audio, name=f"{group}/{label}-{k:03d}", label=label, group=group)


def wide_clips(
    *, per_class: int, sample_rate: int, seed: int, widened: float = 1.5
) -> Iterator[Clip]:
    """Like `drum_clips`, but each hit is from a machine of its own, and all ranges are wider.

    For networks that are to know as many kinds of drums as can be before they hear a recorded one.
    widened: what the lower end of a range is divided by, and its upper end multiplied with.
    """
    for place, label in enumerate(CLASSES):
        for k in range(per_class):
            chance = generator(seed, _WIDE, place, k)
            hit = _hit(chance, Panel(chance, chance), sample_rate)
            is_open = label == "hat" and chance.random() < _OPEN_HATS
            layers = OPEN_HAT if is_open else CLASSES[label]
            audio = hit.play(tuple(_wider(layer, widened) for layer in layers))
            yield Clip(audio=audio, name=f"{label}-{k:05d}", label=label, group=f"{label}-{k:05d}")


def machine_of(k: int) -> int:
    """Which of the 40 machines makes hit k of a class."""
    number, _ = synthesis.maker_of(k, each=8, fewest=4)
    return number % MACHINES


@dataclass(frozen=True)
class _Hit:
    """One press of one pad of a machine.

    panel: the knobs of this sound. rate: Hz.
    tuning, brightness, length: the machine's factors on every pitch, band and fall.
    drive: its gain into saturation. level: the peak of its usual hit.
    """

    panel: Panel
    rate: int
    tuning: float
    brightness: float
    length: float
    drive: float
    level: float

    def hertz(self, ends: Range) -> float:
        return self.panel.knob(ends) * self.brightness

    def play(self, layers: tuple[Skin | Metal | Noise, ...]) -> np.ndarray:
        """The sum of the layers, saturated, at the level of the machine; float32 (samples,)."""
        longest = LONGEST / _AUDIBLE
        falls = [self.panel.knob(layer.seconds) * self.length for layer in layers]
        t = synthesis.clock(_AUDIBLE * np.clip(max(falls), SHORTEST / _AUDIBLE, longest), self.rate)
        sound = sum(
            self.panel.knob(layer.level) * layer.sound(self, t, min(seconds, longest))
            for layer, seconds in zip(layers, falls, strict=True)
        )
        driven = np.tanh(self.drive * sound / np.abs(sound).max())
        peak = min(0.98, self.level * self.panel.hand.uniform(0.75, 1.15))
        return synthesis.finish(
            driven, peak=peak, fade=np.clip(0.12 * t[-1], 0.006, 0.05), rate=self.rate
        )


def _hit(machine: np.random.Generator, panel: Panel, rate: int) -> _Hit:
    tuning, brightness, length = 2 ** (machine.normal(size=3) * (0.16, 0.25, 0.35))
    drive, level = np.exp(machine.uniform(-1.6, 1.2)), machine.uniform(0.35, 0.95)
    return _Hit(panel, rate, tuning, brightness, length, drive, level)


@dataclass(frozen=True)
class Skin:
    """The head of a drum: a sine that drops to its pitch, and an overtone."""

    pitch: Range  # Hz
    drop: Range  # how far above its pitch it begins, as a share of it
    settling: Range  # seconds that the drop takes
    seconds: Range  # of its fall by 60 dB
    overtone: Range  # its level beside the sine's
    level: Range = (1, 1)

    def sound(self, hit: _Hit, t: np.ndarray, seconds: float) -> np.ndarray:
        drop = 1 + hit.panel.knob(self.drop) * np.exp(-t / hit.panel.knob(self.settling))
        turned = synthesis.cycles(hit.panel.knob(self.pitch) * hit.tuning * drop, hit.rate)
        overtone = hit.panel.knob(self.overtone) * np.sin(2 * np.pi * 1.7 * turned)
        return (np.sin(2 * np.pi * turned) + overtone * fall(t, seconds)) * fall(t, seconds)


@dataclass(frozen=True)
class Metal:
    """A crowd of inharmonic partials from `lowest` up to 14 kHz, of which the high die first."""

    partials: int
    lowest: Range  # Hz
    seconds: Range  # of its fall by 60 dB
    tilt: Range  # their level rises with the frequency to this power
    level: Range = (1, 1)

    def sound(self, hit: _Hit, t: np.ndarray, seconds: float) -> np.ndarray:
        lowest = min(hit.hertz(self.lowest), 0.15 * hit.rate)  # low rates must hold some, too
        hertz = lowest * (_HIGHEST_METAL / lowest) ** hit.panel.home.random(self.partials)
        # Where a low rate holds none of them, the lowest is brought down to what it holds.
        hertz[hertz.argmin()] = min(hertz.min(), synthesis.REACH * hit.rate)
        levels = hit.panel.home.exponential(size=self.partials)
        levels *= (hertz / 5000) ** hit.panel.knob(self.tilt)
        falls = seconds * np.minimum(1, (3000 / hertz) ** 0.4)
        phases = hit.panel.hand.uniform(0, 2 * np.pi, self.partials)
        crowd = synthesis.damped_partials(
            hertz, levels, falls, phases, samples=len(t), rate=hit.rate
        )
        return crowd / np.abs(crowd).max()


@dataclass(frozen=True)
class Noise:
    """Noise in a band, struck once, or several times by hands that miss each other."""

    low: Range  # Hz
    high: Range  # Hz
    seconds: Range  # of its fall by 60 dB
    level: Range = (1, 1)
    attack: Range = (0.0005, 0.001)  # seconds
    strikes: Range = (1, 1)

    def sound(self, hit: _Hit, t: np.ndarray, seconds: float) -> np.ndarray:
        attack, apart = hit.panel.knob(self.attack), hit.panel.knob((0.004, 0.017))
        envelope = np.zeros(len(t))
        strikes = int(hit.panel.knob(self.strikes))
        for strike in range(strikes):
            late = t - strike * apart
            falling = seconds if strike == strikes - 1 else 0.04  # only the last one rings on
            envelope += rise(late, attack) * fall(late, falling)
        low, high = hit.hertz(self.low), hit.hertz(self.high)
        return envelope * synthesis.noise(hit.panel.hand, len(t), low, high, hit.rate) / 3


def _wider(layer: Skin | Metal | Noise, by: float) -> Skin | Metal | Noise:
    """The layer with wider ranges; what is fixed stays, and a tilt moves by its own measure."""
    ranges = {each.name: getattr(layer, each.name) for each in fields(layer)}
    wider = {name: (low / by, high * by) for name, (low, high) in _open(ranges).items()}
    if "tilt" in ranges:
        low, high = ranges["tilt"]
        wider["tilt"] = (low - by + 1, high + by - 1)
    return replace(layer, **wider)


def _open(ranges: dict[str, Range | int]) -> dict[str, Range]:
    return {name: r for name, r in ranges.items() if isinstance(r, tuple) and r[0] < r[1]}


CLASSES: dict[str, tuple[Skin | Metal | Noise, ...]] = {
    "kick": (
        Skin((42, 95), (0.3, 6), (0.008, 0.06), (0.18, 1.1), overtone=(0, 0.1)),
        Noise((150, 250), (1000, 8000), (0.015, 0.12), level=(0.05, 1)),
    ),
    "snare": (
        Skin((140, 300), (0.03, 0.8), (0.01, 0.02), (0.1, 0.4), (0.1, 0.8), level=(0.1, 1.5)),
        Noise((300, 1800), (2500, 10000), (0.12, 0.7)),
    ),
    "hat": (
        Metal(24, (2500, 6000), (0.06, 0.3), tilt=(0.3, 1)),
        Noise((4000, 8500), (9000, 16000), (0.06, 0.3), level=(0.2, 1.5)),
    ),
    "crash": (
        Metal(90, (350, 1500), (0.9, 3), tilt=(0, 0.8)),
        Noise((1500, 5000), (8000, 16000), (0.6, 2.5), level=(0.4, 2.5), attack=(0.001, 0.02)),
    ),
    "ride": (
        Metal(8, (1200, 4500), (0.7, 2.8), tilt=(-0.8, 0.3)),
        Metal(40, (400, 2000), (0.7, 2.5), tilt=(0, 0.6), level=(0.3, 1.2)),
        Noise((4000, 8000), (13000, 14000), (0.02, 0.4), level=(0.1, 1)),
    ),
    "clap": (Noise((450, 1500), (2000, 6500), (0.15, 0.8), strikes=(2.5, 5.5)),),
    "shaker": (Noise((3000, 7500), (8000, 16000), (0.06, 0.35), attack=(0.01, 0.1)),),
    "tom": (
        Skin((75, 320), (0.04, 1.4), (0.015, 0.12), (0.3, 2.2), overtone=(0.03, 0.6)),
        Noise((150, 250), (1000, 7000), (0.02, 0.25), level=(0.05, 0.9)),
    ),
}
OPEN_HAT = (
    Metal(24, (2500, 6000), (0.4, 2), tilt=(0.3, 1)),
    Noise((4000, 8500), (9000, 16000), (0.4, 2), level=(0.2, 1.5)),
)
