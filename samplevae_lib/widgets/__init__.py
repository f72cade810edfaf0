"""Things to hear and touch in a notebook."""

from __future__ import annotations

from samplevae_lib.widgets.audition import Audition, compare

__all__ = ["Audition", "compare"]
