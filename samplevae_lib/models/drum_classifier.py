"""Which of thesis M's eight classes a drum sound is: the small classifier that comes along.

Residual networks (He et al., CVPR 2016) of a few layers look at the log-mel spectrogram of a
sound's first second, and at where in it a band lies. Several of them, each trained without some
of the drum machines, are asked together. `training.drum_recipe` is how they are trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samplevae_lib import audio as sound
from samplevae_lib import weights
from samplevae_lib.spectral import Spectrogram, decibels

CLASSES = ("clap", "crash", "hat", "kick", "ride", "shaker", "snare", "tom")
SPEC = Spectrogram("mel", 32000, 1024, 320, power=2, n_mels=64, fmin=50, fmax=14000)
SECONDS = 1.0  # of a sound, from its onset on
SHIPPED = "classifiers"  # the folder below data/weights
_RANGE_DB = 80.0
_ONSET = 0.01  # of a sound's peak: what comes before the first such sample is cut off
_BEFORE = 0.005  # seconds that are kept before the onset
_BATCH = 64


class DrumNet(nn.Module):
    """Levels (batch, 64 bands, frames), as `levels` gives them → logits (batch, classes).

    channels: of the first convolution and of each residual block. dropout: of what the last layer
    is fed.
    """

    def __init__(
        self, *, channels: Sequence[int] = (12, 24, 48, 96), classes: int = 8, dropout: float = 0.3
    ):
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(2, channels[0], 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(channels[0]), nn.ReLU(),
        )  # fmt: skip
        pairs = zip(channels, channels[1:], strict=False)
        self.blocks = nn.Sequential(*(_Block(one, next) for one, next in pairs))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * channels[-1], classes)
        height = torch.linspace(-1, 1, SPEC.n_mels)[None, None, :, None]
        self.register_buffer("height", height, persistent=False)

    def embed(self, levels: Tensor) -> Tensor:
        """(batch, bands, frames) → (batch, twice the last channels): what the last layer is fed.

        Mean and maximum of each channel over bands and frames.
        """
        x = levels[:, None]
        x = torch.cat([x, self.height.expand_as(x)], 1)  # convolutions don't know where they are
        x = self.blocks(self.first(x)).flatten(2)
        return torch.cat([x.mean(2), x.amax(2)], 1)

    def forward(self, levels: Tensor) -> Tensor:
        return self.head(self.dropout(self.embed(levels)))


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
    """Networks that are asked together, at the temperature at which their certainty is right.

    classes: what a sound can be. sample_rate: Hz, of what the networks see; sounds of any rate can
    be asked about. known: what they learnt from.

    >>> import numpy as np
    >>> import samplevae_lib as sv
    >>> drums = sv.models.load("drum_classifier")
    >>> time = np.arange(8000) / 16000
    >>> kick = np.sin(2 * np.pi * 55 * time) * np.exp(-12 * time)
    >>> drums.classes[drums.probabilities([kick], 16000)[0].argmax()]
    'kick'
    """

    sample_rate = SPEC.sample_rate

    def __init__(
        self, networks: Sequence[DrumNet], *, temperature: float = 1.0, known: Known | None = None
    ):
        self.networks = [network.eval() for network in networks]
        self.classes, self.temperature, self.known = CLASSES, temperature, known

    def probabilities(self, audio: np.ndarray | Sequence[np.ndarray], sample_rate: int):
        """How likely each sound is of each class: float32 (sounds, classes); rows add up to 1.

        audio: (sounds, samples), one sound (samples,), or a list of sounds of any lengths, all at
        `sample_rate` Hz. Level does not matter. Of a sound the first second counts.
        """
        return self._mean(levels(audio, sample_rate), self._likely)

    def embed(self, audio: np.ndarray | Sequence[np.ndarray], sample_rate: int):
        """What the last layers are fed, float32 (sounds, size): near each other where drums sound
        alike. Arguments as for `probabilities`.
        """
        return self._mean(levels(audio, sample_rate), self._embedded)
