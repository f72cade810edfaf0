"""Scatter plots of latent spaces and maps, alone, with a path, or beside decoded signals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from samplevae_lib.plots import COLOURS, MARKERS, cells, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SMALL = "os^vD<P>"  # of about the same weight even where they are small


class Latent(NamedTuple):
    """Points (items, 2), or (items, 3) for `maps`, and the label of each of them, (items,)."""

    points: np.ndarray
    labels: np.ndarray


class Pair(NamedTuple):
    """A signal and what a model made of it, both (samples,)."""

    given: np.ndarray
    made: np.ndarray


@styled
def scatters(latents: Mapping[str, Latent], *, columns: int = 4) -> Figure:
    """A scatter plot for each latent under its name, each on its own scales.

    columns: how many stand beside each other.
    """
    figure, panels = cells(len(latents), columns, size=(2.6, 2.6), around=(0.4, 0.4))
    for [axis], (title, latent) in zip(panels, latents.items(), strict=True):
        _draw(axis, latent)
        axis.set_title(title)
    panels[0, 0].legend(fontsize=8, markerscale=1.5, handletextpad=0.2)
    return figure


@styled
def maps(latents: Mapping[str, Latent], *, columns: int = 4) -> Figure:
    """A map for each latent under its name, flat or in space, with one legend for all of them.

    What lies near is alike, but coordinates mean nothing: a map has one scale for all directions
    and no numbers. Labels that few have lie on top. columns: how many stand beside each other.
    """
    import matplotlib.pyplot as plt

    kinds = np.unique(np.concatenate([latent.labels for latent in latents.values()]))
    columns = min(columns, len(latents))
    rows = -(-len(latents) // columns)
    figure = plt.figure(figsize=(2.3 * columns, 2.4 * rows + 0.3))
    for place, (title, latent) in enumerate(latents.items(), start=1):
        axes = _bare(figure, (rows, columns, place), title, latent.points.shape)
        _points(axes, latent, kinds, marks=_SMALL, size=2.5)
        axes.set_aspect("equal", adjustable="datalim")
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center",
        ncols=min(len(kinds), 2 * columns), markerscale=2.5, handletextpad=0.1,
    )  # fmt: skip
    return figure


@styled
def over_grid(latent: Latent, at: np.ndarray, images: np.ndarray) -> Figure:
    """A map with a square grid of points on it, and the spectrogram that each of them stands for.

    at: (side², 2), from the upper left, line by line. images: (side², bands, frames), 0 … 1.
    """
    import matplotlib.pyplot as plt

    side, kinds = round(len(at) ** 0.5), np.unique(latent.labels)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.4), width_ratios=(1, 1.35))
    _points(left, latent, kinds, marks=_SMALL, size=2.5)
    left.plot(*at.T, "x", color="black", markersize=4)
    framed = np.pad(images[:, ::-1], ((0, 0), (3, 3), (3, 3)), constant_values=np.nan)
    height, width = framed.shape[1:]
    tiles = framed.reshape(side, side, height, width).swapaxes(1, 2)
    right.imshow(tiles.reshape(side * height, side * width), aspect="auto", vmin=0, vmax=1)
    for axes in (left, right):
        axes.set(xticks=[], yticks=[])
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside lower center", ncols=len(kinds),
        markerscale=2.5, handletextpad=0.1, fontsize=8,
    )  # fmt: skip
    return figure


@styled
def with_pairs(
    latents: Mapping[str, Latent], pairs: Mapping[str, Mapping[str, Pair]], *,
    heads: tuple[str, str] = ("input", "output"),
) -> Figure:  # fmt: skip
    """For each model its scatter plot, and beside it a pair of signals for each family.

    latents, pairs: by the models' names; the pairs then by the families' names. heads: what the
    two signals of a pair are.
    """
    import matplotlib.pyplot as plt

    families = list(next(iter(pairs.values())))
    figure = plt.figure(figsize=(9, 3.0 * len(latents)))
    panels = figure.subfigures(len(latents), 2, width_ratios=(1, 1.6), squeeze=False)
    for (left, right), (name, latent) in zip(panels, latents.items(), strict=True):
        axis = left.subplots()
        _draw(axis, latent)
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
    """A scatter plot and a path through it, points (steps, 2) that are numbered from 1."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(5.2, 4.4))
    _draw(axis, latent)
    axis.plot(*points.T, color="black", marker="o", markersize=4, linewidth=0.8, zorder=3)
    for number, point in enumerate(points, start=1):
        axis.annotate(str(number), point, xytext=(4, 4), textcoords="offset points", fontsize=8)
    axis.set_title(title)
    axis.legend(fontsize=8, markerscale=1.5)
    return figure


