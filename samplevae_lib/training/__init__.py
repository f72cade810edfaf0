"""The one training loop, its players and losses, and fitted models that are kept."""

from __future__ import annotations

from samplevae_lib import on_first_use
from samplevae_lib.training.cost import StepCost, step_cost
from samplevae_lib.training.fits import Fit
from samplevae_lib.training.loop import (
    Batch,
    Diverged,
    Player,
    Schedule,
    Terms,
    train,
    train_model,
)

__all__ = [
    "Batch", "Diverged", "Fit", "Player", "Schedule", "StepCost", "Terms",
    "step_cost", "train", "train_model",
]  # fmt: skip

__getattr__ = on_first_use(__name__, "losses", "vae")
