"""samplevae: four theses on neural drum and sample synthesis, run again from notebooks.

Sub-modules load when first used, so `import samplevae_lib as sv` costs next to nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType

__version__ = "0.1.0"

_ROOMS = (
    "audio", "cache", "datasets", "experiment", "inversion", "library", "metrics", "models",
    "paths", "plots", "propagation", "sample_map", "settings", "sorting", "spectral", "theses",
    "training", "widgets",
)  # fmt: skip


def on_first_use(package: str, *modules: str) -> Callable[[str], ModuleType]:
    """A package's `__getattr__` that imports these modules of it when they are first asked for."""

    def load(name: str) -> ModuleType:
        if name in modules:
            return importlib.import_module(f"{package}.{name}")
        raise AttributeError(f"{package} has no {name!r}; it has {', '.join(modules)}")

    return load


__getattr__ = on_first_use(__name__, *_ROOMS)


def __dir__() -> list[str]:
    return [*_ROOMS, "__version__"]
