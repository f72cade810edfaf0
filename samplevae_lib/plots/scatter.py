"""Figures of a two-dimensional latent space: who lies where, and what its points decode to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from samplevae_lib.plots import COLOURS, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = (">", ".", "*", "s", "^", "d", "v", "x", "+", "P")


class Latent(NamedTuple):
    """Points (items, 2) and what each of them is, (items,)."""

    points: np.ndarray
    labels: np.ndarray


class Pair(NamedTuple):
    """A signal and what a model made of it, both (samples,)."""

    given: np.ndarray
    made: np.ndarray


@styled
def scatters(latents: Mapping[str, Latent], *, columns: int = 4) -> Figure:
    """One scatter plot a latent, each on its own scales."""
    import matplotlib.pyplot as plt

    columns = min(columns, len(latents))
    rows = -(-len(latents) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.6 * columns + 0.4, 2.6 * rows + 0.4), squeeze=False
    )  # fmt: skip
    for axis, (title, latent) in zip(axes.flat, latents.items(), strict=False):
        scatter(axis, latent)
        axis.set_title(title)
    for axis in axes.flat[len(latents) :]:
        axis.set_visible(False)
    axes[0, 0].legend(fontsize=8, markerscale=1.5, handletextpad=0.2)
    return figure


@styled
def with_pairs(
    latents: Mapping[str, Latent], pairs: Mapping[str, Mapping[str, Pair]], *,
    heads: tuple[str, str] = ("input", "output"),
) -> Figure:  # fmt: skip
    """For each model its scatter plot, and beside it a pair of signals for each family."""
    import matplotlib.pyplot as plt

    families = list(next(iter(pairs.values())))
    figure = plt.figure(figsize=(9, 3.0 * len(latents)))
    panels = figure.subfigures(len(latents), 2, width_ratios=(1, 1.6), squeeze=False)
    for (left, right), (name, latent) in zip(panels, latents.items(), strict=True):
        axis = left.subplots()
        scatter(axis, latent)
        axis.set_title(name)
        axis.legend(fontsize=8, markerscale=1.5, handletextpad=0.2)
        grid = right.subplots(len(families), 2, sharex=True, sharey=True)
        for row, family in zip(grid, families, strict=True):
            _pair(row, pairs[name][family], family)
        for axis, head in zip(grid[0], heads, strict=True):
            axis.set_title(head)
        for axis in grid[-1]:
            axis.set_xlabel("sample")
    return figure


@styled
def path(latent: Latent, points: np.ndarray, title: str) -> Figure:
    """The scatter plot, and numbered points (steps, 2) on the way through it."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(5.2, 4.4))
    scatter(axis, latent)
    axis.plot(*points.T, color="black", marker="o", markersize=4, linewidth=0.8, zorder=3)
    for number, point in enumerate(points, start=1):
        axis.annotate(str(number), point, xytext=(4, 4), textcoords="offset points", fontsize=8)
    axis.set_title(title)
    axis.legend(fontsize=8, markerscale=1.5)
    return figure


@styled
def steps(waveforms: np.ndarray, titles: Sequence[str], *, columns: int = 3) -> Figure:
    """Waveforms (steps, samples) in a grid, all on one scale, read line by line."""
    import matplotlib.pyplot as plt

    rows = -(-len(waveforms) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.7 * columns, 1.5 * rows + 0.3), sharex=True, sharey=True,
        squeeze=False,
    )  # fmt: skip
    for axis, waveform, title in zip(axes.flat, waveforms, titles, strict=False):
        axis.plot(waveform, linewidth=0.9)
        axis.set_title(title, fontsize=8)
    for axis in axes.flat[len(waveforms) :]:
        axis.set_visible(False)
    for axis in axes[-1]:
        axis.set_xlabel("sample")
    return figure


@styled
def glyphs(latents: Mapping[str, Latent], *, columns: int = 2) -> Figure:
    """One plot a latent, every point drawn as its label, as for spoken digits."""
    import matplotlib.pyplot as plt

    rows = -(-len(latents) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(4.2 * columns, 3.5 * rows), squeeze=False
    )  # fmt: skip
    for axis, (title, latent) in zip(axes.flat, latents.items(), strict=False):
        for colour, label in enumerate(np.unique(latent.labels)):
            for point in latent.points[latent.labels == label]:
                axis.text(
                    *point, str(label), color=plt.cm.tab10(colour % 10), fontsize=7, ha="center",
                    va="center", clip_on=True,
                )  # fmt: skip
        axis.set_title(title)
        axis.set(xlim=_around(latent.points[:, 0]), ylim=_around(latent.points[:, 1]))
        axis.set(xticks=[], yticks=[])
    for axis in axes.flat[len(latents) :]:
        axis.set_visible(False)
    return figure


@styled
def divergences(by_model: Mapping[str, np.ndarray]) -> Figure:
    """Nats of each latent dimension (dimensions,), the most first; a line for each model."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(6.5, 3))
    for position, (name, nats) in enumerate(by_model.items()):
        ranks = np.arange(1, len(nats) + 1)
        axis.plot(
            ranks, np.sort(nats)[::-1], marker=_MARKERS[position], markersize=5,
            color=COLOURS[position % len(COLOURS)], label=name,
        )  # fmt: skip
    axis.set(xlabel="latent dimension, by its divergence", ylabel="nats", ylim=(0, None))
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend()
    return figure


def _around(values: np.ndarray) -> tuple[float, float]:
    """Limits with some room, also if all values are one."""
    room = 0.06 * max(float(np.ptp(values)), 1e-9)
    return float(values.min()) - room, float(values.max()) + room


def scatter(axes: Axes, latent: Latent) -> None:
    """Points with a colour and a marker for each label."""
    for position, label in enumerate(dict.fromkeys(latent.labels)):
        chosen = latent.points[latent.labels == label]
        axes.plot(
            *chosen.T, _MARKERS[position % len(_MARKERS)], markersize=3.5, alpha=0.7,
            color=COLOURS[position % len(COLOURS)], markeredgewidth=0, label=str(label),
        )  # fmt: skip
    axes.set(xlabel="z₁", ylabel="z₂")
    axes.locator_params(nbins=4)  # a small latent has long numbers, which would meet


def _pair(axes: np.ndarray, pair: Pair, label: str) -> None:
    for axis, signal, colour in zip(axes, pair, (COLOURS[0], COLOURS[1]), strict=True):
        axis.plot(signal, linewidth=0.7, color=colour)
    axes[0].set_ylabel(label)
