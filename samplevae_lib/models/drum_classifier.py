"""Which of thesis M's eight classes a drum sound is: the small classifier that comes along.

A `DrumNet` is a residual network (He et al., CVPR 2016) of a few layers. It sees the first second
of a sound twice, in bands that are evenly spread over the octaves: through a short window, sharp in
time, and through a long one, sharp in pitch, for kicks and toms differ by little else. Several are
asked together. `training.drum_recipe` is how they are trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samplevae_lib import audio as sound
from samplevae_lib import weights
from samplevae_lib.spectral import FLOOR_DB, Spectrogram, decibels

CLASSES = ("clap", "crash", "hat", "kick", "ride", "shaker", "snare", "tom")
SAMPLE_RATE, SECONDS = 32000, 1.0  # of what a network sees
WINDOWS, HOP = (1024, 4096), 512  # samples
BANDS, LOWEST, HIGHEST = 64, 30.0, 14000.0  # Hz
FOLDER, NAME = "classifiers", "drum_classifier"  # below data/weights
_BEFORE = 0.005  # seconds that are kept before a sound's onset
_ONSET = 0.01  # of its peak: the onset is the first sample above this
_SMALLEST = 1e-12  # energy
_BATCH = 64  # sounds at a time


class DrumNet(nn.Module):
    """Levels (batch, 2, 64 bands, frames), as `levels` gives them → logits (batch, classes).

    channels: of the first convolution and of each residual block. dropout: share of the last
    layer's input that is left out in training.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int] = (12, 24, 48, 96),
        classes: int = len(CLASSES),
        dropout: float = 0.3,
    ):
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(len(WINDOWS) + 1, channels[0], 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(channels[0]), nn.ReLU(),
        )  # fmt: skip
        self.blocks = nn.Sequential(*(_Block(*sizes) for sizes in pairwise(channels)))
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(2 * channels[-1], classes)
        height = torch.linspace(-1, 1, BANDS)[None, None, :, None]
        self.register_buffer("height", height, persistent=False)

    def embed(self, seen: Tensor) -> Tensor:
        """(batch, 2, bands, frames) → (batch, twice the last channels): mean and maximum of each
        channel over bands and frames, which is what the last layer is fed.
        """
        where = self.height.expand(len(seen), 1, -1, seen.shape[-1])
        x = torch.cat([seen, where], 1)  # a convolution doesn't know which band it looks at
        x = self.blocks(self.first(x)).flatten(2)
        return torch.cat([x.mean(2), x.amax(2)], 1)

    def forward(self, seen: Tensor) -> Tensor:
        return self.head(self.drop(self.embed(seen)))


class _Block(nn.Module):
    """Two convolutions beside a shortcut; halves bands and frames."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        made = F.relu(self.first_norm(self.first(x)))
        return F.relu(self.second_norm(self.second(made)) + self.shortcut(x))


class Known(NamedTuple):
    """The sounds that a classifier learnt from: names (n,), labels (n,), embeddings (n, size)."""

    names: np.ndarray
    labels: np.ndarray
    vectors: np.ndarray


class DrumClassifier:
    """Several networks that are asked together.

    networks: DrumNets. temperature: what their logits are divided by, so that they are right as
    often as they are sure (Guo et al., ICML 2017). axes: (2 · channels · networks, size) and
    centre: (2 · channels · networks,), from what the networks' last layers are fed to an embedding.
    known: what they learnt from.

    Attributes: classes, names of what a sound can be; sample_rate, Hz, of what networks see (sounds
    of any rate can be asked about); known.

    >>> import numpy as np
    >>> import samplevae_lib as sv
    >>> drums = sv.models.load("drum_classifier")
    >>> time = np.arange(8000) / 16000
    >>> kick = np.sin(2 * np.pi * 55 * time) * np.exp(-12 * time)
    >>> drums.classes[drums.probabilities([kick], 16000)[0].argmax()]
    'kick'
    >>> drums.embed([kick, 0.5 * kick], 16000).shape
    (2, 64)
    """

    sample_rate, classes = SAMPLE_RATE, CLASSES

    def __init__(
        self,
        networks: Sequence[DrumNet],
        *,
        temperature: float,
        axes: np.ndarray,
        centre: np.ndarray,
        known: Known,
    ):
        self.networks = [network.eval() for network in networks]
        self.temperature, self.axes, self.centre = temperature, axes, centre
        self.known = known

    def probabilities(
        self, audio: np.ndarray | Sequence[np.ndarray], sample_rate: int
    ) -> np.ndarray:
        """How likely each sound is of each class: (sounds, classes), rows that add up to 1.

        audio: (sounds, samples), or a list of sounds (samples,) of any lengths, all at
        `sample_rate` Hz. Its level doesn't matter, and of each sound its first second counts.
        """
        return self.listen(audio, sample_rate)[0]

    def embed(self, audio: np.ndarray | Sequence[np.ndarray], sample_rate: int) -> np.ndarray:
        """Points in a space where drums that sound alike are near: (sounds, size), float32.

        The principal components of what the last layers are fed. Arguments as for `probabilities`.
        """
        return self.listen(audio, sample_rate)[1]

    @torch.inference_mode()
    def listen(
        self, audio: np.ndarray | Sequence[np.ndarray], sample_rate: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """What `probabilities` and `embed` give, in the time of one of them."""
        fed = self._fed(audio, sample_rate)
        likely = [
            torch.softmax(network.head(one) / self.temperature, 1)
            for network, one in zip(self.networks, fed, strict=True)
        ]
        return torch.stack(likely).mean(0).numpy(), self.placed(torch.cat(fed, 1).numpy())

    def placed(self, fed: np.ndarray) -> np.ndarray:
        """What the last layers are fed, side by side (sounds, …) → embeddings (sounds, size)."""
        return ((fed - self.centre) @ self.axes).astype(np.float32)

    def _fed(self, audio: np.ndarray | Sequence[np.ndarray], sample_rate: int) -> list[Tensor]:
        """For each network what its last layer is fed, (sounds, 2 · channels)."""
        seen = torch.from_numpy(levels(audio, sample_rate)).split(_BATCH)
        return [torch.cat([network.embed(part) for part in seen]) for network in self.networks]


def levels(audio: np.ndarray | Sequence[np.ndarray], sample_rate: int) -> np.ndarray:
    """What a `DrumNet` sees of sounds: float32 (sounds, 2 windows, 64 bands, 63 frames).

    In decibels below the loudest band, from -1 (80 dB below it, or softer) to 1 (the loudest).
    audio: (sounds, samples), or a list of sounds (samples,), at `sample_rate` Hz. Each is taken
    from its onset on, for a second; a shorter one is followed by silence.
    """
    if not len(audio):
        raise ValueError("audio holds no sounds: expected at least one")
    parts = [audio[start : start + _BATCH] for start in range(0, len(audio), _BATCH)]
    return np.concatenate([_seen([_begun(one, sample_rate) for one in part]) for part in parts])


def _seen(sounds: list[np.ndarray]) -> np.ndarray:
    """The levels of prepared sounds, a few at a time: all of a library's spectra are gigabytes."""
    rows, seen = torch.from_numpy(np.stack(sounds)), []
    for window in WINDOWS:
        spectrum = _transform(window).complex(rows)
        power = torch.addcmul(spectrum.real.square(), spectrum.imag, spectrum.imag)  # fastest
        energy = torch.from_numpy(_bands(window)) @ power
        seen.append(1 - 2 * decibels(energy + _SMALLEST, power=2).level / FLOOR_DB)
    return torch.stack(seen, 1).numpy()


