"""Notebooks through papermill: in order or several at once, skipped when nothing changed.

Each runs in a process of its own (`execute`), here or on a cluster's workers. The runner
believes the files that were written, not an exit code.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from samplevae_lib import datasets, paths, settings, theses
from samplevae_lib.files import read_json, write_json
from samplevae_lib.runner.execute import Job, Outcome, write_job
from samplevae_lib.runner.terminal import Display

LIBRARY = Path(__file__).resolve().parent.parent
POLL_SECONDS = 0.25
STOP_SECONDS = 25.0


class RunError(ValueError):
    """A run that can't begin: an unknown notebook, profile or parameter."""


def plan_jobs(
    *,
    profile: str = "reference",
    data: str = "auto",
    seed: int = 0,
    only: Sequence[str] = (),
    parameters: dict[str, Any] | None = None,
    threads: int | None = None,
    refit: Sequence[str] = (),
    ship: str = "",
) -> list[Job]:
    """The jobs, in the order of their numbers; what is unknown is an error that lists the known.

    profile, data, seed, parameters: of the notebooks. only: numbers or names, all if none is
    given. threads: of each notebook. refit: names of fits that are trained anew although their
    weights are known, ("all",) for all. ship: "full" or "half", the precision in which those are
    kept with the project's own weights; "" keeps none.
    """
    chosen = _chosen(only)
    given = {"profile": profile, "data": data, "seed": seed} | (parameters or {})
    _refuse_unknown("profile", profile, settings.PROFILES)
    _refuse_unknown("data", data, datasets.DATA)
    fits = {"SAMPLEVAE_REFIT": ",".join(refit), "SAMPLEVAE_SHIP": ship}
    return [_job(notebook, given, threads, fits) for notebook in chosen]


