"""A notebook's one handle, `run`; the records it leaves and what it shows."""

from __future__ import annotations

from samplevae_lib.experiment import show
from samplevae_lib.experiment.records import RecordError
from samplevae_lib.experiment.run import Run, start

__all__ = ["RecordError", "Run", "show", "start"]
