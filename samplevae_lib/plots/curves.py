"""Lines and points over a quantity: ratings with their intervals, training, folding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from samplevae_lib.metrics.latents import folded
from samplevae_lib.metrics.ratings import Interval
from samplevae_lib.plots import COLOURS, MARKERS, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKS = "osD^vP*X<>hp"  # large ones, each of which stands for a whole method


@styled
def lines(
    at: Sequence[float], named: Mapping[str, Sequence[float] | Sequence[Interval]], *,
    over: str, label: str, log: bool = False,
) -> Figure:  # fmt: skip
    """A line for each name over the values `at`, with a band where intervals are given.

    named: for each name as many numbers, or intervals, as there are values in `at`.
    over, label: what the two axes are. log: whether `at` is drawn on a logarithmic scale.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.5, 3.2))
    for position, (name, line) in enumerate(named.items()):
        colour, values = COLOURS[position % len(COLOURS)], np.array(line, dtype=float)
        middle = values[:, 0] if values.ndim == 2 else values
        axes.plot(at, middle, color=colour, marker=_MARKS[position], markersize=4, label=name)
        if values.ndim == 2:
            axes.fill_between(at, values[:, 1], values[:, 2], color=colour, alpha=0.15, lw=0)
    axes.set(xlabel=over, ylabel=label)
    axes.set_xscale("log" if log else "linear")
    axes.set_xticks(at, [f"{value:g}" for value in at])
    axes.minorticks_off()
    _legend_beside(axes)
    return figure


@styled
def over_speed(ratings: Mapping[str, Interval], speeds: Mapping[str, float]) -> Figure:
    """The grade of each method with its interval, over its speed.

    ratings, speeds: by the methods' names. A speed is in seconds of sound made in a second; at the
    grey line it takes as long to make a sound as to hear it.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.5, 3.6))
    for position, (name, rating) in enumerate(ratings.items()):
        axes.errorbar(
            speeds[name], rating.mean, yerr=_reach(rating), color=COLOURS[position % len(COLOURS)],
            marker=_MARKS[position % len(_MARKS)], capsize=2, linestyle="none", label=name,
        )  # fmt: skip
    axes.axvline(1, color="0.7", linewidth=0.8, zorder=0)
    axes.set(xscale="log", xlabel="seconds of sound per second", ylabel="ODG", ylim=(-4, 0.3))
    _legend_beside(axes, fontsize=8)
    return figure


@styled
def by_class(
    ratings: Mapping[str, Mapping[str, Interval]], label: str, *, limits: tuple[float, float]
) -> Figure:
    """The ratings of each class of sounds by all methods, side by side, a colour for each method.

    ratings: for each method an interval for each class. label: what is rated. limits: of its axis.
    """
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
    _legend_beside(axes)
    return figure


@styled
def histories(
    runs: Mapping[str, Sequence[pd.DataFrame]], column: str, label: str, *, log: bool = True
) -> Figure:
    """A column of training histories over epochs: a colour for each model, a line for each seed.

    runs: for each model the histories of its seeds. label: what the column is. log: whether it is
    drawn on a logarithmic scale.
    """
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 2.8))
    for position, (name, seeds) in enumerate(runs.items()):
        for seed, history in enumerate(seeds):
            axis.plot(
                history["epoch"] + 1, history[column], color=COLOURS[position], marker=".",
                label=name if seed == 0 else None,
            )  # fmt: skip
    axis.set(xlabel="epoch", ylabel=label, yscale="log" if log else "linear")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend()
    return figure


@styled
def divergences(by_model: Mapping[str, np.ndarray]) -> Figure:
    """The divergence of each latent dimension, the greatest first; a line for each model.

    by_model: (dimensions,) each, in nats.
    """
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(6.5, 3))
    for position, (name, nats) in enumerate(by_model.items()):
        ranks = np.arange(1, len(nats) + 1)
        axis.plot(
            ranks, np.sort(nats)[::-1], marker=MARKERS[position], markersize=5,
            color=COLOURS[position % len(COLOURS)], label=name,
        )  # fmt: skip
    axis.set(xlabel="latent dimension, by its divergence", ylabel="nats", ylim=(0, None))
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend()
    return figure


@styled
def folding(
    hertz: np.ndarray, measured: Mapping[str, np.ndarray], rate: float, *, bin_width: float
) -> Figure:
    """The strongest frequency of a latent over that of the sine it encodes.

    hertz: (n,), frequencies of the sines in Hz. measured: for each model the latent's strongest
    frequency, (seeds, n), in Hz. rate: of the latent, in Hz. The grey line is where sampling at
    that rate folds a frequency to. A latent fits where it lies within `bin_width` Hz of that line;
    those that do not have colours of their own: one where the second harmonic fits, one for the
    rest.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        len(measured), 1, figsize=(8, 2.1 * len(measured) + 0.4), sharex=True, squeeze=False
    )  # fmt: skip
    fine = np.linspace(0, hertz.max(), 4000)
    for axis, (name, latent) in zip(axes[:, 0], measured.items(), strict=True):
        axis.plot(fine, folded(fine, rate), color="0.8", linewidth=3, label="folding formula")
        fits, doubled = (
            np.abs(latent - folded(times * hertz, rate)) <= bin_width for times in (1, 2)
        )
        every = np.broadcast_to(hertz, latent.shape)
        classes = {"fits": fits, "second harmonic": doubled & ~fits, "neither": ~(doubled | fits)}
        for colour, (label, which) in zip(COLOURS, classes.items(), strict=False):
            axis.plot(every[which], latent[which], ".", markersize=3, color=colour, label=label)
        axis.set(title=f"{name}: {fits.mean():.0%} fit", ylabel="latent, Hz")
        axis.set_xlim(hertz.min(), hertz.max())
    axes[0, 0].legend(ncols=4, loc="upper right", fontsize=8, bbox_to_anchor=(1, 1.25))
    axes[-1, 0].set_xlabel("frequency of the sine, Hz")
    return figure


def _legend_beside(axes: Axes, **options: object) -> None:
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), **options)


def _reach(rating: Interval) -> np.ndarray:
    """How far the interval reaches down and up, (2, 1); nothing where there is no interval."""
    reach = np.array([[rating.mean - rating.low], [rating.high - rating.mean]])
    return np.nan_to_num(reach)
