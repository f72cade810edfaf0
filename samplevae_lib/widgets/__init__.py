"""Things to hear and touch in a notebook."""

from __future__ import annotations

from typing import Any

from samplevae_lib.widgets.annotate import Annotate
from samplevae_lib.widgets.audition import Audition, compare
from samplevae_lib.widgets.morph import Morph
from samplevae_lib.widgets.page import set_notice

__all__ = ["Annotate", "Audition", "Map", "Morph", "compare", "set_notice"]


def __getattr__(name: str) -> Any:
    """`Map`, when it is first asked for: it alone needs anywidget."""
    if name == "Map":
        from samplevae_lib.widgets.map import Map

        return Map
    raise AttributeError(f"{__name__} has no {name!r}; it has {', '.join(__all__)}")
