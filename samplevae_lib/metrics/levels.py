"""How far an estimate is from a signal, in dB of energy."""

from __future__ import annotations

import numpy as np


def residual_db(signal: np.ndarray, estimate: np.ndarray) -> np.ndarray:
    """Energy of signal − estimate in dB relative to that of the signal, over the last axis.

    −10 dB: a tenth of the energy is left over. An exact estimate gives −inf.
    """
    signal, estimate = np.asarray(signal, np.float64), np.asarray(estimate, np.float64)
    if signal.shape != estimate.shape:
        raise ValueError(f"signal {signal.shape} and estimate {estimate.shape} differ in shape")
    energy = np.square(signal).sum(-1)
    if not np.all(energy > 0):
        raise ValueError("a silent signal has no energy to relate a residual to")
    with np.errstate(divide="ignore"):
        return 10 * np.log10(np.square(signal - estimate).sum(-1) / energy)


def snr_db(clean: np.ndarray, noisy: np.ndarray) -> np.ndarray:
    """Signal-to-noise ratio in dB over the last axis: the residual's level turned round."""
    return -residual_db(clean, noisy)
