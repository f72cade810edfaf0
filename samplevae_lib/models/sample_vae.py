"""The VAE of thesis R's sample library: mel spectrograms, and flow layers behind the bottleneck.

Thesis R, section 7.2.1 and Figure 7.3, after SampleVAE (Frenzel, 2019). Four convolutions, each
halved by a max pool, take 128 × 250 bands to 7 × 15; a dense layer with dropout gives h; from it
come mean and deviation of z₀, and inverse autoregressive flows (Kingma et al., 2016) bend z₀ into
the latent z, each seeing h too. The decoder mirrors the encoder, and all activations are ELU.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from zuko.flows import MaskedAutoregressiveTransform
from zuko.nn import MaskedLinear

from samplevae_lib.models.vae import Reconstruction

_LEAST = 1e-4  # deviation of z₀
_POOL = (3, 2)  # with strides of 2, these take 128 × 250 to 7 × 15 in four steps, as printed


class FlowPosterior(NamedTuple):
    """The latent that the encoder gives to each of a batch: z₀, bent by the flows.

    mean: z, (batch, dimensions); in training of a z₀ that is drawn, in evaluation of its mean.
    gained: (batch,), log density of z under the encoder minus that under the standard normal.
    """

    mean: Tensor
    gained: Tensor

    def divergence(self) -> Tensor:
        """Kullback–Leibler divergence from the standard normal as this z tells it, (batch, 1).

        In nats; in training its mean is right, in evaluation too low, as z is the mean.
        """
        return self.gained[:, None]


class SampleVAE(nn.Module):
    """Levels of mel bands (batch, bands, frames) → latent (batch, dimensions) → levels again.

    channels: of the convolutions, in the encoder's order. dense: units of the layer between them
    and the latent. flows: flow layers, none for 0. transformations: hidden units of each.
    dropout: share of the dense layers' units that is left out in training.
    """

    def __init__(
        self,
        bands: int = 128,
        frames: int = 250,
        *,
        dimensions: int = 64,
        channels: Sequence[int] = (32, 32, 32, 32),
        dense: int = 512,
        flows: int = 10,
        transformations: int = 64,
        dropout: float = 0.2,
    ):
        super().__init__()
        self.sizes = [(bands, frames)]
        for _ in channels:
            pooled = ((n - k) // 2 + 1 for n, k in zip(self.sizes[-1], _POOL, strict=True))
            self.sizes.append(tuple(pooled))
        if min(self.sizes[-1]) < 1:
            raise ValueError(
                f"{bands} bands of {frames} frames are too few for {len(channels)} convolutions, "
                "each of which halves both"
            )
        self.small = (channels[-1], *self.sizes[-1])
        values = channels[-1] * self.sizes[-1][0] * self.sizes[-1][1]
        self.down = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise((1, *channels))
        )
        self.hidden = nn.Sequential(nn.Linear(values, dense), nn.ELU(), nn.Dropout(dropout))
        self.moments = nn.Linear(dense, 2 * dimensions)
        self.flows = nn.ModuleList(
            _flow(dimensions, dense, transformations, turned=k % 2 == 1) for k in range(flows)
        )
        self.back = nn.Sequential(
            nn.Linear(dimensions, dense), nn.ELU(), nn.Dropout(dropout),
            nn.Linear(dense, values), nn.ELU(),
        )  # fmt: skip
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(b, a, 3, padding=1) for a, b in pairwise((1, *channels))
        )
        self.to(memory_format=torch.channels_last)  # three times as fast on a processor

    def encode(self, levels: Tensor) -> FlowPosterior:
        """(batch, bands, frames) → what is said of the latent."""
        x = levels[:, None].contiguous(memory_format=torch.channels_last)
        for layer in self.down:
            x = F.elu(F.max_pool2d(layer(x), _POOL, 2))  # the same as before pooling, and cheaper
        h = self.hidden(x.flatten(1))
        mean, spread = self.moments(h).chunk(2, dim=1)
        deviation = F.softplus(spread) + _LEAST
        z = mean + deviation * torch.randn_like(mean) if self.training else mean
        gained = -(0.5 + deviation.log()).sum(1)
        for flow in self.flows:
            z, grown = flow(h).call_and_ladj(z)
            gained = gained - grown
        return FlowPosterior(z, gained + 0.5 * z.square().sum(1))

    def decode(self, z: Tensor) -> Tensor:
        """(batch, dimensions) → (batch, bands, frames)."""
        x = self.back(z).view(-1, *self.small).contiguous(memory_format=torch.channels_last)
        for layer, size in zip(reversed(self.up), reversed(self.sizes[:-1]), strict=True):
            x = layer(F.interpolate(x, size=size))
            if layer is not self.up[0]:
                x = F.elu(x)
        return x[:, 0]

    def forward(self, levels: Tensor) -> Reconstruction:
        posterior = self.encode(levels)
        return Reconstruction(self.decode(posterior.mean), posterior, posterior.mean, None)


def _flow(dimensions: int, context: int, units: int, *, turned: bool) -> nn.Module:
    """One flow layer, each latent of which depends on those before it, or after it if turned."""
    order = torch.arange(dimensions)
    made = MaskedAutoregressiveTransform(
        dimensions, context, order=order.flip(0) if turned else order, hidden_features=(units,),
        activation=nn.ELU,
    )  # fmt: skip
    for layer in made.modules():
        if isinstance(layer, MaskedLinear):  # its mask follows from the sizes: no weight to keep
            layer.register_buffer("mask", layer.mask, persistent=False)
    return made
