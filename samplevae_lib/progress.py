"""One progress bar for everything a person waits for, in a terminal, a notebook or the runner.

In a notebook that the runner executes, and in a process that trains beside others, nobody sees a
bar: there its state goes to the file that `SAMPLEVAE_PROGRESS` names, for another process to show.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from samplevae_lib.files import write_json

Item = TypeVar("Item")
REPORT_SECONDS = 0.5
QUIET_SECONDS = 1.0  # what is done sooner needs no bar
LONG_MINUTES = 10  # what takes longer is announced


class Progress:
    """A bar that appears when the work takes longer than a second.

    total may be None where the end can't be known; `unit="B"` counts bytes.
    """

    def __init__(self, label: str, total: int | None, *, unit: str = "it", start: int = 0):
        from tqdm.auto import tqdm

        self.label, self.total, self.done = label, total, start
        self._reported = 0.0
        self._bar = tqdm(
            total=total, initial=start, desc=label, unit=unit, unit_scale=unit == "B",
            delay=QUIET_SECONDS, leave=False, mininterval=REPORT_SECONDS,
            disable=bool(os.environ.get("SAMPLEVAE_PROGRESS")),
        )  # fmt: skip

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_error: object) -> None:
        self._bar.close()
        self._report(force=True)

    def advance(self, steps: int = 1, **shown: float | str) -> None:
        """Count `steps` more as done; keywords (loss=0.31) appear behind the bar."""
        self.done += steps
        if shown:
            self._bar.set_postfix(shown, refresh=False)
        self._bar.update(steps)
        self._report()

    def _report(self, *, force: bool = False) -> None:
        reporting, now = os.environ.get("SAMPLEVAE_PROGRESS"), time.monotonic()
        if reporting and (force or now - self._reported > REPORT_SECONDS):
            self._reported = now
            state = {"label": self.label, "done": self.done, "total": self.total}
            write_json(Path(reporting), state)


def announce(text: str) -> None:
    """Tell a person something once, in a notebook as well as beside the runner's bar."""
    print(text, file=sys.stderr)
    if reporting := os.environ.get("SAMPLEVAE_PROGRESS"):
        write_json(Path(reporting).with_suffix(".notice"), text)


def track(items: Iterable[Item], label: str, *, total: int | None = None) -> Iterator[Item]:
    """Yield the items and show how far along it is.

    label: what the bar is called. total: how many there are, where the items don't say.
    """
    if total is None and hasattr(items, "__len__"):
        total = len(items)
    with Progress(label, total) as progress:
        for item in items:
            yield item
            progress.advance()
