"""What a person sees of a run in a terminal: one line that lives, and a table at the end."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from samplevae_lib.files import read_json

if TYPE_CHECKING:
    from samplevae_lib.runner.execute import Job, Outcome

QUIET_SECONDS = 30.0  # between lines where the output is a file or a log


class Display:
    """Progress of a run on standard error: rewritten in place in a terminal, else now and then."""

    def __init__(self, total: int, *, skipped: int = 0):
        self.total, self.done = total, skipped
        self.live = sys.stderr.isatty()
        self.started = self._spoke = time.monotonic()
        if skipped:
            self.say(f"up to date: {skipped} of {total}")

    def show(self, running: Sequence[Job]) -> None:
        """Notebook, cell, elapsed, time left, for each notebook that runs."""
        now = time.monotonic()
        for job in running:
            if notice := read_json(job.trace("notice")):
                job.trace("notice").unlink(missing_ok=True)
                self.say(f"{job.notebook}: {notice}")
        if not running or (not self.live and now - self._spoke < QUIET_SECONDS):
            return
        self._spoke = now
        shares, texts = zip(*[_describe(job) for job in running], strict=True)
        part = (self.done + sum(shares)) / self.total
        elapsed = now - self.started
        left = f", {clock(elapsed * (1 - part) / part)} left" if part > 0 else ""
        times = f"{clock(elapsed)}{left}"
        line = f"{self.done}/{self.total} {_bar(part)} {times} · {' · '.join(texts)}"
        if self.live:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r{line[:width]:<{width}}")
            sys.stderr.flush()
        else:
            print(line, file=sys.stderr, flush=True)

    def ended(self, outcome: Outcome) -> None:
        """One line for a notebook that is through, with the last lines of one that failed."""
        self.done += 1
        self.say(f"{outcome.job.notebook}: {outcome.state} after {clock(outcome.seconds)}")
        if outcome.error:
            for line in failure(outcome):
                self.say(f"    {line}")

    def say(self, text: str) -> None:
        """A line that stays."""
        if self.live:
            sys.stderr.write("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r")
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the cursor at the start of an empty line."""
        if self.live:
            self.say("")


def failure(outcome: Outcome) -> list[str]:
    """The failing cell's first line and the last lines of what it printed."""
    error = outcome.error or {}
    first = next((line for line in error["source"].splitlines() if line.strip()), "")
    lines = [f"cell {error['cell']}: {first}"] if error["cell"] is not None else []
    return [*lines, error["error"], *error["last_lines"]]


def summary(outcomes: Sequence[Outcome]) -> str:
    """Notebook, time, figures, tables, claims, state."""
    head = ("notebook", "time", "figures", "tables", "claims", "state")
    rows = [head, *map(_row, outcomes)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([lines[0], "  ".join("─" * width for width in widths), *lines[1:]])


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _row(outcome: Outcome) -> tuple[str, ...]:
    files = outcome.record.get("files", []) if outcome.good else []
    kinds = Counter(name.rpartition(".")[2] for name in files)
    verdicts = Counter(
        verdict.partition(" (")[0] for verdict in outcome.record.get("verdicts", {}).values()
    )
    claims = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
    before = outcome.record.get("seconds", 0.0)
    seconds = before if outcome.state == "up to date" else outcome.seconds
    name = outcome.job.notebook
    counts = str(kinds["png"]), str(kinds["csv"])
    return name, clock(seconds), *counts, claims if outcome.good else "", outcome.state


def _describe(job: Job) -> tuple[float, str]:
    """How far a notebook is (0 … 1), and that in words."""
    status = read_json(job.trace("status")) or {}
    if not status.get("cell"):
        return 0.0, f"{job.notebook} starting"
    elapsed = time.time() - status["since"]
    before = sum(seconds for _, seconds in status["cell_seconds"])
    usual = read_json(job.trace("timing")) or []
    rest = sum(seconds for cell, seconds in usual if cell >= status["cell"] - 1)
    share = before / (before + rest) if usual else (status["cell"] - 1) / status["cells"]
    left = f", {clock(max(0.0, rest - elapsed))} left" if usual else ""
    text = f"{job.notebook} cell {status['cell']}/{status['cells']} {clock(before + elapsed)}{left}"
    return share, f"{text}{_inside(read_json(job.trace('progress')), elapsed)}"


def _inside(progress: dict[str, Any] | None, elapsed: float) -> str:
    """Progress within a long cell, as the library reports it."""
    if not progress or not progress["total"]:
        return ""
    share = progress["done"] / progress["total"]
    left = f", {clock(elapsed * (1 - share) / share)} left" if share > 0 else ""
    return f" ({progress['label']} {100 * share:.0f} %{left})"


def _bar(share: float, width: int = 16) -> str:
    filled = round(share * width)
    return "█" * filled + "░" * (width - filled)