def _begun(one: np.ndarray, sample_rate: int) -> np.ndarray:
    """A sound's first second from its onset on, (32000,), at a peak of 1 unless it is silent."""
    one = np.asarray(sound.check(one), dtype=np.float32)
    size = np.abs(one)
    if not (peak := float(size.max())):
        return np.zeros(int(SECONDS * SAMPLE_RATE), np.float32)
    first = max(0, int((size > _ONSET * peak).argmax()) - int(_BEFORE * sample_rate))
    cut = one[first : first + int(SECONDS * sample_rate)] / peak
    return sound.cut_or_pad(
        sound.resample(cut, sample_rate, SAMPLE_RATE), int(SECONDS * SAMPLE_RATE)
    )


def _transform(window: int) -> Spectrogram:
    return Spectrogram("stft", SAMPLE_RATE, window, HOP)


@cache
def _bands(window: int) -> np.ndarray:
    """Triangles evenly spread over the octaves, (64, window / 2 + 1), rows that add up to 1.

    None is narrower than two bins, so that low bands of a short window overlap but none is empty.
    """
    middle = np.geomspace(LOWEST, HIGHEST, BANDS)
    step = (HIGHEST / LOWEST) ** (1 / (BANDS - 1))
    reach = np.maximum(middle * (step - 1 / step) / 2, SAMPLE_RATE / window)
    hertz = np.arange(window // 2 + 1) * SAMPLE_RATE / window
    triangles = np.clip(1 - np.abs(hertz - middle[:, None]) / reach[:, None], 0, None)
    return (triangles / triangles.sum(1, keepdims=True)).astype(np.float32)


class Fold(NamedTuple):
    """Networks that never heard some of the drum machines, and these machines' names."""

    networks: list[DrumNet]
    machines: list[str]


def load() -> DrumClassifier:
    """The classifier that comes with the project."""
    shipped = weights.named(FOLDER, NAME)
    arrays, card = shipped.arrays(), shipped.card
    known = Known(np.array(card["names"]), np.array(card["labels"]), arrays["known"])
    return DrumClassifier(
        [network(f"{NAME}-{member}") for member in range(card["members"])],
        temperature=card["temperature"], axes=arrays["axes"], centre=arrays["centre"], known=known,
    )  # fmt: skip


def folds() -> list[Fold]:
    """The networks by which it is known how good the classifier is: each fold's never heard some
    of the drum machines, and every machine belongs to one fold.
    """
    card = weights.named(FOLDER, NAME).card
    return [
        Fold([network(f"fold-{number}-{member}") for member in range(card["members"])], machines)
        for number, machines in enumerate(card["folds"])
    ]


def network(name: str) -> DrumNet:
    """A network of this name below data/weights/classifiers."""
    shipped = weights.named(FOLDER, name)
    made = DrumNet(channels=weights.named(FOLDER, NAME).card["channels"])
    weights.fill(made, shipped.arrays(), str(shipped.file))
    return made.eval()
