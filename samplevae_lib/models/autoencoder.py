"""Convolutional, dilated and hybrid autoencoders of a waveform (thesis L, Tables 4.1 and 4.2).

Each half of a model is a list of layers as its table prints them; the same list builds the network
and prints the table. Every layer but the bottleneck goes through batch norm and tanh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

COMPRESSION = 32  # samples a latent value stands for: five strides of two
DILATED_LAYERS = 50
PERIODS = (10, 5)  # after so many layers the dilation of a branch starts again from 1
ACTIVATIONS = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "linear": nn.Identity}


@dataclass(frozen=True)
class Layer:
    """One line of a table. kind: "conv1d", "conv1d_transpose" or "dilation_block"."""

    kind: str
    filters: int
    kernel: int
    stride: int


def _convolutions(kind: str, *sizes: tuple[int, int, int]) -> list[Layer]:
    return [Layer(kind, *size) for size in sizes]


_DOWN, _UP = "conv1d", "conv1d_transpose"
# For the hybrid's block Table 4.2 prints one filter and no kernel; the text calls it the block of
# the dilated model, and so it is here.
_BLOCK = Layer("dilation_block", 32, 2, 1)
ENCODERS = {
    "convolutional": _convolutions(
        _DOWN, (128, 5, 2), (128, 4, 2), (256, 4, 2), (512, 4, 2), (1024, 4, 2), (1, 1, 1)
    ),
    "dilated": [
        *_convolutions(_DOWN, (16, 32, 1)),
        _BLOCK,
        *_convolutions(_DOWN, *[(1, 2, 2)] * 5, (1, 1, 1)),
    ],
    "hybrid": [
        *_convolutions(_DOWN, (16, 32, 1)),
        _BLOCK,
        *_convolutions(
            _DOWN, (128, 4, 2), (128, 4, 2), (256, 4, 2), (256, 4, 2), (512, 4, 2), (1, 1, 1)
        ),
    ],
}
DECODERS = {
    "convolutional": _convolutions(
        _UP, (1024, 4, 2), (512, 4, 2), (256, 4, 2), (128, 4, 2), (128, 5, 2), (1, 1, 1)
    ),
    "dilated": [
        *_convolutions(_UP, (1, 1, 1), *[(1, 2, 2)] * 5, (32, 1, 1)),
        _BLOCK,
        *_convolutions(_UP, (16, 32, 1), (1, 1, 1)),
    ],
    "hybrid": _convolutions(
        _UP, (512, 4, 2), (256, 4, 2), (256, 4, 2), (128, 4, 2), (128, 4, 2), (1, 1, 1)
    ),
}
KINDS = tuple(ENCODERS)


def dilations(period: int, layers: int = DILATED_LAYERS) -> list[int]:
    """2^((i−1) mod period) for layer i = 1 … layers."""
    return [2 ** (i % period) for i in range(layers)]


def receptive_field(period: int, layers: int = DILATED_LAYERS) -> int:
    """Samples that an output of a branch depends on: a kernel of two adds its dilation."""
    return 1 + sum(dilations(period, layers))


class Autoencoder(nn.Module):
    """(batch, samples) → reconstruction (batch, samples) and latent (batch, samples / 32).

    width scales the number of filters, depth is the number of layers in a dilation block: the
    paper's size is width 1, depth 50. gate: the activation of the second branch of the block.
    """

    def __init__(
        self,
        kind: str,
        *,
        width: float = 1.0,
        depth: int = DILATED_LAYERS,
        bottleneck: str = "tanh",
        output: str = "tanh",
        gate: str = "tanh",
    ):
        super().__init__()
        if kind not in ENCODERS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
        self.kind = kind
        encoder, decoder = (_scaled(table[kind], width) for table in (ENCODERS, DECODERS))
        self.encoder = _stack(encoder, depth, last=bottleneck, gate=gate)
        self.decoder = _stack(decoder, depth, last=output, gate=gate)

    def encode(self, audio: Tensor) -> Tensor:
        """(batch, samples) → (batch, samples / 32)."""
        if audio.shape[-1] % COMPRESSION:
            raise ValueError(f"{audio.shape[-1]} samples are not a multiple of {COMPRESSION}")
        return self.encoder(audio.unsqueeze(1)).squeeze(1)

    def decode(self, latent: Tensor) -> Tensor:
        """(batch, length) → (batch, 32 · length)."""
        return self.decoder(latent.unsqueeze(1)).squeeze(1)

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        latent = self.encode(audio)
        return self.decode(latent), latent


class DilationBlock(nn.Module):
    """Residual layers of two dilated branches that are multiplied; the mean of all products.

    input_i = input_{i−1} + a_{i−1} · b_{i−1};  output = mean of all a · b  (section 4.1).
    The thesis doesn't say how the 16 channels before the block become 32: a 1×1 convolution here.
    """

    def __init__(self, channels: int, filters: int, depth: int, *, gate: str = "tanh"):
        super().__init__()
        same = channels == filters
        self.entrance = nn.Identity() if same else nn.Conv1d(channels, filters, 1)
        activations = ("tanh", gate)
        self.branches = nn.ModuleList(
            nn.ModuleList(_Dilated(filters, d, act) for d in dilations(period, depth))
            for period, act in zip(PERIODS, activations, strict=True)
        )

    def forward(self, audio: Tensor) -> Tensor:
        """(batch, channels, samples) → (batch, filters, samples)."""
        state = self.entrance(audio)
        skipped = torch.zeros_like(state)
        for first, second in zip(*self.branches, strict=True):
            product = first(state) * second(state)
            state = state + product
            skipped = skipped + product
        return skipped / len(self.branches[0])


class _Dilated(nn.Module):
    """A kernel of two, `dilation` samples apart, around the sample it computes."""

    def __init__(self, filters: int, dilation: int, activation: str):
        super().__init__()
        self.pad = nn.ZeroPad1d((dilation // 2, dilation - dilation // 2))
        self.convolution = nn.Conv1d(filters, filters, 2, dilation=dilation, bias=False)
        self.norm, self.activation = nn.BatchNorm1d(filters), ACTIVATIONS[activation]()

    def forward(self, state: Tensor) -> Tensor:
        return self.activation(self.norm(self.convolution(self.pad(state))))


def _scaled(layers: Sequence[Layer], width: float) -> list[Layer]:
    """Fewer filters; the single-channel layers stay what they are."""
    return [
        layer
        if layer.filters == 1
        else replace(layer, filters=max(1, round(layer.filters * width)))
        for layer in layers
    ]


def _stack(layers: Sequence[Layer], depth: int, *, last: str, gate: str) -> nn.Sequential:
    modules, channels = [], 1
    for position, layer in enumerate(layers):
        if layer.kind == "dilation_block":
            modules.append(DilationBlock(channels, layer.filters, depth, gate=gate))
        else:
            activation = last if position == len(layers) - 1 else "tanh"
            modules.append(_convolution(channels, layer, activation))
        channels = layer.filters
    return nn.Sequential(*modules)


def _convolution(channels: int, layer: Layer, activation: str) -> nn.Sequential:
    """A convolution that divides (or, transposed, multiplies) the length by its stride exactly.

    With a stride of one a transposed convolution is a convolution, so it is built as one.
    """
    size, kernel, stride = (channels, layer.filters), layer.kernel, layer.stride
    half = (kernel - 1) // 2
    if stride == 1:
        around = nn.ZeroPad1d((half, kernel - 1 - half))
        made = nn.Sequential(around, nn.Conv1d(*size, kernel, bias=False))
    elif layer.kind == _UP:
        odd = kernel % 2
        made = nn.ConvTranspose1d(
            *size, kernel, stride, padding=half, output_padding=odd, bias=False
        )
    else:
        made = nn.Conv1d(*size, kernel, stride, padding=half, bias=False)
    return nn.Sequential(made, nn.BatchNorm1d(layer.filters), ACTIVATIONS[activation]())
