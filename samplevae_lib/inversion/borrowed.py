"""A new envelope with borrowed detail: a recorded sound, each of its mel bands turned up or down.

A small code holds how loud the bands of a sound are, and not where its partials lie or how its
noise runs. No phase fits such bands alone; a recorded sound has all of it. What is made this way
holds a recording's fine structure: say from whom it is borrowed wherever it is heard.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from samplevae_lib.spectral import Spectrogram, decibels

LEAST_DB, MOST_DB = -60.0, 40.0  # how far a band is turned down or up
_ROUNDS = 2  # a band's neighbours leak into it, so that one round does not quite reach its level


def rebuild(
    bands: Tensor, spec: Spectrogram, *, seed: int = 0, lenders: np.ndarray, floor_db: float = -90.0
) -> Tensor:
    """Mel spectrograms (clips, bands, frames) → sounds, each with the detail of its nearest lender.

    lenders: recorded sounds (lenders, samples) at the spectrograms' rate, at least as long. The
    nearest is the one whose levels, in dB below its loudest, have the least mean square distance.
    floor_db: what lies lower is not compared. seed: there is no chance in it.
    """
    length = spec.hop * (bands.shape[-1] - 1)
    sounds = torch.as_tensor(np.asarray(lenders, np.float32))[:, :length]
    theirs, wanted = (
        decibels(each, floor=floor_db).level.numpy() for each in (spec.forward(sounds), bands)
    )
    nearest = [int(np.square(theirs - one).mean((1, 2)).argmin()) for one in wanted]
    made = [
        shaped(lenders[place, :length], one, spec, floor_db=floor_db)
        for place, one in zip(nearest, wanted, strict=True)
    ]
    loud = bands.amax((1, 2)) / spec.forward(torch.from_numpy(np.stack(made))).amax((1, 2))
    return torch.from_numpy(np.stack(made)) * torch.nan_to_num(loud, posinf=0.0)[:, None]


def shaped(
    lender: np.ndarray, wanted: np.ndarray, spec: Spectrogram, *, floor_db: float = -90.0
) -> np.ndarray:
    """A sound (samples,) with the wanted levels: (bands, frames) in dB below the loudest.

    spec: of the bands, kind "mel". floor_db: levels below it are left as they are. The loudest
    band comes out about as loud as the lender's.
    """
    sound = np.asarray(lender, np.float32)
    gains, made = np.zeros_like(wanted, dtype=np.float32), sound
    for _ in range(_ROUNDS):
        away = np.maximum(wanted, floor_db) - decibels(spec.forward(made), floor=floor_db).level
        gains = np.clip(gains + away, LEAST_DB, MOST_DB)
        made = turned(sound, gains, spec)
    return made


def turned(sound: np.ndarray, gains: np.ndarray, spec: Spectrogram) -> np.ndarray:
    """A sound (samples,) whose bands are turned up by gains in dB, (bands, frames).

    Between the middles of two bands a bin takes its share of both; above the last, the last's.
    """
    wave = torch.as_tensor(np.asarray(sound, np.float32))
    spectrum = spec.complex(wave)
    factors = torch.from_numpy(_shares(spec).T @ (10 ** (gains / 20)).astype(np.float32))
    return spec.sound(spectrum * factors, len(wave)).numpy()


@cache
def _shares(spec: Spectrogram) -> np.ndarray:
    """(bands, bins): how much of each band's gain each bin takes; together 1 for every bin."""
    filters = spec.mel_filters()
    middles = (filters * np.arange(filters.shape[1])).sum(1) / np.maximum(filters.sum(1), 1e-12)
    bins = np.arange(filters.shape[1])
    nearest = np.abs(middles[:, None] - bins).argmin(0)
    alone = np.eye(len(filters), dtype=np.float32)[:, nearest]
    total = filters.sum(0)
    return np.where(total > 0, filters / np.where(total > 0, total, 1), alone).astype(np.float32)
