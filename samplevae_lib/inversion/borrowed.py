"""A new envelope with borrowed detail: a recorded sound, each of its mel bands turned up or down.

A small code holds how loud the bands of a sound are, and not where its partials lie or how its
noise runs. No phase fits such bands alone; a recorded sound has all of it. What is made this way
holds a recording's fine structure: say from whom it is borrowed wherever it is heard. So does a
graft, which borrows the attack of one sound and the body of another.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from samplevae_lib.audio import SILENCE, check
from samplevae_lib.spectral import Spectrogram, decibels, one_thread_each

LEAST_DB, MOST_DB = -60.0, 40.0  # how far a band is turned down or up
ONSET = 0.02  # of its peak: a sound begins with the first sample above this
_ROUNDS = 2  # a band's neighbours leak into it, so that one round does not quite reach its level
_SEAM, _SHIFT = 0.006, 0.002  # seconds: of a cross-fade, and by which a body is moved to fit it


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
    with one_thread_each():
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


def onset(sound: np.ndarray) -> int:
    """The sample with which a sound (samples,) begins: its first above a fiftieth of its peak."""
    size = np.abs(sound)
    return int((size > ONSET * size.max()).argmax())


def grafted(
    attack: np.ndarray, body: np.ndarray, sample_rate: int, *, seconds: float = 0.03
) -> np.ndarray:
    """The beginning of one sound, then the rest of another: float32 (samples,), to the body's end.

    attack, body: (samples,), each as loud as it is; both are laid where they begin. sample_rate:
    Hz. seconds: how long the attack is heard from there, at most until 3 ms before either ends. The
    body goes up to 2 ms earlier or later, and upside down if need be, to where it is most like the
    attack that it follows, or low tones might cancel. What is above full scale is turned down.
    """
    if not 0 < seconds < np.inf:
        raise ValueError(f"seconds is {seconds}: expected more than 0 and finite, such as 0.03")
    attack, body = _audible(attack, "the attack"), _audible(body, "the body")
    (first, behind), half = (onset(attack), onset(body)), min(_SEAM / 2, seconds)
    longest = min((seconds + half) * sample_rate, len(attack) - first, len(body) - behind)
    end = max(1, round(longest))
    count = min(max(1, round(2 * half * sample_rate)), end)
    start, behind = first + end - count, behind + end - count
    seam = attack[start : start + count]
    behind, turn = _fitting(seam, body, behind, round(_SHIFT * sample_rate))
    share = np.sin(np.pi / 2 * (np.arange(count) + 0.5) / count) ** 2
    rest = turn * body[behind:]
    rest[:count] = (1 - share) * seam + share * rest[:count]
    made = np.concatenate([attack[:start], rest])
    return made / np.maximum(np.abs(made).max(), np.float32(1))


def _audible(sound: np.ndarray, name: str) -> np.ndarray:
    sound = np.asarray(check(sound, name), np.float32)
    if np.ptp(sound) < 2 * SILENCE:
        raise ValueError(f"{name} is silent: expected a sound that is heard; take another")
    return sound


def _fitting(seam: np.ndarray, body: np.ndarray, start: int, reach: int) -> tuple[int, np.float32]:
    """Where within reach of a start a body is most like a seam (samples,), and 1, or -1 turned."""
    low = max(0, start - reach)
    near = body[low : start + len(seam) + reach].astype(np.float64)
    parts = np.lib.stride_tricks.sliding_window_view(near, len(seam))
    size = np.linalg.norm(parts, axis=1) * np.linalg.norm(seam)
    alike = parts @ seam / np.maximum(size, 1e-12)
    # Of places that are equally good, as with a tone's every period, the nearest.
    best = int((np.abs(alike) - 1e-6 * np.abs(low + np.arange(len(parts)) - start)).argmax())
    return low + best, np.float32(-1 if alike[best] < 0 else 1)


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
