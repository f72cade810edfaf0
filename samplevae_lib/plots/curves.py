"""Pictures of ratings: over a quantity, over speed, and class by class, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from samplevae_lib.metrics.ratings import Interval
from samplevae_lib.plots import COLOURS, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MARKS = "osD^vP*X<>hp"


@styled
def curves(
    at: Sequence[float], lines: Mapping[str, Sequence[float] | Sequence[Interval]], *,
    over: str, label: str, log: bool = False,
) -> Figure:  # fmt: skip
    """A line for each name over the values `at`, with a band where intervals are given.

    log: whether `at` is drawn on a logarithmic scale.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.5, 3.2))
    for position, (name, line) in enumerate(lines.items()):
        colour, values = COLOURS[position % len(COLOURS)], np.array(line, dtype=float)
        middle = values[:, 0] if values.ndim == 2 else values
        axes.plot(at, middle, color=colour, marker=_MARKS[position], markersize=4, label=name)
        if values.ndim == 2:
            axes.fill_between(at, values[:, 1], values[:, 2], color=colour, alpha=0.15, lw=0)
    axes.set(xlabel=over, ylabel=label)
    axes.set_xscale("log" if log else "linear")
    axes.set_xticks(at, [f"{value:g}" for value in at])
    axes.minorticks_off()
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


@styled
def over_speed(ratings: Mapping[str, Interval], speeds: Mapping[str, float]) -> Figure:
    """ODG of each method with its interval, over seconds of sound made in a second."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.5, 3.6))
    for position, (name, rating) in enumerate(ratings.items()):
        axes.errorbar(
            speeds[name], rating.mean, yerr=_reach(rating), color=COLOURS[position % len(COLOURS)],
            marker=_MARKS[position % len(_MARKS)], capsize=2, linestyle="none", label=name,
        )  # fmt: skip
    axes.axvline(1, color="0.7", linewidth=0.8, zorder=0)
    axes.set(xscale="log", xlabel="seconds of sound per second", ylabel="ODG", ylim=(-4, 0.3))
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8)
    return figure


@styled
def by_class(
    ratings: Mapping[str, Mapping[str, Interval]], label: str, *, limits: tuple[float, float]
) -> Figure:
    """For each method (colour) the rating of each class, side by side."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.5, 3.2))
    classes = list(next(iter(ratings.values())))
    step = 0.8 / len(ratings)
    for position, (name, rated) in enumerate(ratings.items()):
        at = np.arange(len(classes)) + step * (position - (len(ratings) - 1) / 2)
        each = [rated[each] for each in classes]
        axes.errorbar(
            at, [one.mean for one in each], yerr=np.hstack([_reach(one) for one in each]),
            color=COLOURS[position], marker=_MARKS[position], markersize=4, capsize=2,
            linestyle="none", label=name,
        )  # fmt: skip
    axes.set_xticks(range(len(classes)), classes)
    axes.set(ylabel=label, ylim=limits)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def _reach(rating: Interval) -> np.ndarray:
    """How far the interval reaches down and up, (2, 1); nothing where there is no interval."""
    reach = np.array([[rating.mean - rating.low], [rating.high - rating.mean]])
    return np.nan_to_num(reach)
