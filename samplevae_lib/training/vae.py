"""Training a VAE with or without a classifier at its bottleneck, and looking at why it fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from samplevae_lib.training import losses
from samplevae_lib.training.loop import Batch, Player, Schedule, Terms, train


def train_vae(
    model: nn.Module,
    data: Sequence[np.ndarray],
    *,
    seed: int,
    checkpoint: Path | None = None,
    weights: Mapping[str, float],
    rate: float,
    epochs: int,
    batch: int,
    clip: float = 1.0,
    shift: int = 0,
) -> pd.DataFrame:
    """Fit to data and judge by what is held out; returns the history.

    data: rows and labels to learn from, and rows and labels held out. weights: of "error",
    "divergence" and, for a model with a classifier, "classes". shift: rows are moved along their
    last axis by at most so much, anew in every batch; what comes in is 0, silence.
    """
    rows, labels, others, other_labels = data
    terms = losses.labelled if "classes" in weights else losses.unlabelled

    def moving(model: nn.Module, some: Batch) -> dict[str, Tensor]:
        return terms(model, (moved(some[0], shift), some[1]) if model.training else some)

    player = Player(moving if shift else terms, weights, rate=rate)
    schedule = Schedule(epochs, batch, clip=clip, anneal=True)
    return train(
        model, (rows, labels), validation=(others, other_labels), players={"model": player},
        schedule=schedule, seed=seed, checkpoint=checkpoint,
    )  # fmt: skip


def moved(rows: Tensor, most: int) -> Tensor:
    """Each row (rows, …, length) earlier or later by at most `most`, with zeros in the gap."""
    length = rows.shape[-1]
    by = torch.randint(-most, most + 1, (len(rows),), device=rows.device)
    come_from = torch.arange(length, device=rows.device) - by[:, None]
    inside = (come_from >= 0) & (come_from < length)
    shape = (len(rows), *[1] * (rows.ndim - 2), length)
    at = come_from.clamp(0, length - 1).view(shape).expand_as(rows)
    return rows.gather(-1, at) * inside.view(shape)


def gradient_norms(
    model: nn.Module, terms: Terms, batch: Batch, parts: Mapping[str, nn.Module]
) -> pd.DataFrame:
    """How hard each loss term, unweighted, pulls at each part of a model, over a batch.

    Rows are the terms, columns the parts. Neither weights nor random state change, but batch norm
    in training takes the batch into its averages: give a copy of a model that is still needed.
    """
    owned = {name: list(part.parameters()) for name, part in parts.items()}
    pulls = {}
    with torch.random.fork_rng():
        found = terms(model, tuple(torch.as_tensor(each) for each in batch))
        for term, value in found.items():
            pulls[term] = {
                name: _norm(torch.autograd.grad(value, p, retain_graph=True, allow_unused=True))
                for name, p in owned.items()
            }
    return pd.DataFrame(pulls).T


def _norm(gradients: Sequence[Tensor | None]) -> float:
    return sum(float(g.square().sum()) for g in gradients if g is not None) ** 0.5
