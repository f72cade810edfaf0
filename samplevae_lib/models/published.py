"""Weights that others published, in files that the user has put into data/published/."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor, nn

from samplevae_lib import paths


class WeightsFileError(ValueError):
    """A file of published weights that can't be used; says which, why and what to do."""


def place(name: str) -> Path:
    """Where the file of this name is looked for; it need not be there."""
    return paths.data() / "published" / name


def fill(
    network: nn.Module, path: str | os.PathLike, *, left_out: tuple[str, ...], takes: str
) -> None:
    """Give a network all tensors of a file by their names, but those left out.

    path: the file, as published; code in it is never run. One that can't be read or doesn't fit is
    a `WeightsFileError`, and leaves the network as it was. left_out: what names begin with that
    are read from no file and looked for in none. takes: which file the network takes, for the
    message.
    """
    own, (loaded, refused) = network.state_dict(), _tensors(path)
    needed, found = (
        {name: tensor for name, tensor in side.items() if not name.startswith(left_out)}
        for side in (own, loaded)
    )
    if reason := refused or _difference(needed, found):
        raise WeightsFileError(f"{path} {reason}; {takes}")
    network.load_state_dict({**own, **found})


def _tensors(path: str | os.PathLike) -> tuple[dict[str, Tensor], str]:
    """A file's tensors by their names, or why there are none."""
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        return {}, f"can't be read: {error.strerror}"
    except Exception as error:  # what a damaged file raises can be anything
        if "GLOBAL" in str(error):
            return {}, "holds code or objects beside tensors, which are never loaded"
        return {}, f"is cut short or damaged ({type(error).__name__})"
    loaded = loaded.get("model", loaded) if isinstance(loaded, dict) else loaded
    pairs = loaded.items() if isinstance(loaded, dict) else [(None, None)]
    if not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in pairs):
        return {}, "doesn't hold tensors by their names"
    return loaded, ""


def _difference(own: dict[str, Tensor], found: dict[str, Tensor]) -> str:
    """The first tensor that only one side has, or that has another shape or type, in words."""
    for name in {**own, **found}:
        here, there = (
            f"{tuple(side[name].shape)} {side[name].dtype}" if name in side else "missing"
            for side in (own, found)
        )
        # Files from before torch 0.4.1 don't count batches.
        uncounted = name.endswith(".num_batches_tracked") and there == "missing"
        if here != there and not uncounted:
            return f"is for another model: {name} is {there} there and {here} here"
    return ""
