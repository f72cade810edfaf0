"""Autoencoders with a Gaussian bottleneck, with or without a classifier on it.

Thesis L, sections 4.2.1 (the bottleneck) and 5.1.1 (the classifier).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from samplevae_lib.models.autoencoder import COMPRESSION, Autoencoder, BandAutoencoder


class Posterior(NamedTuple):
    """Mean and logarithm of the variance of each latent, (batch, dimensions)."""

    mean: Tensor
    log_variance: Tensor

    def sample(self) -> Tensor:
        """z = mean + deviation · noise (Kingma and Welling 2014)."""
        return self.mean + torch.exp(0.5 * self.log_variance) * torch.randn_like(self.mean)

    def divergence(self) -> Tensor:
        """Kullback–Leibler divergence from the standard normal, in nats, (batch, dimensions)."""
        variance = self.log_variance.exp()
        return 0.5 * (variance + self.mean.square() - 1 - self.log_variance)


class GaussianBottleneck(nn.Module):
    """Two parallel dense layers to mean and variance, two dense layers back (section 4.2.1).

    length: values of the encoder's last layer, samples / 32. The width between the two layers
    back is not in the thesis; here it is the length itself.
    """

    def __init__(self, length: int, dimensions: int):
        super().__init__()
        self.mean = nn.Linear(length, dimensions)
        self.log_variance = nn.Linear(length, dimensions)
        self.back = nn.Sequential(
            nn.Linear(dimensions, length), nn.Tanh(), nn.Linear(length, length)
        )

    def forward(self, latent: Tensor) -> Posterior:
        return Posterior(self.mean(latent), self.log_variance(latent))


class Classifier(nn.Sequential):
    """Dense hidden layers on z, then logits of the classes; the thesis has three of them.

    hidden: their widths. normed: whether they go through batch norm; all go through tanh, as the
    thesis's other layers do, for it says no more of them.
    """

    def __init__(
        self, dimensions: int, classes: int, *, hidden: tuple[int, ...] = (64, 64, 64),
        normed: bool = True,
    ):  # fmt: skip
        sizes = (dimensions, *hidden)
        layers: list[nn.Module] = []
        for size, following in zip(sizes, hidden, strict=False):
            norm = [nn.BatchNorm1d(following)] if normed else []
            layers += [nn.Linear(size, following), *norm, nn.Tanh()]
        super().__init__(*layers, nn.Linear(sizes[-1], classes))


class Reconstruction(NamedTuple):
    """A VAE's output for a batch.

    audio: the reconstruction, shaped like the input. posterior: of z. z: (batch, dimensions), drawn
    in training, the mean in evaluation. logits: (batch, classes), None without a classifier.
    """

    audio: Tensor
    posterior: Posterior
    z: Tensor
    logits: Tensor | None


class SignalVAE(nn.Module):
    """An autoencoder with a Gaussian bottleneck; in evaluation z is the mean, without noise."""

    def __init__(
        self,
        autoencoder: Autoencoder,
        bottleneck: GaussianBottleneck,
        classifier: Classifier | None = None,
    ):
        super().__init__()
        self.autoencoder, self.bottleneck = autoencoder, bottleneck
        self.classifier = classifier

    def encode(self, audio: Tensor) -> Posterior:
        """(batch, samples) → the posterior of z."""
        return self.bottleneck(self.autoencoder.encode(audio))

    def decode(self, z: Tensor) -> Tensor:
        """(batch, dimensions) → (batch, samples)."""
        return self.autoencoder.decode(self.bottleneck.back(z))

    def forward(self, audio: Tensor) -> Reconstruction:
        posterior = self.encode(audio)
        z = posterior.sample() if self.training else posterior.mean
        logits = self.classifier(z) if self.classifier is not None else None
        return Reconstruction(self.decode(z), posterior, z, logits)


def signal_vae(
    kind: str,
    samples: int,
    dimensions: int,
    *,
    classes: int = 0,
    hidden: tuple[int, ...] = (64, 64, 64),
    **shape: Any,
) -> SignalVAE:
    """A VAE of waveforms (batch, samples), built on one of the three autoencoders of thesis L.

    dimensions: of the latent. classes: of a classifier on it; none for 0. hidden: widths of the
    classifier's layers. shape: options of `Autoencoder` (width, depth, output, …).
    """
    body = Autoencoder(kind, **shape)
    classifier = Classifier(dimensions, classes, hidden=hidden) if classes else None
    return SignalVAE(body, GaussianBottleneck(samples // COMPRESSION, dimensions), classifier)


def band_vae(
    bands: int,
    frames: int,
    dimensions: int,
    *,
    channels: int = 64,
    classes: int = 0,
    hidden: tuple[int, ...] = (64, 64, 64),
) -> SignalVAE:
    """A VAE of mel bands as levels (batch, bands, frames), see `inversion.log_mel`.

    channels: of its convolutions. dimensions, classes, hidden: as for `signal_vae`; here the
    classifier has no batch norm.
    """
    body = BandAutoencoder(bands, frames, channels=channels)
    classifier = None
    if classes:
        classifier = Classifier(dimensions, classes, hidden=hidden, normed=False)
    return SignalVAE(body, GaussianBottleneck(body.length, dimensions), classifier)
