"""Sounds to learn from, behind one door: `load`."""

from __future__ import annotations

import importlib
import inspect
import os
from pathlib import Path

from samplevae_lib import on_first_use
from samplevae_lib.datasets import download, folder
from samplevae_lib.datasets.dataset import Dataset, Problem
from samplevae_lib.datasets.store import DATA, StandInWarning
from samplevae_lib.settings import PROFILES

NAMES = ("signals", "digits", "drums", "notes")

__getattr__ = on_first_use(__name__, "drums", "signals")
__all__ = ["DATA", "NAMES", "PROFILES", "Dataset", "Problem", "StandInWarning", "load"]


def load(
    name: str | os.PathLike,
    *,
    profile: str = "reference",
    data: str = "auto",
    seed: int = 0,
    per_class: int | None = None,
    **options,
) -> Dataset:
    """Load a dataset by its name, or any folder of sounds by its path.

    name: "signals", "digits", "drums", "notes", or a folder.
    profile: "smoke", "reference" or "paper"; decides how many sounds are synthesised. Recordings
    always come whole.
    data: "auto" takes recordings from disk, else from the folder that SAMPLEVAE_MIRROR names, else
    from the network, else synthesised stand-ins; "real" and "stand-in" insist.
    seed: of everything that is drawn at random.
    per_class: at most so many sounds of each class, drawn at random; None takes all.
    options: the dataset's own, listed in the module of its name (`datasets.drums.load`).

    >>> ds = load("signals", kind="sines", count=4, seed=0)
    >>> ds
    <signals (sines): 4 sounds of 8192 samples at 16000 Hz, 1 class, 4 groups, real>
    >>> ds.audio.shape, ds.audio.dtype, ds.sample_rate, ds.source
    ((4, 8192), dtype('float32'), 16000, 'real')
    """
    for option, value, known in (("profile", profile, PROFILES), ("data", data, DATA)):
        if value not in known:
            raise ValueError(f"{option} must be one of {', '.join(known)}, not {value!r}")
    if str(name) in NAMES:
        loader = importlib.import_module(f"{__name__}.{name}").load
        _check_options(str(name), loader, options)
        loaded = loader(profile=profile, data=data, seed=seed, **options)
    else:
        _check_folder(name)
        _check_options(str(name), folder.load, options)
        loaded = folder.load(name, **options)
    return loaded if per_class is None else loaded.sample(per_class, seed=seed)


def within_reach(name: str) -> bool:
    """Whether recordings of "digits", "drums" or "notes" (NSynth's test part) can be had now."""
    module = importlib.import_module(f"{__name__}.{name}")
    return download.within_reach(module.archive())


def _check_folder(name: str | os.PathLike) -> None:
    if not Path(name).expanduser().is_dir():
        raise ValueError(
            f"no dataset {os.fspath(name)!r}: known are {', '.join(NAMES)}, "
            "or the path of a folder of sounds"
        )


def _check_options(name: str, loader, options: dict) -> None:
    shared = {"profile", "data", "seed", "path"}
    known = [option for option in inspect.signature(loader).parameters if option not in shared]
    if unknown := sorted(set(options) - set(known)):
        raise TypeError(
            f"{name} has no option {', '.join(unknown)}; it has {', '.join([*known, 'per_class'])}"
        )
