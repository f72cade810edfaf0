"""InceptionV3 (Szegedy et al., CVPR 2016): the features of pictures that FID is computed from.

Names and shapes are those of torchvision's published weights. The layers that make classes, "fc"
and "AuxLogits", are left out: features have no use for them, and the file may hold them or not.
Heusel et al. (2017) took other weights of the same network, so a distance of these features is
near to theirs and not the same.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samplevae_lib.models import apply, published

FILE = "inception_v3_google-0cc3c7bd.pth"
SOURCE = f"https://download.pytorch.org/models/{FILE}"
SIZE = 299  # height and width of the pictures it has learnt from
ACROSS, DOWN, CROSS = (1, 7), (7, 1), ((1, 3), (3, 1))  # kernels, (height, width); a cross is both
Branches = dict[str, list[tuple[int, int | tuple]]]  # (channels, kernel) of each convolution

SMALL: Branches = {
    "branch1x1": [(64, 1)],
    "branch5x5": [(48, 1), (64, 5)],
    "branch3x3dbl": [(64, 1), (96, 3), (96, 3)],
}
HALVE_SMALL: Branches = {"branch3x3": [(384, 3)], "branch3x3dbl": [(64, 1), (96, 3), (96, 3)]}
HALVE_LONG: Branches = {
    "branch3x3": [(192, 1), (320, 3)],
    "branch7x7x3": [(192, 1), (192, ACROSS), (192, DOWN), (192, 3)],
}
WIDE: Branches = {
    "branch1x1": [(320, 1)],
    "branch3x3": [(384, 1), (384, CROSS)],
    "branch3x3dbl": [(448, 1), (384, 3), (384, CROSS)],
}


def _long(inner: int) -> Branches:
    """Kernels of 7×7, each made of a row and a column, on `inner` channels."""
    return {
        "branch1x1": [(192, 1)],
        "branch7x7": [(inner, 1), (inner, ACROSS), (192, DOWN)],
        "branch7x7dbl": [(inner, 1), (inner, DOWN), (inner, ACROSS), (inner, DOWN), (192, ACROSS)],
    }


# The blocks in their order, and the channels of the pooled branch; 0 where a block halves.
MIXED = {
    "Mixed_5b": (SMALL, 32), "Mixed_5c": (SMALL, 64), "Mixed_5d": (SMALL, 64),
    "Mixed_6a": (HALVE_SMALL, 0), "Mixed_6b": (_long(128), 192), "Mixed_6c": (_long(160), 192),
    "Mixed_6d": (_long(160), 192), "Mixed_6e": (_long(192), 192),
    "Mixed_7a": (HALVE_LONG, 0), "Mixed_7b": (WIDE, 192), "Mixed_7c": (WIDE, 192),
}  # fmt: skip


class Convolution(nn.Module):
    """A convolution and its normalisation; keeps a picture's size where it is padded."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int | tuple, *, stride: int = 1, pad: bool = True
    ):
        super().__init__()
        padding = "same" if pad else "valid"
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, image: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(image)))


class Mixed(nn.Module):
    """Branches of convolutions side by side, and one that pools; `outputs` channels in all.

    pooled: channels of the branch that pools, by means and a convolution. With 0 it takes maxima
    alone, and every branch halves the picture in its last step.
    """

    def __init__(self, inputs: int, branches: Branches, pooled: int):
        super().__init__()
        self.outputs, self.pooled = pooled or inputs, pooled
        self.steps = [self._branch(inputs, *branch) for branch in branches.items()]
        if pooled:
            self.branch_pool = Convolution(inputs, pooled, 1)

    def _branch(self, channels: int, branch: str, layers: list) -> list[list[str]]:
        """Make the convolutions of a branch; returns their names, one or two of each step."""
        steps = []
        for number, (outputs, kernel) in enumerate(layers, 1):
            name = f"{branch}_{number}" if len(layers) > 1 else branch
            halve = not self.pooled and number == len(layers)
            crossed = {f"{name}a": CROSS[0], f"{name}b": CROSS[1]}
            parts = crossed if kernel == CROSS else {name: kernel}
            for part, size in parts.items():
                made = Convolution(channels, outputs, size, stride=1 + halve, pad=not halve)
                self.add_module(part, made)
            channels = outputs * len(parts)
            steps.append(list(parts))
        self.outputs += channels
        return steps

    def forward(self, image: Tensor) -> Tensor:
        """(batch, inputs, height, width) → (batch, outputs, the same or half the size)."""
        made = []
        for steps in self.steps:
            state = image
            for names in steps:
                state = torch.cat([self.get_submodule(name)(state) for name in names], 1)
            made.append(state)
        if self.pooled:
            made.append(self.branch_pool(F.avg_pool2d(image, 3, 1, 1)))
        else:
            made.append(F.max_pool2d(image, 3, 2))
        return torch.cat(made, 1)


