"""The whole state of a training loop on disk, as safetensors and JSON, never pickled.

`state.json` names the tensors' file and is written last, so a kill between the two leaves the
checkpoint before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from samplevae_lib.files import read_json, replacing, write_json

_MODEL, _BEST, _OPTIMISER, _CHANCE = "model", "best", "optimiser", "chance"


def save(folder: Path, loop: Any) -> None:
    """Keep weights, best weights, optimisers, random generators' states and history.

    folder: where to. loop: a training loop, see `loop`.
    """
    tensors = _prefixed(_MODEL, loop.model.state_dict()) | _prefixed(_BEST, loop.best_weights)
    for name, optimiser in loop.optimisers.items():
        for index, values in optimiser.state_dict()["state"].items():
            tensors |= _prefixed(f"{_OPTIMISER}/{name}/{index}", values)
    tensors |= _prefixed(_CHANCE, _chance())
    file = f"epoch-{len(loop.history)}.safetensors"
    with replacing(folder / file) as partial:
        # Copies: two names of one tensor, as in tied weights, are refused otherwise.
        save_file({name: t.detach().clone().contiguous() for name, t in tensors.items()}, partial)
    counts = {"best": repr(loop.best), "waited": loop.waited, "plateau": loop.plateau}
    write_json(
        folder / "state.json",
        {"tensors": file, "rates": loop.rates, "history": loop.history, "counts": counts},
    )
    for old in folder.glob("epoch-*.safetensors"):
        if old.name != file:
            old.unlink()


def restore(folder: Path, loop: Any) -> None:
    """Bring a loop to where it was saved; without a checkpoint it stays at its beginning."""
    state = read_json(folder / "state.json")
    if state is None:
        return
    tensors = load_file(folder / state["tensors"])
    loop.model.load_state_dict(_below(_MODEL, tensors))
    loop.best_weights = _below(_BEST, tensors)
    for name, optimiser in loop.optimisers.items():
        _restore_optimiser(optimiser, _below(f"{_OPTIMISER}/{name}", tensors))
    loop.rates, loop.history = state["rates"], state["history"]
    loop.best = float(state["counts"]["best"])
    loop.waited, loop.plateau = state["counts"]["waited"], state["counts"]["plateau"]
    _set_chance(_below(_CHANCE, tensors))


def _restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    fresh = optimiser.state_dict()
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, value = name.partition("/")
        moments.setdefault(int(index), {})[value] = tensor
    optimiser.load_state_dict({"state": moments, "param_groups": fresh["param_groups"]})


def _chance() -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def _set_chance(states: dict[str, Tensor]) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])


def _prefixed(prefix: str, values: dict[str, Any]) -> dict[str, Tensor]:
    """Tensors under a common name; an optimiser's empty slots (None) are left out."""
    return {f"{prefix}/{name}": t for name, t in values.items() if isinstance(t, Tensor)}


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under a name, by the rest of theirs."""
    start = f"{prefix}/"
    return {name[len(start) :]: t for name, t in tensors.items() if name.startswith(start)}
