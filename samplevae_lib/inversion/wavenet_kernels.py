"""WaveNet's generation for a CPU, compiled: each layer keeps what it has seen in a ring.

A new sample costs one column of every convolution (Le Paine et al. 2016, "Fast Wavenet Generation
Algorithm"). All clips of a batch take each step together, so that a weight is read once for all.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

# What the compiler may do; sums in any order too, as a matrix product has it.
_FAST = {"contract", "nsz", "arcp", "reassoc"}
_HALF = np.float32(np.sqrt(0.5))
_NONE, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)


class Tables(NamedTuple):
    """A network's weights, inputs before outputs, and what the bands add to every gate.

    taps: (layers, kernel, residual, gate). local: (layers, stretches, clips, gate), with the bias.
    exits: (layers, gate / 2, residual + skip), exit_biases: (layers, residual + skip).
    entrance: (2, residual), weight and bias. head: (skip, skip), head_bias: (skip,).
    last: (skip, 256), last_bias: (256,). dilations: (layers,). hop: samples of a stretch.
    """

    taps: np.ndarray
    local: np.ndarray
    exits: np.ndarray
    exit_biases: np.ndarray
    entrance: np.ndarray
    head: np.ndarray
    head_bias: np.ndarray
    last: np.ndarray
    last_bias: np.ndarray
    dilations: np.ndarray
    hop: int


def generate(
    tables: Tables, draws: np.ndarray, sharpness: np.float32, *, keep: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Classes (samples, clips), uint8, one for each draw from 0 … 1.

    sharpness: what logits are multiplied by. keep: also return them, (samples, clips, 256).
    """
    chosen = np.empty(draws.shape, np.uint8)
    values = tables.last_bias.shape[0]
    kept = np.empty((len(draws) if keep else 0, draws.shape[1], values), np.float32)
    _generate(tables, draws, sharpness, chosen, kept)
    return chosen, kept


@numba.njit(fastmath=_FAST, cache=True)
def _add_product(given, weights, made):
    """made (clips, outputs) += given (clips, inputs) @ weights (inputs, outputs)."""
    inputs, outputs = weights.shape
    for first in range(0, inputs - 3, 4):
        for clip in range(given.shape[0]):
            row = made[clip]
            a, b = given[clip, first], given[clip, first + 1]
            c, d = given[clip, first + 2], given[clip, first + 3]
            for o in range(outputs):
                row[o] += (a * weights[first, o] + b * weights[first + 1, o]) + (
                    c * weights[first + 2, o] + d * weights[first + 3, o]
                )
    for i in range(inputs - inputs % 4, inputs):
        for clip in range(given.shape[0]):
            for o in range(outputs):
                made[clip, o] += given[clip, i] * weights[i, o]


@numba.njit(fastmath=_FAST, cache=True)
def _start_with(row, made):
    """made (clips, outputs) = row (outputs,), in every clip."""
    for clip in range(made.shape[0]):
        for o in range(made.shape[1]):
            made[clip, o] = row[o]


@numba.njit(fastmath=_FAST, cache=True)
def _rectify(made, factor):
    """made (clips, outputs) times a factor, and nothing below zero."""
    for clip in range(made.shape[0]):
        for o in range(made.shape[1]):
            made[clip, o] = max(made[clip, o] * factor, _NONE)


@numba.njit(fastmath=_FAST, cache=True)
def _draw(logits, draw, sharpness):
    """The class at which the summed likelihood passes the draw; overwrites the logits."""
    highest, total = logits[0], _NONE
    for i in range(1, len(logits)):
        highest = max(highest, logits[i])
    for i in range(len(logits)):
        logits[i] = np.exp((logits[i] - highest) * sharpness)
        total += logits[i]
    left, i = draw * total - logits[0], 0
    while left >= 0 and i < len(logits) - 1:
        i += 1
        left -= logits[i]
    return i


@numba.njit(fastmath=_FAST, cache=True)
def _layer(tables, layer, sample, rings, state, mixed, gated, both, skips):
    """One layer's step: state (clips, residual) and skips (clips, skip) change in place."""
    kernel, dilation = tables.taps.shape[1], tables.dilations[layer]
    span = dilation * (kernel - 1) + 1
    ring = rings[layer]
    clips, half, residual = len(state), gated.shape[1], state.shape[1]
    for clip in range(clips):
        for c in range(residual):
            ring[sample % span, clip, c] = state[clip, c]
        for c in range(2 * half):
            mixed[clip, c] = tables.local[layer, sample // tables.hop, clip, c]
    for tap in range(kernel):
        place = (sample + 1 + dilation * tap) % span
        _add_product(ring[place], tables.taps[layer, tap], mixed)
    for clip in range(clips):
        for c in range(half):
            twice = np.exp(_TWO * mixed[clip, c])  # tanh by way of it: several times as quick
            gated[clip, c] = (_ONE - _TWO / (twice + _ONE)) / (
                _ONE + np.exp(-mixed[clip, half + c])
            )
    _start_with(tables.exit_biases[layer], both)
    _add_product(gated, tables.exits[layer], both)
    for clip in range(clips):
        for c in range(residual):
            state[clip, c] = (state[clip, c] + both[clip, c]) * _HALF
        for c in range(skips.shape[1]):
            skips[clip, c] += both[clip, residual + c]


@numba.njit(fastmath=_FAST, cache=True)
def _generate(tables, draws, sharpness, chosen, kept):
    samples, clips = draws.shape
    layers, kernel, residual, gate = tables.taps.shape
    skip, values = tables.last.shape
    longest = 0
    for layer in range(layers):
        longest = max(longest, tables.dilations[layer])
    rings = np.zeros((layers, longest * (kernel - 1) + 1, clips, residual), np.float32)
    state, mixed = np.empty((clips, residual), np.float32), np.empty((clips, gate), np.float32)
    gated = np.empty((clips, gate // 2), np.float32)
    both = np.empty((clips, residual + skip), np.float32)
    skips, hidden = np.empty((clips, skip), np.float32), np.empty((clips, skip), np.float32)
    logits = np.empty((clips, values), np.float32)
    before, share = np.zeros(clips, np.float32), np.float32(1 / np.sqrt(layers))
    nothing, step = np.zeros(skip, np.float32), np.float32(2 / (values - 1))
    for sample in range(samples):
        for clip in range(clips):
            for c in range(residual):
                state[clip, c] = tables.entrance[0, c] * before[clip] + tables.entrance[1, c]
        _start_with(nothing, skips)
        for layer in range(layers):
            _layer(tables, layer, sample, rings, state, mixed, gated, both, skips)
        _rectify(skips, share)
        _start_with(tables.head_bias, hidden)
        _add_product(skips, tables.head, hidden)
        _rectify(hidden, _ONE)
        _start_with(tables.last_bias, logits)
        _add_product(hidden, tables.last, logits)
        for clip in range(clips):
            if len(kept):
                for value in range(values):
                    kept[sample, clip, value] = logits[clip, value]
            chosen[sample, clip] = _draw(logits[clip], draws[sample, clip], sharpness)
            before[clip] = chosen[sample, clip] * step - _ONE
