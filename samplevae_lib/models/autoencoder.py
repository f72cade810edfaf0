"""Convolutional, dilated and hybrid autoencoders of a waveform (thesis L, Tables 4.1 and 4.2).

Each half of a model is a list of layers as its table prints them; the same list builds the network
and prints the table. Every layer but the bottleneck goes through batch norm and tanh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from samplevae_lib.models.dilation import LAYERS, DilationBlock

COMPRESSION = 32  # samples a latent value stands for: five strides of two
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


class Autoencoder(nn.Module):
    """(batch, samples) → reconstruction (batch, samples) and latent (batch, samples / 32).

    width scales the number of filters, depth is the number of layers in a dilation block: the
    paper's size is width 1, depth 50. gate, padding, recompute: see
    `DilationBlock`.
    """

    def __init__(
        self,
        kind: str,
        *,
        width: float = 1.0,
        depth: int = LAYERS,
        bottleneck: str = "tanh",
        output: str = "tanh",
        gate: str = "tanh",
        padding: str = "centred",
        recompute: bool = False,
    ):
        super().__init__()
        if kind not in ENCODERS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
        self.kind = kind
        encoder, decoder = (scaled(table[kind], width) for table in (ENCODERS, DECODERS))
        block = {"depth": depth, "gate": gate, "padding": padding, "recompute": recompute}
        self.encoder = _stack(encoder, last=bottleneck, **block)
        self.decoder = _stack(decoder, last=output, **block)

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


def scaled(layers: Sequence[Layer], width: float) -> list[Layer]:
    """Fewer filters; the single-channel layers stay what they are."""
    return [
        layer
        if layer.filters == 1
        else replace(layer, filters=max(1, round(layer.filters * width)))
        for layer in layers
    ]


def _stack(layers: Sequence[Layer], *, last: str, **block: Any) -> nn.Sequential:
    modules, channels = [], 1
    for position, layer in enumerate(layers):
        if layer.kind == "dilation_block":
            modules.append(DilationBlock(channels, layer.filters, **block))
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
