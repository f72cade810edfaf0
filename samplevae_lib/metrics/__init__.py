"""What is measured: neighbours, levels, aliasing, intervals."""

from __future__ import annotations

from samplevae_lib.metrics.aliasing import decimation_residual, dominant_frequency, folded
from samplevae_lib.metrics.intervals import Interval, interval
from samplevae_lib.metrics.levels import residual_db, snr_db
from samplevae_lib.metrics.neighbours import centres, one_nn, one_nn_accuracy

__all__ = [
    "Interval", "centres", "decimation_residual", "dominant_frequency", "folded", "interval",
    "one_nn", "one_nn_accuracy", "residual_db", "snr_db",
]  # fmt: skip
