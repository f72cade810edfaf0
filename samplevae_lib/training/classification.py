"""Training a classifier of sounds on few and uneven examples.

What keeps a few hundred sounds from being learnt by heart: each is varied anew in every batch (as
the same drum on another machine would differ), two are mixed with their labels (mixup, Zhang et
al., ICLR 2018), and rare classes are drawn more often.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samplevae_lib.training.loop import Batch, Terms, train_model

SILENT = -1.0  # the lowest level, 80 dB below the loudest; the loudest is at 1


def train_classifier(
    model: nn.Module,
    data: Sequence[np.ndarray],
    *,
    seed: int,
    checkpoint: Path | None = None,
    epochs: int,
    batch: int,
    rate: float,
    decay: float = 0.02,
    mixed: float = 0.3,
    balance: float = 0.5,
    smooth: float = 0.05,
    vary: Callable[[Tensor], Tensor] | None = None,
) -> pd.DataFrame:
    """Fit a classifier; returns the history, a row an epoch, with cross-entropies in nats.

    model: rows (batch, …) → logits (batch, classes). data: rows and classes (int64) to learn from,
    then rows and classes held out. epochs: how often all rows are seen, those of rare classes
    several times in each. batch: rows a step. rate, decay: of AdamW. mixed: the parameter of the
    Beta distribution of the shares in which two rows are mixed; 0 for none. balance: 0 draws every
    row equally often, 1 every class. smooth: of the labels, the share that all classes have
    (Szegedy et al. 2016).
    vary: changes the rows of a batch at random. seed: of all chance. checkpoint: a folder from
    which a killed training goes on.
    """
    rows, classes, *held = data
    drawn = _drawn(np.asarray(classes), balance, seed)
    return train_model(
        model, (rows[drawn], classes[drawn]), validation=held, seed=seed, checkpoint=checkpoint,
        terms=surprise(mixed=mixed, smooth=smooth, vary=vary), weights={"classes": 1.0},
        epochs=epochs, batch=batch, rate=rate, optimiser="adamw", options={"weight_decay": decay},
        clip=5.0,
    )  # fmt: skip


def surprise(
    *, mixed: float = 0.3, smooth: float = 0.05, vary: Callable[[Tensor], Tensor] | None = None
) -> Terms:
    """The cross-entropy of a batch of rows and classes; arguments as for `train_classifier`.

    In evaluation rows are neither varied nor mixed, and labels not smoothed.
    """

    def terms(model: nn.Module, some: Batch) -> dict[str, Tensor]:
        seen, wanted = some[0].float(), some[1]
        if not model.training:
            return {"classes": F.cross_entropy(model(seen), wanted)}
        seen, shares = _mix(vary(seen) if vary else seen, mixed)
        logits = model(seen)
        wanted = F.one_hot(wanted, logits.shape[1]).to(logits)
        wanted = shares[:, None] * wanted + (1 - shares[:, None]) * wanted.roll(1, 0)
        return {"classes": F.cross_entropy(logits, wanted, label_smoothing=smooth)}

    return terms


def _drawn(classes: np.ndarray, balance: float, seed: int) -> np.ndarray:
    """Which rows make up an epoch: each once, those of rare classes several times over."""
    counts = np.bincount(classes)
    times = (counts.max() / counts[classes]) ** balance
    whole = np.floor(times).astype(int)
    lots = np.random.default_rng(seed).random(len(classes)) < times - whole
    return np.repeat(np.arange(len(classes)), whole + lots)


def _mix(rows: Tensor, mixed: float) -> tuple[Tensor, Tensor]:
    """Each row with its neighbour in the batch; returns the mix and the first one's share."""
    if not mixed:
        return rows, rows.new_ones(len(rows))
    shares = torch.distributions.Beta(mixed, mixed).sample((len(rows),)).to(rows)
    own = shares.view(-1, *[1] * (rows.ndim - 1))
    return own * rows + (1 - own) * rows.roll(1, 0), shares


