"""A mean and the interval that holds it with 95 % confidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A mean between two limits; prints as "0.94 (0.91 to 0.97)"."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3g} ({self.low:.3g} to {self.high:.3g})"


def interval(values: Sequence[float], *, confidence: float = 0.95) -> Interval:
    """Student's interval for the mean of independent values, such as one a seed.

    A single value has no interval: both limits are NaN, which no comparison holds for.
    """
    from scipy import stats

    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"values have shape {values.shape}: expected (values,), at least one")
    mean = float(values.mean())
    if len(values) == 1:
        return Interval(mean, float("nan"), float("nan"))
    error = values.std(ddof=1) / np.sqrt(len(values))
    reach = float(stats.t.ppf(0.5 + confidence / 2, len(values) - 1) * error)
    return Interval(mean, mean - reach, mean + reach)
