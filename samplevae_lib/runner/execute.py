"""One notebook, executed in a process of its own: `python -m samplevae_lib.runner JOB.json`.

The process says where it is in a status file, leaves the executed notebook and its HTML, and ends
itself when whoever started it is gone or asks it to stop.
"""

from __future__ import annotations

import _thread
import os
import re
import signal
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from samplevae_lib.files import read_json, replacing, write_json

WATCH_SECONDS = 0.5
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Job:
    """What to execute and where its traces go; all paths as text, for it travels as JSON.

    notebook: its name. source: the notebook's file. folder: for executed copies and all that is
    temporary. key: digest of everything that decides the results. token: names this very run.
    """

    notebook: str
    source: str
    folder: str
    parameters: dict[str, Any]
    environment: dict[str, str]
    key: str
    token: str

    @property
    def figures(self) -> Path:
        """Where the notebook leaves its records."""
        return Path(self.folder).parent / self.notebook

    @property
    def executed(self) -> Path:
        return Path(self.folder) / f"{self.notebook}.ipynb"

    @property
    def html(self) -> Path:
        return Path(self.folder) / f"{self.notebook}.html"

    def trace(self, kind: str) -> Path:
        """A file of this run: job, status, progress, log, stop, state, timing."""
        return Path(self.folder) / f".{self.notebook}.{kind}"


def write_job(job: Job) -> Path:
    """The job as a file, for the process that executes it."""
    path = job.trace("job")
    write_json(path, asdict(job))
    return path


def read_job(path: Path) -> Job:
    """The job that was written to this file."""
    return Job(**read_json(path))


@dataclass
class Outcome:
    """What became of a notebook: done, up to date, failed or stopped."""

    job: Job
    state: str
    seconds: float = 0.0
    record: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] | None = None

    @property
    def good(self) -> bool:
        return self.state in ("done", "up to date")


def main(job_file: str) -> int:
    """Execute the job; 0 when every cell ran."""
    job = read_job(Path(job_file))
    # A script's background job ignores SIGINT, and what it starts inherits that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: _thread.interrupt_main())
    threading.Thread(target=_watch, args=(job, os.getppid()), daemon=True).start()
    status = Status(job)
    try:
        error = _execute(job, status)
    except KeyboardInterrupt:
        status.write(state="stopped")
        return 130
    status.write(state="failed" if error else "executed", error=error)
    return 1 if error else 0


class Status:
    """Which cell runs, since when, and how long the earlier ones took."""

    def __init__(self, job: Job):
        self.job, self.seconds, self.started = job, [], time.time()
        self.now: dict[str, Any] = {"state": "starting", "cell": 0, "cells": 0}
        self.write()

    def write(self, **news: Any) -> None:
        self.now |= news
        write_json(self.job.trace("status"), self.now | {"cell_seconds": self.seconds})

    def cell_started(self, cell: Any, cell_index: int) -> None:
        self.started = time.time()
        self.job.trace("progress").unlink(missing_ok=True)  # it spoke of the cell before
        self.write(state="running", cell=cell_index + 1, since=self.started)

    def cell_ended(self, cell: Any, cell_index: int, **_reply: Any) -> None:
        self.seconds.append([cell_index, round(time.time() - self.started, 2)])


def _execute(job: Job, status: Status) -> dict[str, Any] | None:
    """Run papermill; the failing cell, if there is one."""
    import nbformat
    import papermill
    from papermill.exceptions import PapermillExecutionError

    status.write(cells=len(nbformat.read(job.source, as_version=4).cells) + 1)
    error = None
    with replacing(job.executed) as partial:
        try:
            papermill.execute_notebook(
                job.source,
                str(partial) + ".ipynb",
                parameters=job.parameters,
                progress_bar=False,
                cwd=str(Path(job.source).parent),
                on_cell_start=status.cell_started,
                on_cell_executed=status.cell_ended,
                store_widget_state=False,  # a page without a kernel shows a widget's picture
            )
        except PapermillExecutionError as failure:
            error = _failure(failure)
        finally:
            written = Path(str(partial) + ".ipynb")
            if written.exists():
                os.replace(written, partial)
    _to_html(job)
    return error


def _to_html(job: Job) -> None:
    from nbconvert import HTMLExporter

    page, _ = HTMLExporter().from_filename(str(job.executed))
    with replacing(job.html) as partial:
        partial.write_text(page, encoding="utf-8")


def _failure(failure: Any) -> dict[str, Any]:
    trace = _ANSI.sub("", "\n".join(failure.traceback)).splitlines()
    return {
        "cell": failure.cell_index,
        "source": failure.source,
        "error": f"{failure.ename}: {failure.evalue}",
        "last_lines": trace[-12:],
    }


def _watch(job: Job, parent: int) -> None:
    """Interrupt the work when the runner asks for it or has been killed."""
    while os.getppid() == parent and not job.trace("stop").exists():
        time.sleep(WATCH_SECONDS)
    _thread.interrupt_main()
    time.sleep(20)  # a kernel deep in compiled code may not hear; it ends with this process
    os._exit(130)