def vary_levels(levels: Tensor) -> Tensor:
    """Levels (batch, views, bands, frames) as another machine might have made the sounds.

    Levels lie between -1, 80 dB below the loudest, and 1, the loudest; views are of one sound.
    Duration and pitch change a little, the onset moves by some frames, bands are made louder or
    softer along a smooth curve, half the sounds get a noise floor, and a strip of bands and one of
    frames fall silent (SpecAugment, Park et al., Interspeech 2019).
    """
    moved = _stretched(levels)
    knots = 0.16 * torch.randn(len(levels), 1, 6)
    curve = F.interpolate(knots, size=levels.shape[2], mode="linear", align_corners=True)
    heard = ((moved - SILENT) / 0.25).clamp(max=1)  # silence stays silent
    louder = _with_floor(moved + curve[..., None].to(levels) * heard)
    louder = louder - louder.amax((1, 2, 3), keepdim=True) + 1
    return _with_gap(_with_gap(louder.clamp(min=SILENT), 2), 3)


def _stretched(levels: Tensor) -> Tensor:
    """Durations by a quarter of an octave, pitches by a band or so, the onset by up to 20 ms."""
    count = len(levels)
    longer, higher = 2 ** (0.26 * torch.randn(count)), 0.026 * torch.randn(count)
    later, zero = 0.06 * torch.rand(count) - 0.02, torch.zeros(count)
    along = torch.stack([longer, zero, longer - 1 - later], 1)
    across = torch.stack([zero, zero + 1, higher], 1)
    where = torch.stack([along, across], 1).to(levels)
    grid = F.affine_grid(where, list(levels.shape), align_corners=False)
    # What comes in from outside is 0, which has to mean silence.
    return F.grid_sample(levels - SILENT, grid, align_corners=False) + SILENT


def _with_floor(levels: Tensor) -> Tensor:
    """Half of the sounds with a noise at up to 40 dB below the loudest."""
    shape = (len(levels), 1, 1, 1)
    height = SILENT + torch.rand(shape).square() * (torch.rand(shape) < 0.5)
    height = height.to(levels)
    rough = 0.08 * torch.randn_like(levels) * (height > SILENT)
    return torch.maximum(levels, height + rough)


def _with_gap(levels: Tensor, axis: int, *, widest: int = 8) -> Tensor:
    """Up to eight neighbouring bands (axis 2) or frames (axis 3) of each sound made silent."""
    size, shape = levels.shape[axis], (len(levels), 1, 1, 1)
    start, width = torch.randint(size, shape), torch.randint(widest + 1, shape)
    place = torch.arange(size).view((-1, 1) if axis == 2 else (1, -1))
    gap = (place >= start) & (place < start + width)
    return levels.masked_fill(gap.to(levels.device), SILENT)


def vary_waves(audio: Tensor) -> Tensor:
    """Waveforms (batch, samples), peaks at 1, as another machine might have made them.

    Speed changes by a sixth of an octave or so, the onset moves by up to 20 ms, bands are made
    louder or softer along a smooth curve, half the sounds get noise, and the polarity is anyone's.
    """
    count, samples = audio.shape
    speed = 2 ** (0.15 * torch.randn(count, 1))
    later = samples * (0.026 * torch.rand(count, 1) - 0.006)
    at = torch.arange(samples) * speed - later
    first = at.floor().clamp(0, samples - 1).long().to(audio.device)
    between = (at - at.floor()).to(audio)
    inside = ((at >= 0) & (at < samples - 1)).to(audio)
    following = (first + 1).clamp(max=samples - 1)
    moved = inside * ((1 - between) * audio.gather(1, first) + between * audio.gather(1, following))
    curve = F.interpolate(
        0.25 * torch.randn(count, 1, 9), size=samples // 2 + 1, mode="linear", align_corners=True
    )[:, 0].exp().to(audio)  # fmt: skip
    made = torch.fft.irfft(torch.fft.rfft(moved) * curve, n=samples)
    noise = 10 ** (-3 + 1.5 * torch.rand(count, 1)) * (torch.rand(count, 1) < 0.5)
    made = made / made.abs().amax(1, keepdim=True).clamp(min=1e-6)
    sign = torch.randint(2, (count, 1)) * 2 - 1
    return (made + noise.to(audio) * torch.randn_like(audio)) * sign.to(audio)
