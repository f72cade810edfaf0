"""Things to hear and touch in a notebook."""

from __future__ import annotations

from samplevae_lib.widgets.annotate import Annotate
from samplevae_lib.widgets.audition import Audition, compare
from samplevae_lib.widgets.morph import Morph
from samplevae_lib.widgets.page import set_notice

__all__ = ["Annotate", "Audition", "Morph", "compare", "set_notice"]
