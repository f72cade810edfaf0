"""Several fits at once, each in a process of its own with one thread.

The processes go when the notebook goes: stopped, failed or killed.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from samplevae_lib.files import read_json
from samplevae_lib.progress import LONG_MINUTES, REPORT_SECONDS, Progress, announce

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

_ALONE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
_PARTS = 1000  # what the bar of several counts a fit as
_SOON = 20.0  # seconds, after which it can be told how long all will take


class Trainable(Protocol):
    """A model and how to train it in place: `fits.Fit` is one."""

    model: nn.Module

    def run(self, checkpoint: Path) -> pd.DataFrame:
        """Train, going on from what the folder holds; returns the history."""


def train_in_workers(
    fits: Mapping[Any, Trainable], checkpoints: Mapping[Any, Path], workers: int
) -> Iterator[tuple[Any, dict[str, Tensor], pd.DataFrame]]:
    """Train `workers` fits at a time; yields name, trained weights and history as each is done.

    checkpoints: the folder of each fit. A fit, its data and its options are pickled to get into
    its process, so what they need must come from a module and not from a notebook.
    """
    context = multiprocessing.get_context("spawn")  # a forked copy of torch's threads would hang
    with tempfile.TemporaryDirectory() as folder, _pool(min(workers, len(fits)), context) as pool:
        reports = {name: Path(folder, f"{index}.json") for index, name in enumerate(fits)}
        futures = {}
        for name, one in fits.items():
            # Pickled here: a pool's own pickling would move tensors to shared memory, file by file.
            futures[pool.submit(_work, pickle.dumps(one), checkpoints[name], reports[name])] = name
        for future in _as_done(futures, reports):
            yield futures[future], *pickle.loads(future.result())


def _as_done(futures: Mapping[Future, Any], reports: Mapping[Any, Path]) -> Iterator[Future]:
    """The futures in the order they end, under one bar."""
    running, started, told = set(futures), time.monotonic(), False
    with Progress(f"training {len(futures)} models", _PARTS * len(futures)) as progress:
        while running:
            done, running = wait(running, timeout=REPORT_SECONDS)
            ended = {futures[future] for future in futures.keys() - running}
            parts = sum(_PARTS if name in ended else _parts(reports[name]) for name in reports)
            progress.advance(parts - progress.done)
            elapsed = time.monotonic() - started
            if not told and elapsed > _SOON and parts:
                _say_how_long(len(futures), elapsed * progress.total / parts)
                told = True
            yield from done


def _say_how_long(count: int, seconds: float) -> None:
    """seconds: of the whole training, by its pace so far."""
    if seconds > 60 * LONG_MINUTES:
        announce(
            f"Training {count} models, of which no fitted weights are at hand, will take about "
            f"{seconds / 60:.0f} minutes. Ctrl-C loses nothing: the next run goes on from there."
        )


def _parts(report: Path) -> int:
    """How far a fit is, by what its own bar wrote."""
    state = read_json(report)
    return int(_PARTS * state["done"] / state["total"]) if state and state["total"] else 0


@contextmanager
def _pool(workers: int, context: BaseContext) -> Iterator[ProcessPoolExecutor]:
    """Processes of one thread. They go when the work is left early, and not a fit later."""
    before = set(multiprocessing.active_children())
    kept = {name: os.environ.get(name) for name in _ALONE}
    os.environ |= _ALONE  # read by a worker's libraries when it loads them
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_watch_parent)
    try:
        yield pool
    except BaseException:
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        for name, value in kept.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _watch_parent() -> None:
    """A worker whose notebook was killed must not go on writing checkpoints."""
    parent = multiprocessing.parent_process()

    def end() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()


def _work(packed: bytes, checkpoint: Path, report: Path) -> bytes:
    """In a worker: one fit."""
    import torch

    torch.set_num_threads(1)
    os.environ["SAMPLEVAE_PROGRESS"] = str(report)
    one = pickle.loads(packed)
    history = one.run(checkpoint)
    return pickle.dumps((one.model.cpu().state_dict(), history))
