"""A model's layers as the tables of thesis L print them, and what each layer costs."""

from __future__ import annotations

from itertools import groupby
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from samplevae_lib import theses
from samplevae_lib.models.autoencoder import (
    DECODERS,
    ENCODERS,
    LAYERS,
    PERIODS,
    Autoencoder,
    DilationBlock,
    Layer,
    scaled,
)

if TYPE_CHECKING:
    import pandas as pd

SAMPLES = 8192  # thesis L, section 4.1.1


def layers(
    kind: str, *, width: float = 1.0, depth: int = LAYERS, samples: int = SAMPLES
) -> pd.DataFrame:
    """One row a layer: what and how large it is, its parameters, and the length behind it.

    kind, width, depth: as for `Autoencoder`. samples: length of the signal that goes in. As in the
    thesis, a run of equal single-channel layers is one row.

    >>> from samplevae_lib.models import tables
    >>> tables.layers("convolutional", width=0.1)[["layer", "filters", "length"]].head(2)
        layer  filters  length
    0  conv1d       13    4096
    1  conv1d       13    2048
    """
    import pandas as pd

    model = Autoencoder(kind, width=width, depth=depth)
    rows = _rows(ENCODERS[kind], model.encoder, width, depth, samples)
    behind = rows[-1]["length"]
    return pd.DataFrame(rows + _rows(DECODERS[kind], model.decoder, width, depth, behind))


def as_printed(id: str, kind: str, **size: Any) -> pd.DataFrame:
    """`layers` under the row names of the thesis's table; its dense layers have no counterpart."""
    printed = theses.published(id)
    ours = printed.index.str.startswith(f"{kind} ·") & (printed["kernel"].notna())
    convolutions = printed["layer"].str.contains("conv|dilation", na=False)
    return layers(kind, **size).set_axis(printed.index[ours & convolutions])


def shrinking(kind: str) -> int:
    """How many samples become one value of the latent: the product of the encoder's strides."""
    return prod(layer.stride for layer in ENCODERS[kind])


def measured_field(branch: int, *, depth: int = LAYERS) -> int:
    """Samples that move one output of a built dilation block through one branch (0 or 1).

    depth: layers of the block. The other branch is held constant, and the block is in evaluation,
    for in training batch norm mixes all samples.
    """
    block = DilationBlock(1, 1, depth=depth).double().eval()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.fill_(0.5)
        for other in block.branches[1 - branch]:
            other.convolution.weight.zero_()
    reach = depth * 2 ** max(PERIODS)  # more than any field of so many layers
    audio = torch.zeros(1, 1, 2 * reach, dtype=torch.float64, requires_grad=True)
    block(audio)[0, 0, reach].backward()
    moved = torch.nonzero(audio.grad[0, 0]).flatten()
    return int(moved[-1] - moved[0]) + 1


def _rows(
    printed: list[Layer], built: nn.Sequential, width: float, depth: int, length: int
) -> list[dict[str, Any]]:
    rows = []
    numbered = enumerate(zip(scaled(printed, width), built, strict=True))
    for _, run in groupby(numbered, key=lambda item: _run(item[0], item[1][0])):
        members = [member for _, member in run]
        layer, modules = members[0][0], [module for _, module in members]
        times = depth if layer.kind == "dilation_block" else len(modules)
        change = layer.stride ** len(modules)
        length = length * change if layer.kind == "conv1d_transpose" else length // change
        rows.append(
            {
                "layer": f"{times} x {layer.kind}" if times > 1 else layer.kind,
                "filters": layer.filters, "kernel": layer.kernel, "stride": layer.stride,
                "parameters": sum(p.numel() for module in modules for p in module.parameters()),
                "length": length,
            }
        )  # fmt: skip
    return rows


def _run(position: int, layer: Layer) -> tuple[Layer, int]:
    """Equal for the layers of one row."""
    return layer, -1 if layer.filters == 1 else position
