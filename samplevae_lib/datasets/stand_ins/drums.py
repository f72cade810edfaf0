"""Synthesised drum sounds in place of recorded ones: eight classes from imaginary drum machines.

A machine has a character (tuning, brightness, length, dirt, level) and, for every class, a
patch; its clips stray from the patch a little. The ranges of neighbouring classes overlap, as
they do on records: a low tom is nearly a kick, a short open hat nearly a shaker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from samplevae_lib.datasets.dataset import Clip
from samplevae_lib.datasets.stand_ins.synthesis import (
    Panel,
    band,
    band_noise,
    clock,
    damped_partials,
    fall,
    finish,
    generator,
    rise,
    turns,
)

SHORTEST, LONGEST = 0.06, 2.5  # seconds
_AUDIBLE = 0.9  # the share of a fall of 60 dB that is kept: it ends at −54 dB
_CLIPS_PER_MACHINE, _FEWEST_MACHINES, _MOST_MACHINES = 8, 4, 40
_MACHINE, _PATCH, _HIT = range(3)  # what a stream of chance is for


def drum_clips(*, per_class: int, sample_rate: int, seed: int) -> Iterator[Clip]:
    """`per_class` hits of every class, class by class; clip k is the same for any `per_class`."""
    for place, (label, voice) in enumerate(_VOICES.items()):
        for k in range(per_class):
            number = _machine_of(k)
            hit = _hit(seed, place, number, k, sample_rate)
            group = f"machine-{number + 1:02d}"
            audio = _through(hit, voice(hit))
            yield Clip(audio=audio, name=f"{group}/{label}-{k:03d}", label=label, group=group)


def _machine_of(k: int) -> int:
    """The first machines share the first clips, so that small sets have several machines too."""
    if k < _FEWEST_MACHINES * _CLIPS_PER_MACHINE:
        return k % _FEWEST_MACHINES
    return k // _CLIPS_PER_MACHINE % _MOST_MACHINES


@dataclass(frozen=True)
class _Machine:
    """What all sounds of a machine share.

    tuning, brightness, length: factors on every pitch, filter and decay.
    drive: gain into saturation. levels: steps of the converter on either side of zero.
    converter: its rate in Hz. hiss: RMS of its noise. level: peak of a usual hit.
    """

    tuning: float
    brightness: float
    length: float
    drive: float
    levels: float
    converter: float
    hiss: float
    level: float


def _machine(seed: int, number: int) -> _Machine:
    rng = generator(seed, _MACHINE, number)
    tuning, brightness, length = 2 ** (rng.normal(size=3) * (0.16, 0.25, 0.35))
    return _Machine(
        tuning=tuning,
        brightness=brightness,
        length=length,
        drive=np.exp(rng.uniform(-1.6, 1.2)),
        levels=2 ** rng.choice((15, 11, rng.uniform(4, 8)), p=(0.45, 0.25, 0.3)),
        converter=rng.choice((96e3, rng.uniform(1e4, 3e4)), p=(0.65, 0.35)),
        hiss=10 ** (rng.uniform(-95, -50) / 20),
        level=rng.uniform(0.35, 0.95),
    )


@dataclass(frozen=True)
class _Hit:
    """One press of one pad: a machine, the knobs of its patch and the rate in Hz."""

    machine: _Machine
    panel: Panel
    rate: int

    def knob(self, low: float, high: float) -> float:
        return self.panel.knob(low, high)

    def pitch(self, low: float, high: float) -> float:
        """A frequency in Hz, moved by the machine's tuning."""
        return self.knob(low, high) * self.machine.tuning

    def bright(self, low: float, high: float) -> float:
        """A filter edge or partial in Hz, moved by the machine's brightness."""
        return self.knob(low, high) * self.machine.brightness

    def seconds(self, low: float, high: float) -> float:
        """A time for a fall of 60 dB, moved by the machine's length."""
        return min(self.knob(low, high) * self.machine.length, LONGEST / _AUDIBLE)

    def clock(self, seconds: float) -> np.ndarray:
        """The time axis of a hit that falls by 60 dB in `seconds`, less its inaudible end."""
        return clock(min(max(_AUDIBLE * seconds, SHORTEST), LONGEST), self.rate)

    def noise(self, t: np.ndarray, low: float, high: float) -> np.ndarray:
        """Band noise with an RMS of a third, so that its peaks are near 1, as a sine's are."""
        return band_noise(self.panel.hand, len(t), low, high, self.rate) / 3

    def sine(self, frequency: np.ndarray) -> np.ndarray:
        return np.sin(2 * np.pi * turns(frequency, self.rate))


def _hit(seed: int, place: int, number: int, k: int, rate: int) -> _Hit:
    patch, hand = generator(seed, _PATCH, number, place), generator(seed, _HIT, place, k)
    return _Hit(_machine(seed, number), Panel(patch, hand, stray=0.22), rate)


