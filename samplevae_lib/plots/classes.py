"""How well classes are told apart: confusions, and how right the answers are that are sure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from samplevae_lib.plots import COLOURS, MARKERS, cells, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HUE = "Blues"  # darker where there is more, so it also reads in grey
_DARK = 0.65  # the share from which on black is hard to read on it


@styled
def confusions(
    matrices: Mapping[str, np.ndarray], classes: Sequence[str], *, columns: int = 3
) -> Figure:
    """What the sounds of each class were taken for, in % of that class; a panel for each title.

    matrices: (classes, classes) each, sounds or shares of them: a row for each true class, a column
    for each predicted one. Where all have the same sounds, a class's name has their number beside
    it. columns: how many panels stand beside each other.
    """
    tables = [_table(title, matrix, len(classes)) for title, matrix in matrices.items()]
    figure, panels = cells(
        len(tables), columns, size=(2.4, 2.5), around=(0.9, 0.7), sharex=True, sharey=True
    )
    for axis, title, table in zip(panels[:, 0], matrices, tables, strict=True):
        _confusion(axis, table)
        axis.set_title(title)
        axis.set_xticks(range(len(classes)), classes, rotation=90)
    panels[0, 0].set_yticks(range(len(classes)), _counted(classes, tables))  # of all: they share it
    figure.supxlabel("predicted class", fontsize=9)
    figure.supylabel("true class", fontsize=9)
    return figure


@styled
def reliability(tables: Mapping[str, pd.DataFrame], *, columns: int = 3) -> Figure:
    """How often predictions are right, over how sure they are; a panel for each name.

    tables: of `metrics.classification.calibration`, with columns "sure", "right" and "sounds".
    Bars say how many sounds a marker stands for, and its area goes with that. On the grey diagonal,
    what is "80 % sure" is right in 80 %. columns: how many panels stand beside each other.
    """
    figure, panels = cells(
        len(tables), columns, size=(2.2, 2.7), around=(0.6, 0.3), heights=(3, 1), sharex=True,
        sharey="row",
    )  # fmt: skip
    most = max(table["sounds"].max() for table in tables.values())
    for (upper, lower), (name, table) in zip(panels, tables.items(), strict=True):
        sure, right, sounds = (table[column] for column in ("sure", "right", "sounds"))
        upper.plot((0, 1), (0, 1), color="0.7")
        upper.plot(sure, right, color=COLOURS[0], linewidth=0.7)
        upper.scatter(sure, right, s=250 * sounds / sounds.sum(), color=COLOURS[0], linewidths=0)
        upper.set(title=name, xlim=(-0.05, 1.05), ylim=(-0.05, 1.05), xticks=(0, 0.5, 1))
        lower.vlines(sure, 0, sounds, color=COLOURS[0], linewidth=7)
        lower.set_ylim(0, 1.05 * most)
    for upper, lower in panels[::columns]:
        upper.set_ylabel("share that is right")
        lower.set_ylabel("sounds")
    figure.supxlabel("how sure: the highest probability", fontsize=9)
    return figure


@styled
def coverage(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """The accuracy of the surest answers, over the share that these are; a line for each name.

    curves: of `propagation.coverage_curve`, with columns "coverage" and "accuracy". A line ends in
    a marker, where all sounds are answered.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.5, 3.2))
    for position, (name, curve) in enumerate(curves.items()):
        axes.plot(
            curve["coverage"], curve["accuracy"], color=COLOURS[position % len(COLOURS)],
            marker=MARKERS[position % len(MARKERS)], markevery=[-1], clip_on=False, label=name,
        )  # fmt: skip
    axes.set(xlabel="share of sounds answered, the surest first", ylabel="accuracy", xlim=(0, 1))
    axes.legend(loc="center left", bbox_to_anchor=(1.03, 0.5))
    return figure


def _table(title: str, matrix: np.ndarray, count: int) -> np.ndarray:
    table = np.asarray(matrix, dtype=np.float64)
    if table.shape != (count, count) or not (np.isfinite(table) & (table >= 0)).all():
        raise ValueError(
            f"{title!r} has shape {table.shape}: expected {(count, count)} for {count} classes, "
            "all values finite and 0 or more"
        )
    return table


def _confusion(axes: Axes, table: np.ndarray) -> None:
    """The shares of each row as colours, and in % as numbers; what rounds to 0 is left empty."""
    total = table.sum(1, keepdims=True)
    shares = np.divide(table, total, out=np.zeros_like(table), where=total > 0)
    axes.imshow(shares, cmap=_HUE, vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        if (text := f"{100 * share:.0f}") != "0":
            colour = "white" if share > _DARK else "black"
            axes.text(column, row, text, color=colour, fontsize=7, ha="center", va="center")
    axes.spines[:].set_visible(True)
    axes.tick_params(length=0)


def _counted(classes: Sequence[str], tables: Sequence[np.ndarray]) -> list[str]:
    """Names with the number of sounds that all tables have of a class, if that is known."""
    totals = np.array([table.sum(1) for table in tables])
    if not np.allclose(totals, totals[0]) or totals.max() < 1.5:  # shares add up to 1
        return list(classes)
    return [f"{name} ({total:.0f})" for name, total in zip(classes, totals[0], strict=True)]
