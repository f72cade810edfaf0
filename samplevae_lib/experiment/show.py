"""What a notebook shows of its own accord: settings, data, captions, verdicts. Text is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from samplevae_lib.datasets import Dataset
    from samplevae_lib.settings import Settings
    from samplevae_lib.theses import Claim

# Text keeps the page's own colour, to be readable on light and on dark; only bars are coloured.
_BARS = {"reproduced": "#009E73", "differs": "#D55E00"}
_GREY = "#808080"
_MUTED = "opacity:.7"
_IN_VIEW = 5  # settings that are not folded away: the first that differ from the thesis's
SMOKE_NOTICE = "Smoke run: nothing here is trained. It proves that everything runs, and no more."


def settings(chosen: Settings, **run: Any) -> None:
    """The first output of every notebook: profile, what differs from the thesis, all settings.

    The table of all settings, thesis beside this run, is folded away.
    """
    line = " · ".join(f"{name} <b>{escape(str(value))}</b>" for name, value in run.items())
    if chosen.profile == "smoke":
        line += f'<br><b style="{_bar(_BARS["differs"])}">{escape(SMOKE_NOTICE)}</b>'
    table = chosen.table()
    known = table[(table["thesis"] != "—") & (table["thesis"] != table["this run"])].head(_IN_VIEW)
    if len(known):
        pairs = (
            f"{name} {row['this run']} (thesis {row['thesis']})" for name, row in known.iterrows()
        )
        line += f"<br>{escape(' · '.join(pairs))}"
    folded = f"<details><summary>all {len(table)} settings, thesis and this run</summary>"
    html(f"<p>{line}</p>{folded}{_table(table)}</details>")


def dataset(loaded: Dataset) -> None:
    """Say what was loaded, and loudly so where a stand-in takes the place of recordings."""
    rest = repr(loaded)[1:-1].removeprefix(f"{loaded.name}: ")
    text = f"<b>{escape(loaded.name)}</b>: {escape(rest)}"
    if loaded.source == "stand-in":
        reason = escape(str(loaded.provenance.get("reason", "")))
        text += (
            f"<br><b>Stand-in: synthesised sounds, no recordings.</b> {reason} Models that learn "
            "from them have the smoke profile's sizes."
        )
        text = f'<span style="{_bar(_BARS["differs"])}">{text}</span>'
    html(f"<p>{text}</p>")


def fits(sources: Mapping[str, int]) -> None:
    """How many models came with the project, lay in the cache, or were trained."""
    told = {"shipped": "came with the project", "cached": "in the cache", "trained": "trained now"}
    parts = [f"{sources[source]} {words}" for source, words in told.items() if sources.get(source)]
    html(f"<p>Fitted models: {', '.join(parts)}.</p>")


def figure(drawn: Figure, caption: str, note: str) -> None:
    """The figure once, its caption, and what it was made from."""
    import matplotlib.pyplot as plt
    from IPython.display import display

    display(drawn)
    plt.close(drawn)  # or the notebook draws it a second time when the cell ends
    _caption(caption, note)


def table(frame: pd.DataFrame, caption: str, note: str) -> None:
    """The table, its caption, and what it was made from."""
    plain(frame)
    _caption(caption, note)


def plain(frame: pd.DataFrame) -> None:
    """A table with whole texts, gaps left empty and numbers to four digits."""
    html(_table(frame))


def claim(judged: Claim, verdict: str, evidence: str) -> None:
    """A finding of the thesis and what became of it."""
    html(
        f'<p style="{_bar(_BARS.get(verdict, _GREY))}">{escape(judged.statement)}'
        f"<br><b>{escape(verdict)}</b>: {escape(evidence)}"
        f'<br><span style="{_MUTED}">{escape(judged.id)}, {escape(judged.where)}</span></p>'
    )


def player(name: str, audio: np.ndarray, sample_rate: int) -> None:
    """A name and a player."""
    from IPython.display import display

    from samplevae_lib.widgets.audition import Audition

    display(Audition([audio], sample_rate, labels=[name], pictures=False))


def finished(run: Any) -> None:
    """Where the results are."""
    folder = f"{run.folder.parent.name}/{run.folder.name}"
    html(f"<p>Recorded in <code>{escape(folder)}</code>.</p>")


def html(text: str) -> None:
    """Show HTML; without a notebook around, nothing."""
    from IPython import get_ipython
    from IPython.display import HTML, display

    if get_ipython() is not None:
        display(HTML(text))


def _table(frame: pd.DataFrame) -> str:
    import pandas as pd

    with pd.option_context("display.max_colwidth", None):
        return frame.to_html(border=0, na_rep="", float_format=_number, justify="left")


def _number(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.4g}"


def _caption(caption: str, note: str) -> None:
    html(f'<p><b>{escape(caption)}</b><br><span style="{_MUTED}">{escape(note)}</span></p>')


def _bar(colour: str) -> str:
    return f"display:block;border-left:4px solid {colour};padding-left:.8em"
