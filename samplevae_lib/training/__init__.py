"""The one training loop, its players and losses, and fits kept in the cache."""

from __future__ import annotations

from samplevae_lib.training.fits import Fit
from samplevae_lib.training.loop import Batch, Diverged, Player, Schedule, Terms, train

__all__ = ["Batch", "Diverged", "Fit", "Player", "Schedule", "Terms", "train"]
