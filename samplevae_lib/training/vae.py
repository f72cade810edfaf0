"""Training a VAE with or without a classifier at its bottleneck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from samplevae_lib.training import losses
from samplevae_lib.training.loop import Batch, train_model


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
    """Fit a VAE and judge it by what is held out; returns the history, a row an epoch.

    data: rows (n, …) and labels (n,) to learn from, then rows and labels held out. weights: of
    "error", "divergence" and, for a model with a classifier, "classes". rate: of Adam at the
    beginning; it falls along half a cosine to zero. epochs: how often every row is seen. batch:
    rows a step. clip: longest gradient. shift: rows are moved along their last axis by at most so
    much, anew in every batch; the gap is filled with 0, silence. seed: of all chance. checkpoint:
    a folder from which a killed training goes on.
    """
    rows, labels, others, other_labels = data
    terms = losses.labelled if "classes" in weights else losses.unlabelled

    def moving(model: nn.Module, some: Batch) -> dict[str, Tensor]:
        return terms(model, (moved(some[0], shift), some[1]) if model.training else some)

    return train_model(
        model, (rows, labels), validation=(others, other_labels), seed=seed, checkpoint=checkpoint,
        terms=moving if shift else terms, weights=weights, rate=rate, epochs=epochs, batch=batch,
        clip=clip,
    )  # fmt: skip


def moved(rows: Tensor, most: int) -> Tensor:
    """Shift each row (rows, …, length) along its last axis, by a random number of places.

    most: how many at the most, earlier or later. The gap is filled with zeros.
    """
    length = rows.shape[-1]
    by = torch.randint(-most, most + 1, (len(rows),), device=rows.device)
    come_from = torch.arange(length, device=rows.device) - by[:, None]
    inside = (come_from >= 0) & (come_from < length)
    shape = (len(rows), *[1] * (rows.ndim - 2), length)
    at = come_from.clamp(0, length - 1).view(shape).expand_as(rows)
    return rows.gather(-1, at) * inside.view(shape)
