"""Measurements, side by side in one run: `python -m benchmarks.WHAT`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def medians(
    contestants: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 5,
    before_each: Callable[[], object] = lambda: None,
) -> dict[str, float]:
    """Median seconds of each, taken in turns so that a busy moment hits all of them alike.

    before_each: what has to be put in order again and is not measured.
    """
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for contestant in contestants.values():
        contestant()  # once unmeasured: imports, compilation, the disk's cache
    for _ in range(rounds):
        for name, contestant in contestants.items():
            before_each()
            started = time.perf_counter()
            contestant()
            taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}