def _through(hit: _Hit, sound: np.ndarray) -> np.ndarray:
    """The output of the machine: saturation, a coarse converter, hiss, level; float32."""
    machine, rng, samples = hit.machine, hit.panel.hand, len(sound)
    driven = np.tanh(machine.drive * sound / np.abs(sound).max())
    hold = max(1, round(hit.rate / machine.converter))
    held = driven[np.arange(samples) // hold * hold] / np.abs(driven).max()
    crushed = np.round(held * machine.levels) / machine.levels
    noisy = crushed + machine.hiss * rng.standard_normal(samples)
    peak = min(0.98, machine.level * rng.uniform(0.75, 1.15))
    fade = np.clip(0.12 * samples / hit.rate, 0.006, 0.05)
    return finish(noisy, peak=peak, fade=fade, rate=hit.rate)


def _kick(hit: _Hit) -> np.ndarray:
    """A sine that drops to its pitch, driven, with a click of noise in front."""
    seconds = hit.seconds(0.16, 1.2)
    t = hit.clock(seconds)
    drop = 1 + hit.knob(0.3, 7) * np.exp(-t / hit.knob(0.006, 0.06))
    body = hit.sine(hit.pitch(42, 100) * drop) * fall(t, seconds, shape=hit.knob(0.8, 1.7))
    click = hit.noise(t, 200, hit.bright(900, 9000)) * fall(t, hit.knob(0.015, 0.12))
    return np.tanh(hit.knob(0.3, 2.2) * (body + hit.knob(0.05, 2) * click))


def _snare(hit: _Hit) -> np.ndarray:
    """Two modes of a skin that sag a little, and the rattle of the wires."""
    skin, wires = hit.seconds(0.1, 0.4), hit.seconds(0.12, 0.75)
    t = hit.clock(max(skin, wires))
    pitch = hit.pitch(140, 300) * (1 + hit.knob(0.03, 0.8) * np.exp(-t / 0.012))
    tone = hit.sine(pitch) + hit.knob(0.1, 0.8) * hit.sine(pitch * hit.knob(1.4, 2.1))
    rattle = hit.noise(t, hit.bright(300, 1800), hit.bright(2500, 10000))
    rattle *= fall(t, wires, shape=hit.knob(0.7, 1.5))
    return tone * fall(t, skin) * hit.knob(0.08, 1.8) + rattle


def _hat(hit: _Hit) -> np.ndarray:
    """Inharmonic squares or FM pairs through a high band, and noise; one machine has both lengths.

    The squares are not band-limited: what folds back only makes them more metallic.
    """
    is_open = hit.panel.hand.random() < 0.4
    closed_seconds, open_seconds = hit.seconds(0.06, 0.3), hit.seconds(0.4, 2.2)
    seconds = open_seconds if is_open else closed_seconds
    t = hit.clock(seconds)
    base = hit.pitch(230, 700)
    ratios = 1 + np.cumsum(hit.panel.home.uniform(0.15, 0.9, 6))
    waves = np.sin(2 * np.pi * base * np.outer(ratios, t))
    if hit.panel.chance(0.5):
        metal = np.sign(waves).sum(axis=0)
    else:
        metal = np.sin(hit.knob(3, 12) * waves[:3] + 9 * waves[3:]).sum(axis=0)
    low = hit.bright(3500, 8500)
    metal = band(metal, low, 2.5 * low, hit.rate) / 2
    hiss = hit.noise(t, low, hit.bright(9000, 16000)) * hit.knob(0.15, 2.5)
    return (metal + hiss) * fall(t, seconds, shape=hit.knob(0.6, 1.4))


def _cymbal(hit: _Hit, t: np.ndarray, seconds: float, *, partials: int, low: float) -> np.ndarray:
    """A crowd of partials from `low` to 14 kHz, the high ones dying first; RMS a third."""
    rng = hit.panel.home
    low = min(low, 0.15 * hit.rate)  # or a low rate could hold none of them
    frequencies = low * (14000 / low) ** rng.random(partials)
    tilt = (frequencies / 5000) ** np.log(hit.knob(1.0, 3.5))
    amplitudes = rng.exponential(size=partials) * tilt / (1 + (frequencies / 9000) ** 4)
    lasting = seconds * np.minimum(1.0, (3000 / frequencies) ** np.log(hit.knob(1.02, 2)))
    phases = hit.panel.hand.uniform(0, 2 * np.pi, partials)
    crowd = damped_partials(frequencies, amplitudes, lasting, phases, samples=len(t), rate=hit.rate)
    return crowd / (3 * np.sqrt(np.square(crowd[: hit.rate // 10]).mean()))


def _crash(hit: _Hit) -> np.ndarray:
    """A dense wash that blooms within milliseconds and dies slowly, with a burst in front."""
    seconds = hit.seconds(0.9, 3.2)
    t = hit.clock(seconds)
    wash = _cymbal(hit, t, seconds, partials=90, low=hit.bright(350, 1500))
    spray = hit.noise(t, hit.bright(2000, 6000), hit.bright(8000, 16000))
    spray *= fall(t, seconds * hit.knob(0.4, 1.0), shape=hit.knob(0.5, 1.0))
    burst = hit.noise(t, 800, hit.bright(4000, 9000)) * fall(t, 0.15) * hit.knob(0.1, 1.0)
    return (wash + hit.knob(0.4, 3) * spray) * rise(t, hit.knob(0.001, 0.02)) + burst


def _ride(hit: _Hit) -> np.ndarray:
    """A thinner cymbal that says ping: a few strong partials above a quiet wash."""
    seconds = hit.seconds(0.7, 3.0)
    t = hit.clock(seconds)
    wash = _cymbal(hit, t, seconds, partials=40, low=hit.bright(400, 2500))
    lowest = min(hit.bright(2200, 6500), 0.3 * hit.rate)
    pings = lowest * np.cumsum((1, *hit.panel.home.uniform(0.15, 0.5, 3)))
    lasting = seconds * hit.knob(0.25, 0.8) * np.array((1, 0.8, 0.6, 0.5))
    phases = hit.panel.hand.uniform(0, 2 * np.pi, 4)
    ping = damped_partials(
        pings, np.array((1, 0.7, 0.5, 0.4)), lasting, phases, samples=len(t), rate=hit.rate
    )
    stick = hit.noise(t, hit.bright(4000, 8000), 14000) * fall(t, hit.knob(0.02, 0.6))
    return wash + hit.knob(0.08, 1.0) * ping + hit.knob(0.15, 1.5) * stick


def _clap(hit: _Hit) -> np.ndarray:
    """Some hands that miss each other by milliseconds, and the room behind them."""
    rng, tail = hit.panel.hand, hit.seconds(0.18, 0.9)
    hands, apart = int(hit.knob(1.6, 5.99)), hit.knob(0.004, 0.017)
    t = hit.clock(tail + hands * apart)
    strikes = np.arange(hands) * apart * rng.uniform(0.85, 1.15, hands)
    late = t - strikes[:, None]
    each = (late >= 0) * fall(late, hit.knob(0.02, 0.07)) * rng.uniform(0.6, 1, (hands, 1))
    room = (t >= strikes[-1]) * fall(t - strikes[-1], tail) * hit.knob(0.15, 1.5)
    colour = hit.noise(t, hit.bright(450, 1500), hit.bright(2000, 6500))
    return colour * (each.sum(axis=0) + room)


def _shaker(hit: _Hit) -> np.ndarray:
    """Beads: grains of noise, as dense as the stroke is fast, through a narrow high band."""
    rng, swell, dying = hit.panel.hand, hit.knob(0.004, 0.05), hit.seconds(0.06, 0.4)
    t = hit.clock(swell + dying)
    stroke = np.minimum(1, 0.12 + t / swell) ** hit.knob(0.6, 1.4) * fall(t - swell, dying)
    back = rng.uniform(0.4, 0.7) * t[-1]
    stroke += hit.knob(0.02, 0.6) * (t >= back) * fall(t - back, dying * 0.4)
    beads = rng.standard_normal(len(t)) * (rng.random(len(t)) < hit.knob(0.1, 1))
    low = hit.bright(3000, 7500)
    grains = band(beads + 0.05 * rng.standard_normal(len(t)), low, low * hit.knob(1.5, 3), hit.rate)
    return grains * stroke


def _tom(hit: _Hit) -> np.ndarray:
    """A skin with a pitch that hardly drops, an overtone and a soft stick."""
    seconds = hit.seconds(0.3, 2.4)
    t = hit.clock(seconds)
    drop = 1 + hit.knob(0.04, 1.6) * np.exp(-t / hit.knob(0.015, 0.12))
    pitch = hit.pitch(78, 340) * drop
    skin = hit.sine(pitch) * fall(t, seconds, shape=hit.knob(0.8, 1.5))
    overtone = hit.sine(pitch * hit.knob(1.4, 2.3)) * fall(t, seconds * hit.knob(0.15, 0.6))
    stick = hit.noise(t, 200, hit.bright(900, 7000)) * fall(t, hit.knob(0.02, 0.25))
    return skin + hit.knob(0.03, 0.6) * overtone + hit.knob(0.05, 1.6) * stick


_VOICES: dict[str, Callable[[_Hit], np.ndarray]] = {
    "kick": _kick,
    "snare": _snare,
    "hat": _hat,
    "crash": _crash,
    "ride": _ride,
    "clap": _clap,
    "shaker": _shaker,
    "tom": _tom,
}
