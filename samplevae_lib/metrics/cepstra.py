"""Cepstra of a sound, their distance by dynamic time warping, and drift (thesis L, section 5.3).

The thesis describes a recording by mel-frequency cepstral coefficients (MFCC), made as the Hidden
Markov Model Toolkit (HTK) makes them. Two recordings are compared coefficient by coefficient: the
curve that a coefficient draws over time is warped onto the other recording's curve, and the costs
of these one-dimensional warpings are averaged. Drift says how far the sound decoded from the
centre of a class is from the class's recordings, compared with how far they are from each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numba
import numpy as np
from numba import prange
from numpy.lib.stride_tricks import sliding_window_view

from samplevae_lib.audio import check

_FULL_SCALE = 2**15  # HTK counts in steps of 16 bits
_LEAST = 1.0  # in those steps: HTK, too, raises every band to this before it takes logarithms
_TOGETHER = 8  # recordings that are warped against another one at the same time
_ABSENT = -1


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
    """MFCC as in the HTK book, chapter 5: audio (…, samples) → (…, coefficients, frames).

    The audio has full scale at 1. Coefficient 0 says how loud a frame is. Samples behind the last
    whole frame are left out. The defaults are those of the thesis's listing.

    sample_rate: in Hz.
    frame_ms, shift_ms: length of a frame, and from one frame to the next, in milliseconds.
    emphasis: share of the sample before that is subtracted from each sample, to raise the treble.
    band: lowest and highest frequency of the mel filters, in Hz.
    channels: how many mel filters lie in that band.
    coefficients: how many coefficients are kept, number 0 among them.
    lifter: length of the sine that lifts the higher coefficients; 0 leaves them as they are.
    range_db: bands that lie further than this below the sound's loudest are raised to there. HTK
        has no such limit, but the thesis's recordings are padded with digital silence, which has
        no logarithm.

    >>> import numpy as np
    >>> from samplevae_lib.metrics import htk_mfcc
    >>> second = np.arange(8000) / 8000
    >>> htk_mfcc(0.5 * np.sin(2 * np.pi * 440 * second), 8000).shape
    (13, 196)
    """
    audio = np.asarray(audio, dtype=np.float64)
    for place in np.ndindex(audio.shape[:-1]):
        check(audio[place], f"audio{list(place)}" if place else "audio")
    length, shift = (round(ms * sample_rate / 1000) for ms in (frame_ms, shift_ms))
    _refuse_settings(audio.shape[-1], sample_rate, length, shift, band, channels, coefficients)
    rising = _FULL_SCALE * audio
    rising[..., 1:] -= emphasis * _FULL_SCALE * audio[..., :-1]
    frames = sliding_window_view(rising, length, axis=-1)[..., ::shift, :]
    n_fft = 2 ** int(np.ceil(np.log2(length)))
    magnitudes = np.abs(np.fft.rfft(frames * np.hamming(length), n_fft))
    bands = magnitudes @ _triangles(sample_rate, n_fft, band, channels).T
    loudest = bands.max((-1, -2), keepdims=True, initial=0)
    levels = np.log(np.maximum(bands, np.maximum(loudest * 10 ** (-range_db / 20), _LEAST)))
    return np.swapaxes(levels @ _cosines(channels, coefficients, lifter).T, -1, -2)


def pairwise_dtw(
    cepstra: Sequence[np.ndarray], others: Sequence[np.ndarray] | None = None
) -> np.ndarray:
    """Distance of every recording to every other one by dynamic time warping: (n, n).

    cepstra: n arrays (coefficients, frames); their numbers of frames may differ.
    others: m more such arrays. The result is then (n, m): the distance of each of `cepstra` to
        each of these.

    A distance is the mean over the coefficients of what the cheapest path costs that lays one
    coefficient's curve on the other's. A path goes on by one frame in one curve or in both, and
    every place on it costs the absolute difference of the two values that meet there, as in
    MATLAB's `dtw` and in librosa.sequence.dtw. Thesis L, table 5.4.

    >>> import numpy as np
    >>> from samplevae_lib.metrics import pairwise_dtw
    >>> short = np.array([[0.0, 1.0, 0.0]])
    >>> slower, higher = np.repeat(short, 2, axis=1), short + 1
    >>> pairwise_dtw([short, slower, higher])
    array([[0., 0., 3.],
           [0., 0., 5.],
           [3., 5., 0.]])
    """
    rows = _checked(cepstra, "cepstra")
    columns = rows if others is None else _checked(others, "others")
    counts = sorted({one.shape[0] for one in (*rows, *columns)})
    if len(counts) > 1:
        raise ValueError(f"cepstra have {counts} coefficients: expected equally many in all")
    tasks = _each_pair_once(len(rows)) if others is None else _all_pairs(len(rows), len(columns))
    made = np.zeros((len(rows), len(columns)))
    _costs(*_joined(rows), *_joined(columns), tasks, made)
    return made + made.T if others is None else made


def drift(distances: np.ndarray, to_centre: np.ndarray) -> np.ndarray:
    """How far a class's centre is from its recordings: thesis L, equation 5.3.

    distances: (n, n), of the class's recordings to each other, as `pairwise_dtw` gives them.
    to_centre: (n,), of each recording to the sound that the centre decodes to.

    Returns (n,): for each recording the distance to the centre, less the mean distance to the
    other recordings, in standard deviations of the latter. At 0 the centre is as far away as the
    others are on average; below 0 it is nearer.

    >>> import numpy as np
    >>> from samplevae_lib.metrics import drift
    >>> distances = np.array([[0.0, 1.0, 3.0], [1.0, 0.0, 5.0], [3.0, 5.0, 0.0]])
    >>> drift(distances, np.array([2.0, 3.0, 1.0])).round(2)
    array([ 0.  ,  0.  , -2.12])
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


