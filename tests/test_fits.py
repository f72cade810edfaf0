"""Fits through the cache: one here, several in processes of their own, and what a kill leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import samplevae_lib as sv
from samplevae_lib import training
from samplevae_lib.models import encode, reconstruct
from samplevae_lib.models.autoencoder import Autoencoder
from samplevae_lib.training import Player, Schedule, losses
from samplevae_lib.training import fits as fits_module
from samplevae_lib.training.fits import Fit, Fitted, Plan, fit_all

AUDIO = sv.datasets.load("signals", kind="families", count=12, noise=0.0).audio
HISTORY = pd.DataFrame({"epoch": [0], "seconds": [1.0]})
HERE, BESIDE = Plan(workers=1), Plan(workers=2)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMPLEVAE_DATA", str(tmp_path))


def one(seed: int = 0, epochs: int = 2) -> Fit:
    torch.manual_seed(seed)
    model = Autoencoder("convolutional", width=0.05)
    options = {
        "players": {"model": Player(losses.mean_square, {"error": 1.0}, rate=0.01)},
        "schedule": Schedule(epochs, 4),
    }
    return Fit(model, training.train, (AUDIO,), seed, options)


def weights(fitted: Fit) -> torch.Tensor:
    return torch.cat([tensor.flatten().float() for tensor in fitted.model.state_dict().values()])


def fit(one: Fit, plan: Plan = HERE) -> Fitted:
    return fit_all({"it": one}, plan)["it"]


def test_a_fit_is_trained_once_and_then_taken_from_the_cache():
    first, again = one(), one()
    done, taken = fit(first), fit(again)
    assert (done.source, taken.source) == ("trained", "cached")
    assert taken.history.equals(done.history)  # seconds too: nothing was trained
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(weights(first), weights(one()))


def test_two_runs_that_want_the_same_fit_train_it_once():
    wanted = [one(), one()]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(fit, wanted))
    assert sorted(each.source for each in done) == ["cached", "trained"]
    assert torch.equal(*map(weights, wanted))


@pytest.mark.parametrize(
    "other",
    [
        lambda: one(seed=1),
        lambda: one(epochs=3),
        lambda: Fit(one().model, training.train, (AUDIO * 0.5,), 0, one().options),
    ],
    ids=["seed", "schedule", "data"],
)
def test_what_decides_the_result_is_in_the_key(other):
    assert one().key() == one().key()
    assert other().key() != one().key()


def test_several_at_once_are_those_trained_one_by_one(capfd):
    before = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")}
    together = {"a": one(0, epochs=60), "b": one(1), "c": one(2)}
    done = fit_all(together, BESIDE)
    assert "training: " not in capfd.readouterr().err  # no bar of a worker's, only the one of all
    assert list(done) == ["a", "b", "c"]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for seed, name in enumerate("abc"):
        alone = one(seed, epochs=60 if name == "a" else 2)
        history = alone.run(sv.cache.checkpoint("models", f"alone-{name}"))
        assert torch.equal(weights(alone), weights(together[name]))
        columns = [column for column in history if column != "seconds"]
        assert done[name].history[columns].equals(history[columns])
    torch.set_num_threads(threads)
    assert {name: os.environ.get(name) for name in before} == before


def test_only_what_the_cache_lacks_is_trained(monkeypatch):
    fit(one(0))
    wanted, trained = {"known": one(0), "new": one(1)}, []

    def in_workers(missing, folders, workers):
        trained.extend(missing)
        return iter((name, each.model.state_dict(), HISTORY) for name, each in missing.items())

    monkeypatch.setattr(fits_module, "train_in_workers", in_workers)
    done = fit_all(wanted, BESIDE)
    assert trained == ["new"]
    sources = {name: each.source for name, each in done.items()}
    assert sources == {"known": "cached", "new": "trained"}


def test_what_is_to_be_trained_anew_is_trained_though_it_is_known():
    fit(one(0))
    named = Plan(workers=1, refit=("a",))
    done = fit_all({"a": one(0), "b": one(0)}, named)
    assert {name: each.source for name, each in done.items()} == {"a": "trained", "b": "cached"}
    everything = fit_all({"a": one(0)}, Plan(workers=1, refit=("all",)))
    assert everything["a"].source == "trained"


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_of_twins_one_is_trained(workers):
    twins = {"one": one(0), "other": one(0), "else": one(1)}
    done = fit_all(twins, Plan(workers=workers))
    assert list(done) == list(twins)
    assert done["one"].history.equals(done["other"].history)  # seconds too
    assert torch.equal(weights(twins["one"]), weights(twins["other"]))
    assert not torch.equal(weights(twins["one"]), weights(twins["else"]))


def broken(model: nn.Module, data: tuple, **options: object) -> None:
    raise ArithmeticError("the loss is no longer finite")


def test_an_error_in_a_worker_arrives_and_what_was_done_is_kept():
    bad = Fit(one(1).model, broken, (AUDIO,), 1, {})
    with pytest.raises(ArithmeticError, match="no longer finite"):
        fit_all({"good": one(0), "bad": bad}, HERE)
    assert sv.cache.load("models", one(0).key()) is not None


KILLED = """
import sys
sys.path.insert(0, sys.argv[1])
import test_fits
if __name__ == "__main__":
    slow = {"a": test_fits.one(0, epochs=100_000), "b": test_fits.one(1, epochs=100_000)}
    test_fits.fit_all(slow, test_fits.BESIDE)
"""


@pytest.mark.slow
def test_workers_end_with_a_killed_parent(tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    parent = subprocess.Popen([sys.executable, script, Path(__file__).parent])
    children = _wait_for(lambda: _children(parent.pid), 60)
    time.sleep(5)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert _wait_for(lambda: not any(map(_alive, children)), 15)


def _children(pid: int) -> list[int]:
    """The workers, once there are two; a spawned process has a helper beside it."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed] if len(listed) > 2 else []


def _alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def _wait_for(condition, seconds: float):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} seconds")


def test_evaluation_is_the_same_in_any_batches_and_leaves_no_gradients():
    model = one().model.train()
    whole = reconstruct(model, AUDIO)
    assert whole.shape == AUDIO.shape
    assert not model.training
    parts = np.concatenate([reconstruct(model, AUDIO[:5]), reconstruct(model, AUDIO[5:])])
    assert np.allclose(whole, parts, atol=1e-6)
    assert encode(model, AUDIO).shape == (12, 16)