class InceptionV3(nn.Module):
    """Pictures (batch, 3, 299, 299) of values -1 … 1 → features (batch, 2048)."""

    def __init__(self):
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, 3, stride=2, pad=False)
        self.Conv2d_2a_3x3 = Convolution(32, 32, 3, pad=False)
        self.Conv2d_2b_3x3 = Convolution(32, 64, 3)
        self.Conv2d_3b_1x1 = Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = Convolution(80, 192, 3, pad=False)
        channels = 192
        for name, (branches, pooled) in MIXED.items():
            block = Mixed(channels, branches, pooled)
            self.add_module(name, block)
            channels = block.outputs

    def forward(self, image: Tensor) -> Tensor:
        state = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(image)))
        state = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(state, 3, 2)))
        state = F.max_pool2d(state, 3, 2)  # (batch, 192, 35, 35)
        for name in MIXED:
            state = self.get_submodule(name)(state)
        return state.mean((2, 3))  # of (batch, 2048, 8, 8)


def available() -> bool:
    """Whether torchvision's file is in data/published/, where `features` looks for it."""
    return published.place(FILE).is_file()


def features(spectrograms: np.ndarray, *, batch: int = 16) -> np.ndarray:
    """What InceptionV3 finds in spectrograms: (items, rows, columns) → (items, 2048), float32.

    spectrograms: values 0 … 1 on one scale for all sets that are to be compared. Each is stretched
    to 299 × 299 and shown in three equal colours. batch: items at a time; 16 take half a gigabyte.

    A `WeightsFileError` says where the file was looked for if it isn't there or doesn't fit.
    """
    spectrograms = np.asarray(spectrograms, np.float32)
    low, high = (spectrograms.min(), spectrograms.max()) if spectrograms.size else (np.nan, np.nan)
    if spectrograms.ndim != 3 or not (low >= 0 and high <= 1):
        raise ValueError(
            f"spectrograms {spectrograms.shape} from {low:.3g} to {high:.3g}: expected "
            "(items, rows, columns) from 0 to 1; scale all sets alike"
        )
    if not available():
        raise published.WeightsFileError(
            f"{published.place(FILE)} is missing: put torchvision's weights there, {SOURCE}"
        )
    path = published.place(FILE)
    network = _trained(path, path.stat().st_mtime_ns)
    return apply(network, lambda net, rows: net(_pictures(rows)), spectrograms, batch=batch)


@lru_cache(maxsize=1)
def _trained(path: Path, _changed: int) -> InceptionV3:
    """The network with the weights of a file, which is read once until it changes."""
    network = InceptionV3()
    takes = f"InceptionV3 takes torchvision's {FILE}"
    published.fill(network, path, left_out=("fc.", "AuxLogits."), takes=takes)
    return network


def _pictures(spectrograms: Tensor) -> Tensor:
    """(batch, rows, columns), 0 … 1 → (batch, 3, 299, 299), -1 … 1.

    What torchvision's `transform_input` makes of pictures scaled by the colours of ImageNet.
    """
    grey = F.interpolate(spectrograms.unsqueeze(1), size=(SIZE, SIZE), mode="bilinear")
    return (2 * grey - 1).expand(-1, 3, -1, -1)
