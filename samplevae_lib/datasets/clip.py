"""One sound on its way into a dataset."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Clip:
    """A mono sound of its natural length, with what is known about it.

    audio: float32, shape (samples,), within −1 … 1.
    group: what a split must keep together: the speaker, drum machine or instrument.
    attributes: any further columns (pitch, velocity, file code, …), all plain values.
    """

    audio: np.ndarray
    name: str
    label: str
    group: str
    attributes: dict = field(default_factory=dict)
