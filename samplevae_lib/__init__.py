"""samplevae: four theses on neural drum and sample synthesis, run again from notebooks.

Sub-modules load when first used, so `import samplevae_lib as sv` costs next to nothing.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__version__ = "0.1.0"

_FLOORS = (
    "audio", "cache", "datasets", "experiment", "inversion", "metrics", "models", "paths",
    "plots", "settings", "spectral", "theses", "training", "widgets",
)  # fmt: skip


def __getattr__(name: str) -> ModuleType:
    if name in _FLOORS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"samplevae_lib has no {name!r}; it has {', '.join(_FLOORS)}")


def __dir__() -> list[str]:
    return [*_FLOORS, "__version__"]
