"""Fitted models: trained once, kept in the cache, and several side by side.

A small model gains little from a second core, and two models at once nearly all of it: `fit_all`
gives each a process of one thread.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from samplevae_lib import cache
from samplevae_lib.files import plain, read_json
from samplevae_lib.progress import REPORT_SECONDS, Progress

if TYPE_CHECKING:
    import pandas as pd

_ALONE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
_PARTS = 1000  # what the bar of several counts a fit as


@dataclass(frozen=True)
class Fit:
    """One model to be trained: train(model, data, seed=…, checkpoint=…, **options) → history.

    Its key in the cache is the code of model and train, the untrained weights, the data, the seed
    and the options. The history is a DataFrame.
    """

    model: Any
    train: Callable
    data: Any
    seed: int
    options: Mapping[str, Any] = field(default_factory=dict)

    def key(self) -> str:
        """What decides the result, as one digest."""
        return cache.key(
            model=type(self.model), layers=repr(self.model), weights=self.model.state_dict(),
            train=self.train, data=self.data, seed=self.seed, options=self.options,
        )  # fmt: skip

    def run(self, checkpoint: Path) -> pd.DataFrame:
        """Train in place, going on from what the folder holds."""
        return self.train(
            self.model, self.data, seed=self.seed, checkpoint=checkpoint, **self.options
        )


def fit(one: Fit, origin: Mapping[str, Any]) -> pd.DataFrame:
    """Train here, with every thread, or take the weights from the cache; returns the history."""
    key = one.key()
    if (known := _known(one, key)) is None:
        known = one.run(cache.checkpoint("models", key))
        _keep(one, key, known, origin)
    return known


def fit_all(
    fits: Mapping[str, Fit], origin: Mapping[str, Any], *, workers: int
) -> dict[str, pd.DataFrame]:
    """Train those that the cache lacks, `workers` at a time; returns every history by name.

    A worker has one thread, so that the same numbers come out however many run at once. With one
    worker, or where there is a GPU, they are trained one after another in this process.
    """
    keys = {name: one.key() for name, one in fits.items()}
    found = {name: _known(one, keys[name]) for name, one in fits.items()}
    lacking = {keys[name]: name for name in reversed(fits) if found[name] is None}
    missing = {name: fits[name] for name in reversed(lacking.values())}  # of twins, the first
    if missing and (workers == 1 or _has_gpu()):
        found |= {name: fit(one, origin) for name, one in missing.items()}
    elif missing:
        for name, weights, history in _side_by_side(missing, keys, workers):
            _load_weights(fits[name].model, weights)
            _keep(fits[name], keys[name], history, origin)
            found[name] = history
    twins = [name for name in fits if found[name] is None]
    return found | {name: _known(fits[name], keys[name]) for name in twins}


def _known(one: Fit, key: str) -> pd.DataFrame | None:
    import pandas as pd

    if not (kept := cache.load("models", key)):
        return None
    weights, notes = kept
    _load_weights(one.model, weights)
    return pd.DataFrame(notes["history"])


def _keep(one: Fit, key: str, history: pd.DataFrame, origin: Mapping[str, Any]) -> None:
    notes = {"history": plain(history.to_dict("list")), **origin}
    cache.store("models", key, _weights(one.model), notes)
    cache.discard(cache.checkpoint("models", key))


def _weights(model: Any) -> dict[str, np.ndarray]:
    return {name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()}


def _load_weights(model: Any, weights: Mapping[str, np.ndarray]) -> None:
    import torch

    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _side_by_side(
    fits: Mapping[str, Fit], keys: Mapping[str, str], workers: int
) -> Iterator[tuple[str, dict[str, np.ndarray], pd.DataFrame]]:
    """Name, weights and history of each as it is done."""
    context = multiprocessing.get_context("spawn")  # a forked copy of torch's threads would hang
    with tempfile.TemporaryDirectory() as folder, _pool(min(workers, len(fits)), context) as pool:
        reports = {name: Path(folder, f"{index}.json") for index, name in enumerate(fits)}
        futures = {}
        for name, one in fits.items():
            checkpoint = cache.checkpoint("models", keys[name])
            # Pickled here: a pool's own pickling would move tensors to shared memory, file by file.
            futures[pool.submit(_work, pickle.dumps(one), checkpoint, reports[name])] = name
        for future in _as_done(futures, reports):
            yield futures[future], *pickle.loads(future.result())


def _as_done(futures: Mapping[Future, str], reports: Mapping[str, Path]) -> Iterator[Future]:
    """The futures in the order they end, under one bar."""
    running = set(futures)
    with Progress(f"training {len(futures)} models", _PARTS * len(futures)) as progress:
        while running:
            done, running = wait(running, timeout=REPORT_SECONDS)
            ended = {futures[future] for future in futures.keys() - running}
            parts = sum(_PARTS if name in ended else _parts(reports[name]) for name in reports)
            progress.advance(parts - progress.done)
            yield from done


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
    one: Fit = pickle.loads(packed)
    history = one.run(checkpoint)
    return pickle.dumps((_weights(one.model), history))
