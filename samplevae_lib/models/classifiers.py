"""The six drum classifiers of thesis M, chapter 7: audio → logits; published weights for three.

Each hears a sound brought to a peak of 1, so that its level doesn't matter. Spectrograms are those
CNN14 was trained with, but with silence beyond both ends, where PANNs mirror the sound.
"""

from __future__ import annotations

import os
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samplevae_lib import weights
from samplevae_lib.files import sha256
from samplevae_lib.models import published
from samplevae_lib.models.cnn14 import MELS, Cnn14
from samplevae_lib.models.published import WeightsFileError
from samplevae_lib.models.resnet import ResNet, convolution, thinned
from samplevae_lib.spectral import FLOOR_DB, Spectrogram, decibels

MEL = Spectrogram(
    kind="mel", sample_rate=32000, n_fft=1024, hop=320, power=2, n_mels=MELS, fmin=50, fmax=14000
)
FILLS = ("pad", "repeat")
FOLDER = "synthesised"  # below data/weights: what networks learnt from synthesised drums
SMALL = (16, 32, 32, 64)  # channels of the small networks, whose layers the thesis leaves open
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # means and deviations of the colours
PUBLISHED = {
    "ResNet50": "torchvision's resnet50-0676ba61.pth",
    "ResNeSt50": "its authors' resnest50-528c19ca.pth",
    "PANN CNN14": "its authors' Cnn14_mAP=0.431.pth",
}


class SmallCNN(nn.Module):
    """Four convolutions of each input and their mean over time (and bands), side by side.

    inputs: "wave" for (batch, samples), "bands" for (batch, 64, frames), or both; out come (batch,
    64 · width · inputs). fc: the layer that makes logits of `classes` of them.
    """

    HEAD = "fc"

    def __init__(self, *inputs: str, classes: int, width: float = 1.0):
        super().__init__()
        self.branches = nn.ModuleList(_branch(given, width) for given in inputs)
        self.fc = nn.Linear(len(inputs) * thinned(SMALL[-1], width), classes)

    def forward(self, *inputs: Tensor) -> Tensor:
        pairs = zip(self.branches, inputs, strict=True)
        made = [branch(given.unsqueeze(1)) for branch, given in pairs]
        return torch.cat([each.flatten(2).mean(2) for each in made], dim=1)