@styled
def glyphs(latents: Mapping[str, Latent], *, columns: int = 2) -> Figure:
    """A plot for each latent under its name, in which every point is drawn as its label.

    For labels of a letter or two, such as digits. columns: how many stand beside each other.
    """
    from matplotlib import colormaps

    figure, panels = cells(len(latents), columns, size=(4.2, 3.5))
    for [axis], (title, latent) in zip(panels, latents.items(), strict=True):
        for place, label in enumerate(np.unique(latent.labels)):
            colour = colormaps["tab10"](place % 10)
            for point in latent.points[latent.labels == label]:
                axis.text(
                    *point, str(label), color=colour, fontsize=7, ha="center", va="center",
                    clip_on=True,
                )  # fmt: skip
        axis.set_title(title)
        axis.set(xlim=_around(latent.points[:, 0]), ylim=_around(latent.points[:, 1]))
        axis.set(xticks=[], yticks=[])
    return figure


def _draw(axes: Axes, latent: Latent) -> None:
    """Points on axes with names and numbers."""
    _points(axes, latent, list(dict.fromkeys(latent.labels)))
    axes.set(xlabel="z₁", ylabel="z₂")
    axes.locator_params(nbins=4)  # a small latent has long numbers, which would meet


def _points(
    axes: Axes, latent: Latent, kinds: Sequence, *, marks: Sequence[str] = MARKERS,
    size: float = 3.5,
) -> None:  # fmt: skip
    """Points with a colour and a marker for each kind of label; those of many lie below."""
    for position, kind in enumerate(kinds):
        chosen = latent.points[latent.labels == kind]
        axes.plot(
            *chosen.T, marks[position % len(marks)], markersize=size, alpha=0.7,
            color=COLOURS[position % len(COLOURS)], markeredgewidth=0, label=str(kind),
            zorder=2 + 1 / (1 + len(chosen)),
        )  # fmt: skip


def _bare(figure: Figure, place: tuple[int, ...], title: str, shape: tuple[int, ...]) -> Axes:
    """Axes on grey without numbers, for points of this shape, in two or three dimensions."""
    if shape[1:] not in ((2,), (3,)):
        raise ValueError(f"{title!r} has points {shape}: expected (items, 2) or (items, 3)")
    axes = figure.add_subplot(*place, projection="3d" if shape[1] == 3 else None)
    axes.set(title=title, xticks=[], yticks=[], facecolor="0.96")
    axes.spines[:].set_visible(False)
    if shape[1] == 3:
        axes.set(zticks=[], facecolor="none")
        axes.set_box_aspect((1, 1, 1), zoom=1.1)  # or it keeps room for the numbers
        for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
            axis.line.set_color("0.8")
    return axes


def _pair(axes: np.ndarray, pair: Pair, label: str) -> None:
    for axis, signal, colour in zip(axes, pair, (COLOURS[0], COLOURS[1]), strict=True):
        axis.plot(signal, linewidth=0.7, color=colour)
    axes[0].set_ylabel(label)


def _around(values: np.ndarray) -> tuple[float, float]:
    """Limits of an axis with some room beside all values, even if these are all the same."""
    room = 0.06 * max(float(np.ptp(values)), 1e-9)
    return float(values.min()) - room, float(values.max()) + room
