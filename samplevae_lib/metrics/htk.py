"""MFCC as HTK makes them, by the routine that thesis L calls (section 5.3).

Magnitudes, not energies, go through triangles that stand equally far apart in mel and touch their
neighbours' tops; the logarithm is of 16-bit values, cosines and lifter are HTK's own (Young et
al., The HTK Book, sections 5.3 and 5.6). The defaults are those of the thesis's listing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

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
