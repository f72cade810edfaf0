"""Dynamic time warping of cepstra, each coefficient by itself, and drift (thesis L, section 5.3).

The thesis warps every coefficient's course alone, as one-dimensional signals, and takes the mean
over the coefficients of what the paths cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numba
import numpy as np
from numba import prange
from numpy.lib.stride_tricks import sliding_window_view

_TOGETHER = 8  # courses that are warped side by side, with all their coefficients
_ABSENT = -1


def pairwise_dtw(
    cepstra: Sequence[np.ndarray], others: Sequence[np.ndarray] | None = None
) -> np.ndarray:
    """Cepstra (coefficients, frames) each → (n, n): the mean cost over the coefficients.

    others: (n, m), distances to those instead. A path goes on by a frame in one course or in both
    and costs the absolute differences on its way, as in librosa.sequence.dtw and MATLAB's dtw.
    Frame counts may differ.
    """
    rows = _checked(cepstra, "cepstra")
    columns = rows if others is None else _checked(others, "others")
    counts = sorted({one.shape[0] for one in (*rows, *columns)})
    if len(counts) > 1:
        raise ValueError(f"cepstra have {counts} coefficients: expected equally many in all")
    tasks = _all_pairs(len(rows)) if others is None else _every(len(rows), len(columns))
    made = np.zeros((len(rows), len(columns)))
    _costs(*_joined(rows), *_joined(columns), tasks, made)
    return made + made.T if others is None else made


def drift(distances: np.ndarray, to_centre: np.ndarray) -> np.ndarray:
    """Equation 5.3: distances (n, n) of recordings and (n,) of each to the centre's sound → (n,).

    How much further the centre is from a recording than the other recordings are on average, in
    standard deviations of those: 0 as far as they are, below 0 nearer.
    """
    distances, to_centre = np.asarray(distances, float), np.asarray(to_centre, float)
    count = len(distances)
    if distances.shape != (count, count) or to_centre.shape != (count,) or count < 3:
        raise ValueError(
            f"distances {distances.shape} and to_centre {to_centre.shape}: expected (n, n) and "
            "(n,) of three recordings or more"
        )
    rest = distances[~np.eye(count, dtype=bool)].reshape(count, count - 1)
    return (to_centre - rest.mean(1)) / rest.std(1, ddof=1)


def _checked(cepstra: Sequence[np.ndarray], name: str) -> list[np.ndarray]:
    arrays = [np.asarray(one, dtype=np.float64) for one in cepstra]
    if not arrays:
        raise ValueError(f"{name} is empty: expected one array (coefficients, frames) or more")
    for place, array in enumerate(arrays):
        if array.ndim != 2 or not array.size:
            raise ValueError(
                f"{name}[{place}] has shape {array.shape}: expected (coefficients, frames)"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"{name}[{place}] holds NaN or infinite values")
    return arrays


def _all_pairs(count: int) -> np.ndarray:
    """Each pair once: everyone with the next half of the others, round and round."""
    later = np.arange(1, count // 2 + 1)
    tasks = []
    for row in range(count):
        # Opposite each other in an even round, two would meet twice.
        kept = later[:-1] if count % 2 == 0 and row >= count // 2 else later
        tasks += _tasks(row, (row + kept) % count)
    return np.array(tasks, dtype=np.int64).reshape(-1, 1 + _TOGETHER)


def _every(rows: int, columns: int) -> np.ndarray:
    """Each row with each column."""
    return np.array([task for row in range(rows) for task in _tasks(row, np.arange(columns))])


def _tasks(row: int, columns: np.ndarray) -> list[list[int]]:
    """A row and at most so many columns, _ABSENT in place of what is missing."""
    parts = [columns[at : at + _TOGETHER] for at in range(0, len(columns), _TOGETHER)]
    return [[row, *part, *[_ABSENT] * (_TOGETHER - len(part))] for part in parts]


def _joined(arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """One after the other, (frames of all, coefficients), and where each begins and all end."""
    return np.hstack(arrays).T.copy(), np.cumsum([0, *(array.shape[1] for array in arrays)])


@numba.njit(parallel=True, cache=True)
def _costs(rows, row_starts, columns, column_starts, tasks, made):
    """Fill made (rows, columns) where tasks say so."""
    width = rows.shape[1]
    for place in prange(len(tasks)):
        row, chosen = tasks[place, 0], tasks[place, 1:]
        chosen = chosen[chosen != _ABSENT]
        lengths = column_starts[chosen + 1] - column_starts[chosen]
        one = np.empty((row_starts[row + 1] - row_starts[row], len(chosen) * width))
        other = np.zeros((lengths.max(), len(chosen) * width))
        for lane in range(len(chosen)):
            lanes, start = slice(lane * width, (lane + 1) * width), column_starts[chosen[lane]]
            one[:, lanes] = rows[row_starts[row] : row_starts[row + 1]]
            other[: lengths[lane], lanes] = columns[start : start + lengths[lane]]
        costs = _warped(one, other)
        for lane in range(len(chosen)):
            ends = costs[lengths[lane] - 1, lane * width : (lane + 1) * width]
            made[row, chosen[lane]] = ends.mean()


@numba.njit(fastmath={"nnan", "ninf", "nsz"}, cache=True)
def _warped(one, other):
    """The last row of costs (frames, lanes), each lane two courses (frames, lanes) of its own.

    Of all rows only the last one is kept, and of the one before it what lies behind the diagonal
    step. A lane of a shorter course has its cost where that ends; what follows has no say in it.
    """
    frames, lanes = other.shape
    costs, diagonal = np.empty((frames, lanes)), np.empty(lanes)
    for at in range(frames):
        for c in range(lanes):
            before = costs[at - 1, c] if at else 0.0
            costs[at, c] = before + abs(one[0, c] - other[at, c])
    for time in range(1, len(one)):
        for c in range(lanes):
            diagonal[c] = costs[0, c]
            costs[0, c] += abs(one[time, c] - other[0, c])
        for at in range(1, frames):
            for c in range(lanes):
                above = costs[at, c]
                least = min(min(above, costs[at - 1, c]), diagonal[c])
                diagonal[c] = above
                costs[at, c] = least + abs(one[time, c] - other[at, c])
    return costs


_FULL = 2**15  # full scale in 16 bits
_FLOOR = 1.0  # of a band, in those units; HTK has it, too


def htk_mfcc(
    audio: np.ndarray,
    sample_rate: int,
    *,
    frame_ms: float = 25.0,
    shift_ms: float = 5.0,
    emphasis: float = 0.97,
    band: tuple[float, float] = (200.0, 1200.0),
    channels: int = 20,
    coefficients: int = 13,
    lifter: int = 22,
    range_db: float = np.inf,
) -> np.ndarray:
    """(…, samples) with full scale at 1 → (…, coefficients, frames), the first the loudness.

    band: Hz. range_db: what lies further below a sound's loudest band is raised to there. The
    routine has no such floor, but the digital silence that pads the thesis's recordings has no
    logarithm. Only whole frames count, as in the routine.
    """
    audio = np.asarray(audio, dtype=np.float64)
    length, shift = (round(ms * sample_rate / 1000) for ms in (frame_ms, shift_ms))
    _check(audio, sample_rate, length, shift, band, channels, coefficients)
    rising = _FULL * audio
    rising[..., 1:] -= emphasis * _FULL * audio[..., :-1]
    frames = sliding_window_view(rising, length, axis=-1)[..., ::shift, :]
    n_fft = 2 ** int(np.ceil(np.log2(length)))
    magnitudes = np.abs(np.fft.rfft(frames * np.hamming(length), n_fft))
    bank = _triangles(sample_rate, n_fft, band, channels)
    bands = magnitudes @ bank.T
    loudest = bands.max((-1, -2), keepdims=True, initial=0)
    levels = np.log(np.maximum(bands, np.maximum(loudest * 10 ** (-range_db / 20), _FLOOR)))
    return np.swapaxes(levels @ _cosines(channels, coefficients, lifter).T, -1, -2)


@cache
def _triangles(
    sample_rate: int, n_fft: int, band: tuple[float, float], channels: int
) -> np.ndarray:
    """(channels, n_fft / 2 + 1), each triangle with its top at 1."""
    low, high = (1127 * np.log1p(hertz / 700) for hertz in band)
    edges = 700 * np.expm1(np.linspace(low, high, channels + 2) / 1127)
    hertz = np.linspace(0, sample_rate / 2, n_fft // 2 + 1)
    up = (hertz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    down = (edges[2:, None] - hertz) / np.diff(edges)[1:, None]
    return np.clip(np.minimum(up, down), 0, None)


@cache
def _cosines(channels: int, coefficients: int, lifter: int) -> np.ndarray:
    """(coefficients, channels): the cosine transform, and its rows lifted."""
    row = np.arange(coefficients)[:, None]
    cosines = np.cos(np.pi * row * (np.arange(channels) + 0.5) / channels)
    lift = 1 + lifter / 2 * np.sin(np.pi * row / lifter) if lifter else 1.0
    return np.sqrt(2 / channels) * cosines * lift


def _check(
    audio: np.ndarray, sample_rate: int, length: int, shift: int, band: Sequence[float],
    channels: int, coefficients: int,
) -> None:  # fmt: skip
    if not 0 <= band[0] < band[1] <= sample_rate / 2:
        raise ValueError(
            f"band {band} Hz: expected two frequencies, rising, up to {sample_rate / 2} Hz"
        )
    if not 1 <= coefficients <= channels:
        raise ValueError(f"{coefficients} coefficients of {channels} channels: expected 1 or more "
                         "and no more than channels")  # fmt: skip
    if not shift >= 1 or not 1 <= length <= audio.shape[-1]:
        raise ValueError(
            f"{audio.shape[-1]} samples in frames of {length} every {shift}: expected one frame or "
            "more, and a shift of a sample or more"
        )
    if not np.isfinite(audio).all():
        raise ValueError("audio holds NaN or infinite values: expected samples within ±1")
