"""The terms of the models' losses, raw; a `training.Player` multiplies each by its weight, once."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

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
    made = model(audio)
    error = (made.audio - audio).square().sum(-1).mean()
    return {"error": error, "divergence": made.posterior.divergence().sum(-1).mean()}
