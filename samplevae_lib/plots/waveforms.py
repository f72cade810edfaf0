"""Waveforms: below each other, in a grid, or as a whole beside a piece of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from samplevae_lib.plots import COLOURS, cells, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def stacked(signals: np.ndarray, rate: float, titles: Sequence[str]) -> Figure:
    """Signals (panels, samples) below each other over seconds, each on a scale of its own.

    rate: of the signals, in Hz. titles: one for each of them.
    """
    import matplotlib.pyplot as plt

    rows = len(signals)
    figure, axes = plt.subplots(
        rows, 1, figsize=(8, 0.95 * rows + 0.6), sharex=True, squeeze=False
    )  # fmt: skip
    time = np.arange(signals.shape[1]) / rate
    for axis, signal, title in zip(axes[:, 0], signals, titles, strict=True):
        axis.plot(time, signal, marker=".", markersize=2, linewidth=0.6)
        axis.set_title(title, loc="left", fontsize=8)
        axis.set_xlim(0, signals.shape[1] / rate)
    axes[-1, 0].set_xlabel("seconds")
    return figure


@styled
def waves(
    sounds: Sequence[np.ndarray], sample_rate: int, titles: Sequence[str], *,
    closer: tuple[float, float],
) -> Figure:  # fmt: skip
    """Whole waveforms on the left and a piece of each on the right, over seconds.

    sounds: (samples,) each. closer: first and last second of the piece.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        len(sounds), 2, figsize=(8.5, 1.3 * len(sounds) + 0.5), sharex="col", sharey="row",
        squeeze=False,
    )  # fmt: skip
    first, last = (round(second * sample_rate) for second in closer)
    for row, sound, title in zip(axes, sounds, titles, strict=True):
        time = np.arange(len(sound)) / sample_rate
        row[0].plot(time, sound, linewidth=0.3)
        row[1].plot(time[first:last], sound[first:last], linewidth=0.8, color=COLOURS[1])
        row[0].set_title(title, loc="left")
    axes[0, 0].set_xlim(0, max(map(len, sounds)) / sample_rate)
    axes[0, 1].set_xlim(*closer)
    figure.supxlabel("seconds", fontsize=9)
    return figure


@styled
def steps(waveforms: np.ndarray, titles: Sequence[str], *, columns: int = 3) -> Figure:
    """Waveforms (steps, samples) in a grid over samples, all on one scale, read line by line.

    columns: how many stand beside each other.
    """
    figure, panels = cells(
        len(waveforms), columns, size=(2.7, 1.5), around=(0, 0.3), sharex=True, sharey=True
    )
    for [axis], waveform, title in zip(panels, waveforms, titles, strict=True):
        axis.plot(waveform, linewidth=0.9)
        axis.set_title(title, fontsize=8)
    for [axis] in panels[-columns:]:
        axis.set_xlabel("sample")
    return figure
