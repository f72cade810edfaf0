"""How much worse than a reference a sound is heard to be: PEAQ, basic version (ITU-R BS.1387-1)."""

from __future__ import annotations

from samplevae_lib.metrics.peaq.grade import Details, graded, odg
from samplevae_lib.metrics.peaq.variables import Variables

__all__ = ["Details", "Variables", "graded", "odg"]
