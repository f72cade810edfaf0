"""What is measured: neighbours, levels, aliasing, intervals."""

from samplevae_lib.metrics.aliasing import decimation_residual, dominant_frequency, folded
from samplevae_lib.metrics.intervals import Interval, interval
from samplevae_lib.metrics.levels import residual_db, snr_db
from samplevae_lib.metrics.neighbours import one_nn, one_nn_accuracy

__all__ = [
    "Interval", "decimation_residual", "dominant_frequency", "folded", "interval", "one_nn",
    "one_nn_accuracy", "residual_db", "snr_db",
]  # fmt: skip
