"""Convolutional, dilated and hybrid autoencoders of a waveform (thesis L, Tables 4.1 and 4.2).

Each half of a model is a list of layers as its table prints them; the same list builds the network
and prints the table. Every layer but the bottleneck goes through batch norm and tanh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

COMPRESSION = 32  # samples a latent value stands for: five strides of two
ACTIVATIONS = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "linear": nn.Identity}
LAYERS = 50  # of a dilation block
PERIODS = (10, 5)  # after so many layers the dilation of a branch starts again from 1
GATES, PADDINGS = ("tanh", "sigmoid"), ("centred", "causal")


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


class Branch(nn.Module):
    """A dilated convolution with a kernel of two, batch norm, and an activation.

    filters: channels in and out. dilation: samples between the two taps. padding: "centred" puts
    the taps around the sample that is computed, "causal" lets them end with it; either way zeros
    keep the length. activation: "tanh" or "sigmoid".
    """

    def __init__(self, filters: int, dilation: int, *, padding: str, activation: str = "tanh"):
        super().__init__()
        before = dilation if padding == "causal" else dilation // 2
        self.around = (before, dilation - before)
        self.convolution = nn.Conv1d(filters, filters, 2, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(filters)
        self.activation = ACTIVATIONS[activation]()

    def forward(self, state: Tensor) -> Tensor:
        """(batch, filters, samples) → the same shape."""
        return self.activation(self.norm(self.convolution(F.pad(state, self.around))))


class DilationBlock(nn.Module):
    """Two dilated branches, multiplied, layer after layer (thesis L, section 4.1, Figure 4.1).

    state_i = state_{i−1} + a_i(state_{i−1}) · b_i(state_{i−1});  output = mean of all a_i · b_i.
    depth: layers. gate: activation of branch b ("tanh" or "sigmoid"). padding: see `Branch`.
    The thesis doesn't say how the 16 channels before the block become 32: a 1×1 convolution here.
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        *,
        depth: int = LAYERS,
        gate: str = "tanh",
        padding: str = "centred",
    ):
        super().__init__()
        for what, value, known in (("gate", gate, GATES), ("padding", padding, PADDINGS)):
            if value not in known:
                raise ValueError(f"{what} must be one of {', '.join(known)}, not {value!r}")
        same = channels == filters
        self.entrance = nn.Identity() if same else nn.Conv1d(channels, filters, 1)
        self.branches = nn.ModuleList(
            nn.ModuleList(
                Branch(filters, d, padding=padding, activation=activation)
                for d in dilations(period, depth)
            )
            for period, activation in zip(PERIODS, ("tanh", gate), strict=True)
        )

    def forward(self, audio: Tensor) -> Tensor:
        """(batch, channels, samples) → (batch, filters, samples)."""
        first = state = self.entrance(audio)
        for a, b in zip(*self.branches, strict=True):
            state = state + a(state) * b(state)
        return (state - first) / len(self.branches[0])  # the sum of all products, as their mean


def dilations(period: int, layers: int = LAYERS) -> list[int]:
    """Samples between the taps of layers 1 … `layers`: 2^((i−1) mod period) of layer i."""
    return [2 ** (i % period) for i in range(layers)]


def receptive_field(period: int, layers: int = LAYERS) -> int:
    """Samples that an output of a branch depends on: a kernel of two adds its dilation."""
    return 1 + sum(dilations(period, layers))


class Autoencoder(nn.Module):
    """(batch, samples) → reconstruction (batch, samples) and latent (batch, samples / 32).

    width scales the number of filters, depth is the number of layers in a dilation block: the
    thesis's size is width 1, depth 50. bottleneck, output: activation of the encoder's and of the
    decoder's last layer ("tanh", "sigmoid" or "linear"). gate, padding: see `DilationBlock`.
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
    ):
        super().__init__()
        if kind not in ENCODERS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
        self.kind = kind
        encoder, decoder = (scaled(table[kind], width) for table in (ENCODERS, DECODERS))
        block = {"depth": depth, "gate": gate, "padding": padding}
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


STRIDE = 8  # frames that one column of the narrowest layer stands for


class BandAutoencoder(nn.Module):
    """(batch, n_mels, frames) ↔ (batch, length): convolutions over time, three strides of two."""

    def __init__(self, n_mels: int, frames: int, *, channels: int = 64):
        super().__init__()
        if frames % STRIDE:
            raise ValueError(f"{frames} frames are not a multiple of {STRIDE}")
        self.narrow = (channels // 2, frames // STRIDE)
        self.length = self.narrow[0] * self.narrow[1]
        down, up = ([], [])
        for _ in range(3):
            down += [nn.Conv1d(channels, channels, 4, 2, 1), nn.GELU()]
            up += [nn.ConvTranspose1d(channels, channels, 4, 2, 1), nn.GELU()]
        first, last = (
            nn.Conv1d(*size, 3, padding=1) for size in ((n_mels, channels), (channels, n_mels))
        )
        self.encoder = nn.Sequential(
            first, nn.GELU(), *down, nn.Conv1d(channels, self.narrow[0], 1)
        )
        self.decoder = nn.Sequential(nn.Conv1d(self.narrow[0], channels, 1), nn.GELU(), *up, last)

    def encode(self, levels: Tensor) -> Tensor:
        """(batch, n_mels, frames) → (batch, length)."""
        return self.encoder(2 * levels - 1).flatten(1)

    def decode(self, latent: Tensor) -> Tensor:
        """(batch, length) → (batch, n_mels, frames)."""
        return (1 + self.decoder(latent.unflatten(1, self.narrow))) / 2