def _branch(given: str, width: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise([1, *(thinned(channels, width) for channels in SMALL)]):
        if given == "wave":
            kernel, stride = (64, 8) if inputs == 1 else (8, 4)
            made = nn.Conv1d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
            layers += [made, nn.BatchNorm1d(outputs), nn.ReLU()]
        else:
            made, halve = convolution(inputs, outputs, 3), nn.MaxPool2d(2, ceil_mode=True)
            layers += [made, nn.BatchNorm2d(outputs), nn.ReLU(), halve]
    return nn.Sequential(*layers)


def _around_zero(energy: Tensor) -> Tensor:
    """Mel energies → levels from -1 (80 dB below the loudest, or softer) to 1."""
    return 1 - 2 * decibels(energy, power=2, floor=FLOOR_DB).level / FLOOR_DB


def _image(energy: Tensor) -> Tensor:
    """(batch, mels, frames) → (batch, 3, mels, frames), scaled as pictures of ImageNet are."""
    mean, deviation = (energy.new_tensor(values).view(3, 1, 1) for values in IMAGENET)
    grey = (1 + _around_zero(energy)) / 2
    return (grey.unsqueeze(1) - mean) / deviation


# What makes each network, and what of the mel energies it is given; None for the waveform.
_KINDS = {
    "CNN raw": (partial(SmallCNN, "wave"), [None]),
    "CNN spec": (partial(SmallCNN, "bands"), [_around_zero]),
    "CNN raw + spec": (partial(SmallCNN, "wave", "bands"), [None, _around_zero]),
    "ResNet50": (ResNet, [_image]),
    "ResNeSt50": (partial(ResNet, split=True), [_image]),
    "PANN CNN14": (Cnn14, [lambda energy: energy]),
}
KINDS = tuple(_KINDS)


class AudioClassifier(nn.Module):
    """Audio (batch, samples) at 32000 Hz → logits (batch, classes); made by `classifier`.

    network: all layers, with the names that they are published under.
    """

    def __init__(
        self, kind: str, network: nn.Module, width: float, dropout: float, seconds: float, fill: str
    ):
        super().__init__()
        self.kind, self.width, self.seconds, self.fill = kind, width, seconds, fill
        self.network, self.drop = network, nn.Dropout(dropout)

    def embed(self, audio: Tensor) -> Tensor:
        """(batch, samples) → (batch, features), what the last linear layer is fed."""
        return self.network(*self._heard(audio))

    def forward(self, audio: Tensor) -> Tensor:
        return getattr(self.network, self.network.HEAD)(self.drop(self.embed(audio)))

    def _heard(self, audio: Tensor) -> list[Tensor]:
        if audio.ndim != 2 or audio.shape[1] < MEL.n_fft:
            raise ValueError(
                f"audio of shape {tuple(audio.shape)}: expected (batch, samples) with at least "
                f"{MEL.n_fft} samples, one window; lengthen it with silence"
            )
        peak = audio.abs().amax(1, keepdim=True)
        sound = audio / torch.where(peak > 0, peak, torch.ones_like(peak))
        _, views = _KINDS[self.kind]
        return [view(self._energy(sound)) if view else sound for view in views]

    def _energy(self, sound: Tensor) -> Tensor:
        """Mel energies, (batch, 64, frames), lengthened to `seconds` unless they are longer."""
        energy = MEL.forward(sound)
        frames, present = MEL.frames(round(self.seconds * MEL.sample_rate)), energy.shape[-1]
        if frames <= present:
            return energy
        if self.fill == "pad":
            return F.pad(energy, (0, frames - present))
        return energy[..., torch.arange(frames, device=energy.device) % present]


def classifier(
    kind: str,
    *,
    classes: int = 8,
    width: float = 1.0,
    dropout: float | None = None,
    seconds: float = 0.0,
    fill: str = "pad",
) -> AudioClassifier:
    """A classifier of drums, not trained, by its name in thesis M, Table 7.1 (see `KINDS`).

    width: scales all numbers of channels; 1 is as published. dropout: share of the last layer's
    input that is left out in training; None for half in CNN14 (the thesis takes 0.2) and none in
    the others. seconds: lengthens spectrograms to those of so long a sound, for networks that were
    trained on longer ones; a waveform stays as it is. fill: with "pad" (silence) or "repeat" (the
    sound again and again).

    >>> import torch
    >>> from samplevae_lib.models import classifiers
    >>> net = classifiers.classifier("ResNeSt50", width=1 / 16).eval()
    >>> net(torch.zeros(2, 32000)).shape, net.embed(torch.zeros(2, 32000)).shape
    (torch.Size([2, 8]), torch.Size([2, 128]))
    """
    for what, value, known in (("kind", kind, KINDS), ("fill", fill, FILLS)):
        if value not in known:
            raise ValueError(f"{what} must be one of {', '.join(known)}, not {value!r}")
    if not width > 0:
        raise ValueError(f"width must be above 0, not {width}")
    if dropout is None:
        dropout = 0.5 if kind == "PANN CNN14" else 0.0
    network = _KINDS[kind][0](classes=classes, width=width)
    return AudioClassifier(kind, network, width, dropout, seconds, fill)


def begin(model: AudioClassifier, start: str = "auto") -> str:
    """Give a network what it learnt before; returns what that is.

    start: "published" for the file named in `PUBLISHED`, which the user has put into
    data/published/ (for models of width 1); "here" for what it learnt from synthesised drums
    (`training.drum_recipe`), at the width that comes with the project; "nothing"; "auto" for the
    first of these that there is. The model's attribute `began` keeps the answer, for two that began
    differently are not the same.
    """
    known = ("published", "here", "nothing")
    if start not in ("auto", *known):
        raise ValueError(f"start must be one of auto, {', '.join(known)}, not {start!r}")
    ways = {"published": _begin_published, "here": _begin_here, "nothing": lambda _: "nothing"}
    for way in known if start == "auto" else [start]:
        if began := ways[way](model):
            model.began = began
            return began
    raise WeightsFileError(
        f"{model.kind} of width {model.width:.3g} can't begin with what is {start!r}: "
        f"there is no such file"
    )


def _begin_published(model: AudioClassifier) -> str:
    """Found and taken, if the model has the published width; else ""."""
    if model.kind not in PUBLISHED or model.width != 1:
        return ""
    path = published.place(PUBLISHED[model.kind].split()[-1])
    if not path.is_file():
        return ""
    load_published(model, path)
    return f"published {sha256(path)[:12]}"


def _begin_here(model: AudioClassifier) -> str:
    """Taken from what comes with the project, if it is of this width; else ""."""
    name = weights.file_name(model.kind)
    found = next((one for one in weights.every(FOLDER) if one.name == name), None)
    if found is None:
        return ""
    arrays, own = found.arrays(), model.state_dict()
    if any(arrays[name].shape != tensor.shape for name, tensor in own.items()):
        return ""
    weights.fill(model, arrays, str(found.file))
    return f"here {found.card['sha256'][:12]}"


def load_published(model: AudioClassifier, path: str | os.PathLike) -> None:
    """Give a model of width 1 all weights that were published for it but its last layer's.

    path: the file, as published; code in it is never run. One that can't be read or doesn't fit is
    a `WeightsFileError`, and leaves the model as it was.
    """
    if model.kind not in PUBLISHED:
        known = ", ".join(PUBLISHED)
        raise WeightsFileError(f"{path}: weights are published for {known}, not for {model.kind}")
    # CNN14's file also holds the matrices by which its spectrograms are made.
    left_out = (f"{model.network.HEAD}.", "spectrogram_extractor.", "logmel_extractor.")
    takes = f"a {model.kind} of width 1 takes {PUBLISHED[model.kind]}"
    published.fill(model.network, path, left_out=left_out, takes=takes)
