"""A notebook to be executed, and what became of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from samplevae_lib.files import read_json, write_json


@dataclass(frozen=True)
class Job:
    """What to execute and where its traces go; all paths as text, for it travels as JSON."""

    notebook: str
    source: str
    folder: str  # executed copies and everything temporary
    parameters: dict[str, Any]
    environment: dict[str, str]
    key: str
    token: str

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