def _refuse_settings(
    samples: int, sample_rate: int, length: int, shift: int, band: Sequence[float],
    channels: int, coefficients: int,
) -> None:  # fmt: skip
    """length, shift: of frames, in samples."""
    if not 0 <= band[0] < band[1] <= sample_rate / 2:
        raise ValueError(
            f"band {band} Hz: expected two frequencies, rising, up to {sample_rate / 2} Hz"
        )
    if not 1 <= coefficients <= channels:
        raise ValueError(
            f"{coefficients} coefficients of {channels} channels: expected 1 or more and no more "
            "than channels"
        )
    if not shift >= 1 or not 1 <= length <= samples:
        raise ValueError(
            f"{samples} samples in frames of {length} every {shift}: expected one frame or more, "
            "and a shift of a sample or more"
        )


@cache
def _triangles(
    sample_rate: int, n_fft: int, band: tuple[float, float], channels: int
) -> np.ndarray:
    """The mel filters, (channels, n_fft / 2 + 1): triangles with their tops at 1."""
    low, high = (1127 * np.log1p(hertz / 700) for hertz in band)
    edges = 700 * np.expm1(np.linspace(low, high, channels + 2) / 1127)
    hertz = np.linspace(0, sample_rate / 2, n_fft // 2 + 1)
    up = (hertz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    down = (edges[2:, None] - hertz) / np.diff(edges)[1:, None]
    return np.clip(np.minimum(up, down), 0, None)


@cache
def _cosines(channels: int, coefficients: int, lifter: int) -> np.ndarray:
    """The cosine transform of the bands' logarithms, its rows lifted: (coefficients, channels)."""
    row = np.arange(coefficients)[:, None]
    cosines = np.cos(np.pi * row * (np.arange(channels) + 0.5) / channels)
    lift = 1 + lifter / 2 * np.sin(np.pi * row / lifter) if lifter else 1.0
    return np.sqrt(2 / channels) * cosines * lift


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
            raise ValueError(
                f"{name}[{place}] holds NaN or infinite values: expected finite ones; leave the "
                "recording out"
            )
    return arrays


def _each_pair_once(count: int) -> np.ndarray:
    """Tasks for all pairs of `count` recordings: each recording with the half that follows it.

    The first follows the last, so that every recording has equally much to do.
    """
    later = np.arange(1, count // 2 + 1)
    tasks = []
    for row in range(count):
        # With an even count the last of these is half-way round, where both would list the pair.
        kept = later[:-1] if count % 2 == 0 and row >= count // 2 else later
        tasks += _tasks(row, (row + kept) % count)
    return np.array(tasks, dtype=np.int64).reshape(-1, 1 + _TOGETHER)


def _all_pairs(rows: int, columns: int) -> np.ndarray:
    """Tasks for each row with each column."""
    return np.array([task for row in range(rows) for task in _tasks(row, np.arange(columns))])


def _tasks(row: int, columns: np.ndarray) -> list[list[int]]:
    """Lists of a row and eight columns it is compared with, filled up with _ABSENT."""
    parts = [columns[at : at + _TOGETHER] for at in range(0, len(columns), _TOGETHER)]
    return [[row, *part, *[_ABSENT] * (_TOGETHER - len(part))] for part in parts]


def _joined(arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """All recordings in one array (frames of all, coefficients), and where each begins and ends."""
    return np.hstack(arrays).T.copy(), np.cumsum([0, *(array.shape[1] for array in arrays)])


@numba.njit(parallel=True, cache=True)
def _costs(rows, row_starts, columns, column_starts, tasks, made):
    """Write the distance of every pair that `tasks` lists into made (rows, columns).

    rows, columns: the frames of all sounds in one array, as `_joined` makes it.
    """
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
    """Cost of the cheapest path to every frame of `other`, once all of `one` is used up.

    one, other: (frames, lanes); each lane is a pair of curves that is warped by itself. Returns
    (frames of other, lanes). Only the newest row of the table of costs is kept, and beside it the
    one value of the row before that the diagonal step needs. Where a lane's curve in `other` is
    shorter than the array, its distance stands at its own last frame: what is computed behind
    that never flows back.
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
