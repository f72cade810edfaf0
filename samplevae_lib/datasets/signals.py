"""The synthetic signals of thesis L, exact as printed, and so never a stand-in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from samplevae_lib.cache import code_digest
from samplevae_lib.datasets.dataset import Dataset

SAMPLE_RATE = 16000  # Hz
HALF_SECOND = 8192  # samples: 0.512 s (thesis L, section 4.1.1)
FAMILY_SAMPLES = 512  # thesis L, section 4.2.1
SINE_HZ = (80.0, 1200.0)  # also the first frequency of a chirp, whose last is twice as high
CARRIER_HZ = (100.0, 800.0)
MODULATOR_HZ = (3.0, 100.0)
DEVIATION_HZ = (1.0, 200.0)
# The thesis calls them Gaussian-modulated sinusoids and prints no parameters: eight cycles under
# an envelope whose standard deviation is a tenth of the signal look like its figures.
PULSE_CYCLES, PULSE_WIDTH = 8.0, 0.1
COUNTS = {"smoke": 200, "reference": 2000, "paper": 7000}
FAMILY_COUNTS = {"smoke": 200, "reference": 2000, "paper": 2000}
_CHUNK = 512


def load(
    *,
    profile: str = "reference",
    data: str = "auto",
    seed: int = 0,
    kind: str = "fm",
    count: int | None = None,
    noise: float = 0.05,
) -> Dataset:
    """Signals of one kind (thesis L, sections 4.1 and 4.2).

    profile, seed: see `datasets.load`. data: accepted and ignored, for signals are never recorded.
    kind: "sines", "chirps" and "fm" are noiseless, 0.512 s at 16 kHz, of amplitude 1, and start at
    a random phase. "families" are 512-sample sines, sawtooths and Gaussian pulses under noise.
    count: how many signals; None takes the profile's number.
    noise: the white noise of "families" is uniform within ± this.
    Attributes hold the parameters that each signal was made with.
    """
    makers: dict[str, Callable] = {"sines": _sines, "chirps": _chirps, "fm": _fm}
    if kind != "families" and kind not in makers:
        known = ", ".join([*makers, "families"])
        raise ValueError(f"kind must be one of {known}, not {kind!r}")
    if count is None:
        count = (FAMILY_COUNTS if kind == "families" else COUNTS)[profile]
    if count < 1:
        raise ValueError(f"count must be at least 1, not {count}")
    rng = np.random.default_rng(seed)
    if kind == "families":
        return _families(count, noise, rng)
    audio, attributes = makers[kind](count, rng)
    return _dataset(kind, audio, np.repeat(kind, len(audio)), attributes)


def sine(
    hertz: np.ndarray | float, *, samples: int = HALF_SECOND, phase: float = 0.0
) -> np.ndarray:
    """Sines at 16 kHz, float32 (frequencies, samples); for a single frequency (samples,).

    hertz: the frequencies. phase: radians at the first sample, of all of them.
    """
    time = np.arange(samples) / SAMPLE_RATE
    turns = np.multiply.outer(np.asarray(hertz, dtype=np.float64), time)
    return np.sin(2 * np.pi * turns + phase).astype(np.float32)


def family_shapes() -> dict[str, np.ndarray]:
    """The three noiseless 512-sample signals: one sine, two saw teeth, one Gaussian pulse."""
    time = np.arange(FAMILY_SAMPLES) / FAMILY_SAMPLES
    envelope = np.exp(-0.5 * ((time - 0.5) / PULSE_WIDTH) ** 2)
    return {
        "sine": np.sin(2 * np.pi * time),
        "sawtooth": 2 * ((2 * time) % 1) - 1,
        "gaussian": envelope * np.cos(2 * np.pi * PULSE_CYCLES * (time - 0.5)),
    }


def _sines(count: int, rng: np.random.Generator) -> tuple[np.ndarray, dict]:
    hertz = rng.uniform(*SINE_HZ, count)
    return _from_frequency(lambda rows, _time: hertz[rows, None], count, rng), {"hertz": hertz}


def _chirps(count: int, rng: np.random.Generator) -> tuple[np.ndarray, dict]:
    first = rng.uniform(*SINE_HZ, count)
    audio = _from_frequency(lambda rows, t: first[rows, None] * (1 + t), count, rng)
    return audio, {"first_hertz": first, "last_hertz": 2 * first}


def _fm(count: int, rng: np.random.Generator) -> tuple[np.ndarray, dict]:
    """A carrier of fixed frequency, under a modulator whose frequency and depth both glide."""
    carrier = rng.uniform(*CARRIER_HZ, count)
    modulator = rng.uniform(*MODULATOR_HZ, (2, count))
    deviation = rng.uniform(*DEVIATION_HZ, (2, count))

    def frequency(rows: slice, time: np.ndarray) -> np.ndarray:
        rate, depth = (_glide(ends[:, rows], time) for ends in (modulator, deviation))
        return carrier[rows, None] + depth * np.sin(_phase(rate))

    attributes = {"carrier_hertz": carrier}
    for end, name in enumerate(("first", "last")):
        attributes[f"{name}_modulator_hertz"] = modulator[end]
        attributes[f"{name}_deviation_hertz"] = deviation[end]
    return _from_frequency(frequency, count, rng), attributes


def _from_frequency(frequency: Callable, count: int, rng: np.random.Generator) -> np.ndarray:
    """Sines of a moving frequency, float32 (count, samples), made chunk by chunk to save memory.

    frequency: called with the rows of a chunk and the time (samples,) from 0 to 1; gives Hz.
    """
    time = np.arange(HALF_SECOND) / HALF_SECOND
    start = rng.uniform(0, 2 * np.pi, (count, 1))
    audio = np.empty((count, HALF_SECOND), dtype=np.float32)
    for first in range(0, count, _CHUNK):
        rows = slice(first, first + _CHUNK)
        hertz = np.broadcast_to(frequency(rows, time), (len(start[rows]), HALF_SECOND))
        audio[rows] = np.sin(_phase(hertz) + start[rows])
    return audio


def _glide(ends: np.ndarray, time: np.ndarray) -> np.ndarray:
    """From the first to the last of two values for each signal: (2, signals) → (signals, time)."""
    return ends[0][:, None] + (ends[1] - ends[0])[:, None] * time


def _phase(hertz: np.ndarray) -> np.ndarray:
    """Radians at each sample, starting from zero."""
    turned = np.cumsum(hertz, axis=-1)
    return 2 * np.pi / SAMPLE_RATE * (turned - hertz)


def _families(count: int, noise: float, rng: np.random.Generator) -> Dataset:
    shapes = family_shapes()
    labels = np.array([list(shapes)[i % len(shapes)] for i in range(count)])
    clean = np.stack([shapes[label] for label in labels])
    audio = (clean + rng.uniform(-noise, noise, clean.shape)).astype(np.float32)
    return _dataset("families", audio, labels, {"noise": np.full(count, noise)})


def _dataset(kind: str, audio: np.ndarray, labels: np.ndarray, attributes: dict) -> Dataset:
    names = np.array([f"{kind}-{i:05d}" for i in range(len(audio))])
    return Dataset(
        name=f"signals ({kind})",
        audio=audio,
        sample_rate=SAMPLE_RATE,
        labels=labels,
        names=names,
        groups=names,
        durations=np.full(len(audio), audio.shape[1] / SAMPLE_RATE),
        source="real",
        provenance={"version": f"synthesised, code {code_digest(__name__)}", "licence": "MIT"},
        attributes=attributes,
    )
