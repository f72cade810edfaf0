"""The terms of the models' losses, raw; a `training.Player` multiplies each by its weight, once."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from samplevae_lib.models.bottleneck import Reconstruction
from samplevae_lib.training import Batch


def mean_square(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """error: mean squared error of an autoencoder's reconstruction (thesis L, section 4.1.1)."""
    (audio,) = batch
    made, _ = model(audio)
    return {"error": F.mse_loss(made, audio)}


def variational(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """error: squared error, summed over samples; divergence: KL, summed over dimensions, in nats.

    Both are means over the batch, as in the listing of thesis L, section 3.3.
    """
    (audio,) = batch
    return _vae(model(audio), audio)


def unlabelled(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """`variational` of rows of any shape, the labels beside them unused."""
    rows, _ = batch
    return _vae(model(rows), rows)


def labelled(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """The same and classes: cross-entropy of the classifier in nats (thesis L, section 5.1.1)."""
    rows, labels = batch
    made = model(rows)
    return _vae(made, rows) | {"classes": F.cross_entropy(made.logits, labels)}


def _vae(made: Reconstruction, rows: Tensor) -> dict[str, Tensor]:
    error = (made.audio - rows).square().flatten(1).sum(-1).mean()
    return {"error": error, "divergence": made.posterior.divergence().sum(-1).mean()}
