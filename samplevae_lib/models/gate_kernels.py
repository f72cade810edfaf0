"""The loops of `gates` for a CPU, compiled: every sample is read and written once a sweep.

Arrays are as `gates` describes them. Sums are taken over chunks of fixed size and then in order, so
that no result depends on the number of threads.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import prange

ROWS = 256  # of a chunk: small enough for the cache
# What the compiler may do; not take sums in any order, and not suppose that no value is NaN.
_FAST = {"contract", "nsz", "arcp"}
_LIMIT = np.float32(7.5)  # tanh is within 7e-7 of 1 from here on
_ONE = np.float32(1.0)


def _lambert(terms: int) -> np.ndarray:
    """Lambert's tanh x = x / (1 + x² / (3 + x² / (5 + …))), cut off, as x · P / Q.

    Returns the coefficients of P and Q in x², constant first. All are positive: nothing cancels.
    """
    top, bottom = np.poly1d([1.0]), np.poly1d([2.0 * terms - 1])
    for k in range(terms - 1, 0, -1):
        top, bottom = bottom, (2 * k - 1) * bottom + np.poly1d([1.0, 0.0]) * top
    both = np.zeros((2, len(bottom.coeffs)))
    for row, poly in zip(both, (top, bottom), strict=True):
        row[: len(poly.coeffs)] = poly.coeffs[::-1]
    return (both / both[:, :1]).astype(np.float32)


# Eleven terms err by less than 4e-7 up to the limit.
(_P0, _P1, _P2, _P3, _P4, _P5), (_Q0, _Q1, _Q2, _Q3, _Q4, _Q5) = _lambert(11)


@numba.njit(fastmath=_FAST, inline="always")
def _tanh(x):
    x = _LIMIT if x > _LIMIT else x  # min and max would hide a NaN
    x = -_LIMIT if x < -_LIMIT else x
    s = x * x
    top = ((((_P5 * s + _P4) * s + _P3) * s + _P2) * s + _P1) * s + _P0
    bottom = ((((_Q5 * s + _Q4) * s + _Q3) * s + _Q2) * s + _Q1) * s + _Q0
    return x * top / bottom


def _parallel(kernel):
    return numba.njit(parallel=True, fastmath=_FAST, cache=True)(kernel)


@numba.njit(cache=True)
def _merged(means, squares, rows):
    channels = means.shape[1]
    merged = np.zeros((2, channels))
    for chunk in range(len(means)):
        size = min(ROWS, rows - chunk * ROWS)
        share = size / (chunk * ROWS + size)  # of this chunk in all up to here
        for c in range(channels):
            step = means[chunk, c] - merged[0, c]
            merged[0, c] += step * share
            merged[1, c] += squares[chunk, c] + step * step * size * (1 - share)
    merged[1] /= rows
    return merged.astype(means.dtype)


@_parallel
def moments(branch):
    """Mean and variance of each channel, (2, channels); chunks are merged in double precision."""
    rows, channels = branch.shape
    chunks = (rows + ROWS - 1) // ROWS
    means = np.zeros((chunks, channels), branch.dtype)
    squares = np.zeros((chunks, channels), branch.dtype)
    for chunk in prange(chunks):
        first, last = chunk * ROWS, min(rows, chunk * ROWS + ROWS)
        for row in range(first, last):
            for c in range(channels):
                means[chunk, c] += branch[row, c]
        for c in range(channels):
            means[chunk, c] /= last - first
        for row in range(first, last):
            for c in range(channels):
                away = branch[row, c] - means[chunk, c]
                squares[chunk, c] += away * away
    return _merged(means, squares, rows)


@_parallel
def add_product(state, first, second, norms, gate, out):
    """out = state + product of the activated branches."""
    rows, channels = state.shape
    for chunk in prange((rows + ROWS - 1) // ROWS):
        for row in range(chunk * ROWS, min(rows, chunk * ROWS + ROWS)):
            for c in range(channels):
                normal_1 = (first[row, c] - norms[0, 0, c]) * norms[0, 1, c]
                normal_2 = (second[row, c] - norms[1, 0, c]) * norms[1, 1, c]
                one = _tanh(normal_1 * norms[0, 2, c] + norms[0, 3, c])
                two = _tanh((normal_2 * norms[1, 2, c] + norms[1, 3, c]) * gate[0])
                out[row, c] = state[row, c] + one * (two * gate[1] + gate[2])


@_parallel
def before_norm(gradient, first, second, norms, gate, to_first, to_second):
    """Fill in the gradients before the activations; sums for gain and offset of both branches."""
    rows, channels = gradient.shape
    chunks = (rows + ROWS - 1) // ROWS
    sums = np.zeros((chunks, 4, channels), gradient.dtype)
    for chunk in prange(chunks):
        gain_1 = np.zeros(channels, gradient.dtype)
        gain_2 = np.zeros(channels, gradient.dtype)
        offset_1 = np.zeros(channels, gradient.dtype)
        offset_2 = np.zeros(channels, gradient.dtype)
        for row in range(chunk * ROWS, min(rows, chunk * ROWS + ROWS)):
            for c in range(channels):
                normal_1 = (first[row, c] - norms[0, 0, c]) * norms[0, 1, c]
                normal_2 = (second[row, c] - norms[1, 0, c]) * norms[1, 1, c]
                one = _tanh(normal_1 * norms[0, 2, c] + norms[0, 3, c])
                two = _tanh((normal_2 * norms[1, 2, c] + norms[1, 3, c]) * gate[0])
                to_1 = gradient[row, c] * (two * gate[1] + gate[2]) * (_ONE - one * one)
                to_2 = gradient[row, c] * one * (_ONE - two * two) * gate[0] * gate[1]
                to_first[row, c], to_second[row, c] = to_1, to_2
                gain_1[c] += to_1 * normal_1
                gain_2[c] += to_2 * normal_2
                offset_1[c] += to_1
                offset_2[c] += to_2
        sums[chunk, 0], sums[chunk, 1] = gain_1, offset_1
        sums[chunk, 2], sums[chunk, 3] = gain_2, offset_2
    return sums


@_parallel
def through_norm(branch, norm, shares, gradient):
    """Replace a gradient behind batch norm by the one before it."""
    rows, channels = branch.shape
    for chunk in prange((rows + ROWS - 1) // ROWS):
        for row in range(chunk * ROWS, min(rows, chunk * ROWS + ROWS)):
            for c in range(channels):
                normal = (branch[row, c] - norm[0, c]) * norm[1, c]
                own = gradient[row, c] - shares[1, c] - normal * shares[0, c]
                gradient[row, c] = own * norm[1, c] * norm[2, c]