def run_jobs(
    jobs: Sequence[Job], *, workers: int = 1, force: bool = False, scheduler: str | None = None
) -> list[Outcome]:
    """Execute the jobs, going on after a failure; Ctrl-C stops all of them and returns.

    workers: notebooks at once. force: also those whose results are there and up to date.
    scheduler: address of a dask cluster whose workers execute them.
    """
    if not jobs:
        return []
    folder = Path(jobs[0].folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunError(f"another run is writing to {folder.parent}; wait for it to end") from None
    with lock, _executor(workers, scheduler) as pool:
        skipped = [] if force else [job for job in jobs if fresh(job)]
        done = {job.notebook: Outcome(job, "up to date") for job in skipped}
        waiting = [job for job in jobs if job.notebook not in done]
        for job in waiting:
            _clear(job)
        futures = {pool.submit(execute, job): job for job in waiting}
        done |= _attend(futures, Display(len(jobs), skipped=len(done)))
    for outcome in done.values():
        outcome.record = read_json(_record(outcome.job)) or {}
    return [done[job.notebook] for job in jobs]


def fresh(job: Job) -> bool:
    """Whether this very job was finished before and all its files are still there."""
    state = read_json(job.trace("state"))
    if not state or state["key"] != job.key or unwritten(job, state["token"]):
        return False
    # Stand-ins were the best to be had then; recordings that are within reach now are better.
    stood_in = state["stand_ins"] if job.parameters["data"] == "auto" else []
    return not any(datasets.within_reach(name) for name in stood_in)


def execute(job: Job) -> float:
    """Run one job in a process of its own and wait for it; returns the seconds it took."""
    started = time.monotonic()
    with job.trace("log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "samplevae_lib.runner", str(write_job(job))],
            cwd=paths.root(),
            env=os.environ | job.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches the runner alone, which then asks politely
        )
        while process.poll() is None:
            time.sleep(POLL_SECONDS)
            if job.trace("stop").exists():
                _end(process)
    return time.monotonic() - started


def unwritten(job: Job, token: str) -> str:
    """Which files of a finished run are missing, as a sentence; empty when all are there."""
    record = read_json(_record(job))
    if record is None:
        return "it ended without run.finish(): there is no run.json"
    if record.get("run") != token:
        return "run.json is of another run"
    folder = job.figures
    wanted = [folder / name for name in record["files"]] + [job.executed, job.html]
    lacking = [path.name for path in wanted if not (path.is_file() and path.stat().st_size)]
    return f"not written: {', '.join(lacking)}" if lacking else _unexecuted(job.executed)


def _unexecuted(notebook: Path) -> str:
    """Cells that papermill passed over in silence."""
    import nbformat

    cells = nbformat.read(notebook, as_version=4).cells
    code = [(i, cell) for i, cell in enumerate(cells) if cell.cell_type == "code" and cell.source]
    skipped = [str(i) for i, cell in code if cell.get("execution_count") is None]
    return f"cells never executed: {', '.join(skipped)}" if skipped else ""


def _attend(futures: dict[Future, Job], display: Display) -> dict[str, Outcome]:
    """Wait for all, show where they are; on Ctrl-C ask them to stop and wait a little longer."""
    done: dict[str, Outcome] = {}
    stopping = False
    while len(done) < len(futures):
        try:
            for future, job in futures.items():
                if job.notebook not in done and future.done():
                    done[job.notebook] = _outcome(job, future, stopping)
                    display.ended(done[job.notebook])
            begun = [job for job in futures.values() if job.trace("status").exists()]
            display.show([job for job in begun if job.notebook not in done])
            time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            stopping = True
            display.say("stopping …")
            for future, job in futures.items():
                job.trace("stop").touch()
                future.cancel()
    display.close()
    return done


def _outcome(job: Job, future: Future, stopping: bool) -> Outcome:
    status = read_json(job.trace("status")) or {}
    if future.cancelled():
        return Outcome(job, "stopped")
    seconds = future.result()
    if stopping and status.get("state") == "stopped":
        return Outcome(job, "stopped", seconds)
    if error := status.get("error"):
        return Outcome(job, f"failed in cell {error['cell']}", seconds, error=error)
    log = job.trace("log").read_text(errors="replace").strip().splitlines()
    if reason := unwritten(job, job.token):
        failure = {"cell": None, "source": "", "error": reason, "last_lines": log[-12:]}
        return Outcome(job, "failed", seconds, error=failure)
    _remember(job, status)
    return Outcome(job, "done", seconds)


def _remember(job: Job, status: dict[str, Any]) -> None:
    """Write down what lets the next run skip this notebook, and tell how long it takes."""
    record = read_json(_record(job))
    stand_ins = [used["name"] for used in record["data"] if used["source"] == "stand-in"]
    state = {"key": job.key, "token": job.token, "stand_ins": stand_ins}
    write_json(job.trace("state"), state)
    write_json(job.trace("timing"), status["cell_seconds"])
    for kind in ("job", "log", "status", "progress"):
        job.trace(kind).unlink(missing_ok=True)


def _clear(job: Job) -> None:
    """Remove the traces of the last run, also those of one that was killed."""
    for kind in ("stop", "status", "progress", "state", "notice"):
        job.trace(kind).unlink(missing_ok=True)
    for unfinished in Path(job.folder).glob(f".{job.notebook}.*.partial*"):
        unfinished.unlink()


def _end(process: subprocess.Popen) -> None:
    """Give a process that was asked to stop some time, then end it."""
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def _executor(workers: int, scheduler: str | None) -> Iterator[Executor]:
    """Threads that each wait for a process here, or a cluster whose workers do."""
    if scheduler is None:
        with ThreadPoolExecutor(workers) as pool:
            yield pool
        return
    try:
        from distributed import Client
    except ImportError:
        raise RunError('--scheduler needs dask: pip install "samplevae[cluster]"') from None
    with Client(scheduler) as client:
        yield client.get_executor()


def _chosen(only: Iterable[str]) -> list[theses.Notebook]:
    there = [notebook for notebook in theses.notebooks().values() if notebook.exists]
    wanted = [name for name in only if name]
    for name in wanted:
        _refuse_unknown("notebook", name, [n.number for n in there], [n.name for n in there])
    return [n for n in there if not wanted or n.number in wanted or n.name in wanted]


def _job(
    notebook: theses.Notebook, parameters: dict[str, Any], threads: int | None, fits: dict[str, str]
) -> Job:
    source = paths.notebooks() / f"{notebook.name}.ipynb"
    folder = paths.executed(parameters["profile"])
    _refuse_unknown_parameters(source, parameters)
    token, job_threads = uuid.uuid4().hex, str(threads or os.cpu_count() or 1)
    environment = {
        "SAMPLEVAE_RUN": token,
        "SAMPLEVAE_PROGRESS": str(folder / f".{notebook.name}.progress"),
        # Absolute, for a kernel starts in notebooks/ and not where the command was given.
        "SAMPLEVAE_FIGURES": str(folder.parent),
        "SAMPLEVAE_ROOT": str(paths.root()),
        "SAMPLEVAE_DATA": str(paths.data()),
        "SAMPLEVAE_MIRROR": str(paths.mirror() or ""),
        "PYTHONPATH": os.pathsep.join(
            filter(None, [str(LIBRARY.parent), os.environ.get("PYTHONPATH")])
        ),
        "OMP_NUM_THREADS": job_threads,
        "NUMBA_NUM_THREADS": job_threads,
        "PYTHONHASHSEED": "0",
        **fits,
    }
    key = _key(notebook, source, parameters | fits)
    return Job(notebook.name, str(source), str(folder), parameters, environment, key, token)


def _key(notebook: theses.Notebook, source: Path, parameters: dict[str, Any]) -> str:
    """All that decides what a notebook records: itself, its settings, the library, the theses."""
    chosen = settings.load(notebook.number, parameters["profile"])
    digest = hashlib.sha256(repr((parameters, chosen)).encode() + source.read_bytes())
    shaping = [p for p in LIBRARY.rglob("*") if p.suffix in (".py", ".js", ".css")]
    shaping += [*paths.theses().iterdir(), *paths.manifests().iterdir()]
    shaping += paths.weights().glob(f"{notebook.name}/*.json")
    shaping += paths.vocoders().glob("*.json")
    for path in sorted(shaping):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:24]


def _refuse_unknown_parameters(source: Path, parameters: dict[str, Any]) -> None:
    """papermill only warns at a parameter that the notebook doesn't know."""
    import papermill

    known = papermill.inspect_notebook(str(source))
    for name in parameters:
        if name not in known:
            raise RunError(
                f"{source.name} has no parameter {name!r}; it has {', '.join(known) or 'none'}"
            )


def _refuse_unknown(what: str, value: str, known: Iterable[str], also: Iterable[str] = ()) -> None:
    if value not in known and value not in also:
        raise RunError(f"unknown {what} {value!r}; known are {', '.join([*known, *also])}")


def _record(job: Job) -> Path:
    return job.figures / "run.json"
