"""From whom should detail be borrowed: what notebook 10 chose on its validation part, in numbers.

`python -m benchmarks.lenders` needs the drum recordings. It rates, on machines that nothing was
fitted to and that no result is reported of, sounds from codes of several sizes, lenders named out
of several candidates by one window or by five, and sounds that take each part of time and of
frequency from a lender of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import torch
from scipy.spatial.distance import cdist

import samplevae_lib as sv
from samplevae_lib.inversion import borrowed, envelopes
from samplevae_lib.models.envelope_vae import EnvelopeVAE
from samplevae_lib.spectral import Spectrogram, one_thread_each

ENVELOPE, SEED = envelopes.Envelope(), 0
CODES, COUNTS = (64, 256, 512), (4, 8, 16)
# First frames of the parts of time, and first bins of those of frequency.
PARTS = {"attack and body": ((0, 5), (0,)), "attack, body, end": ((0, 3, 12), (0,))}
PARTS |= {"low and high": ((0,), (0, 16)), "attack and body, low and high": ((0, 5), (0, 16))}


class Part:
    """The validation part of notebook 10's drums, and the training part as lenders."""

    def __init__(self) -> None:
        ten = sv.settings.load("10", "reference")
        self.rate, self.length = ten.sample_rate, ten.samples
        options = {"classes": "all", "sample_rate": self.rate, "samples": self.length}
        drums = sv.datasets.load("drums", data="real", seed=SEED, **options)
        shares = dict(zip(("train", "validation", "test"), ten.shares, strict=True))
        parts = drums.sample(ten.per_class, seed=SEED).split(shares, seed=SEED)
        self.originals, self.lenders = (np.array(parts[p].audio) for p in ("validation", "train"))
        self.mel = Spectrogram("mel", self.rate, ten.n_fft, ten.hop, n_mels=ten.n_mels)
        self.stft = Spectrogram("stft", self.rate, ten.n_fft, ten.hop)

    @cached_property
    def levels(self) -> tuple[np.ndarray, np.ndarray]:
        return tuple(ENVELOPE.levels(s, self.rate) for s in (self.originals, self.lenders))

    def said(self, code: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """What a code of so many numbers says of each sound, and its nearest lenders."""
        ours, theirs = self.levels
        vae = EnvelopeVAE.fit(theirs, code, seed=SEED)
        mine, known = (vae.encode(levels) * vae.deviations for levels in (ours, theirs))
        wanted = ENVELOPE.frames(vae.decode(vae.encode(ours)), self.mel.frames(self.length))
        return wanted, np.argsort(cdist(mine, known), axis=1)[:, :count]

    def lent(self, wanted: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Sounds with the wanted levels and the detail of the chosen lenders, at their peaks."""
        pairs = zip(self.lenders[chosen], wanted, strict=True)
        return self.at_peaks(np.stack([borrowed.shaped(*pair, self.mel) for pair in pairs]))

    def at_peaks(self, sounds: np.ndarray) -> np.ndarray:
        peaks, made = (np.abs(s).max(1, keepdims=True) for s in (self.originals, sounds))
        return (sounds * peaks / made.clip(1e-9)).astype(np.float32)

    def in_parts(self, made: np.ndarray, times: Sequence[int], bins: Sequence[int]) -> np.ndarray:
        """Of sounds by several lenders, (lenders, sounds, samples), each part by the best of it."""
        with one_thread_each():
            theirs = np.stack([self.stft.complex(torch.from_numpy(m)).numpy() for m in made])
            wanted = self.stft.complex(torch.from_numpy(self.originals)).numpy()
        away = np.square(_levels(theirs, wanted) - _levels(wanted, wanted))
        mixed = np.empty_like(wanted)
        for part in _parts(times, bins):
            best = away[(slice(None), slice(None), *part)].mean((2, 3)).argmin(0)
            for sound, lender in enumerate(best):
                mixed[(sound, *part)] = theirs[(lender, sound, *part)]
        with one_thread_each():
            sounds = self.stft.sound(torch.from_numpy(mixed), self.length).numpy()
        return self.at_peaks(sounds)

    def rated(self, name: str, made: np.ndarray) -> str:
        odg = sv.metrics.ratings.grades(self.originals, made, self.rate)["ODG"].mean()
        away = sv.metrics.multi_scale_distance(self.originals, made, self.rate).mean()
        return f"{name:55} {odg:7.3f} {away:9.3f}"


def run() -> Iterator[str]:
    part = Part()
    yield f"{len(part.originals)} sounds, {len(part.lenders)} lenders"
    yield f"{'':55} {'ODG':>7} {'distance, dB':>12}"
    for code in CODES:
        wanted, near = part.said(code, max(COUNTS))
        yield part.rated(f"{code} numbers, nearest lender", part.lent(wanted, near[:, 0]))
    made = np.stack([part.lent(wanted, near[:, k]) for k in range(max(COUNTS))])
    away = {
        "one window": [
            sv.metrics.log_spectral_distance(part.originals, m, part.stft, floor=-60) for m in made
        ],
        "five": [sv.metrics.multi_scale_distance(part.originals, m, part.rate) for m in made],
    }
    each = np.arange(len(part.originals))
    for how, distances in away.items():
        for count in COUNTS:
            best = made[np.argmin(distances[:count], axis=0), each]
            yield part.rated(f"{code} numbers, best of {count} by {how}", best)
    for name, parts in PARTS.items():
        yield part.rated(f"{code} numbers, best of 8 for {name}", part.in_parts(made[:8], *parts))


def _levels(spectra: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """In dB below the reference's loudest bin, −60 at least."""
    loudest = np.abs(reference).max((-2, -1), keepdims=True)
    return 20 * np.log10(np.maximum(np.abs(spectra) / loudest, 1e-3))


def _parts(times: Sequence[int], bins: Sequence[int]) -> list[tuple[slice, slice]]:
    ends = [[*starts[1:], None] for starts in (bins, times)]
    rows = [slice(*edge) for edge in zip(bins, ends[0], strict=True)]
    return [(row, slice(*edge)) for row in rows for edge in zip(times, ends[1], strict=True)]


if __name__ == "__main__":
    for line in run():
        print(line, flush=True)
