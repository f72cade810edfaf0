"""Who lies next to whom in a latent space, and where the middle of a class is."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors


def one_nn(latent: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The label of each item's nearest other item, by Euclidean distance.

    latent: (items, dimensions). labels: (items,). Of neighbours at one distance any may be taken.
    """
    latent, labels = np.asarray(latent), np.asarray(labels)
    if latent.ndim != 2 or len(latent) != len(labels) or len(latent) < 2:
        raise ValueError(
            f"latent {latent.shape} and labels {labels.shape}: expected (items, dimensions) and "
            "(items,) of at least two items"
        )
    if not np.isfinite(latent).all():
        raise ValueError("latent holds NaN or infinite values: there is no nearest neighbour")
    # Without an argument, kneighbors leaves every item out of its own neighbourhood.
    nearest = NearestNeighbors(n_neighbors=1).fit(latent).kneighbors(return_distance=False)
    return labels[nearest[:, 0]]


def one_nn_accuracy(latent: np.ndarray, labels: np.ndarray) -> float:
    """Share of items whose nearest other item has their label (leave one out)."""
    return float((one_nn(latent, labels) == np.asarray(labels)).mean())


def centres(latent: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """The mean of the items of each label, (dimensions,), in the order of the labels' names."""
    latent, labels = np.asarray(latent), np.asarray(labels)
    return {str(label): latent[labels == label].mean(0) for label in np.unique(labels)}


def folded(hertz: np.ndarray | float, rate: float) -> np.ndarray:
    """Where a frequency appears when sampled at `rate` Hz: folded into 0 … rate / 2."""
    turned = np.mod(np.asarray(hertz, dtype=np.float64), rate)
    return np.minimum(turned, rate - turned)


def dominant_frequency(signals: np.ndarray, rate: float) -> np.ndarray:
    """Frequency in Hz of the strongest bin of each signal, its mean removed: (…, n) → (…).

    Hann window, no zero-padding: one bin is rate / n wide. A constant signal gives 0 Hz.
    """
    signals = np.asarray(signals, dtype=np.float64)
    window = np.hanning(signals.shape[-1] + 1)[:-1]
    level = (signals * window).sum(-1, keepdims=True) / window.sum()
    spectrum = np.abs(np.fft.rfft((signals - level) * window))
    return spectrum.argmax(-1) * rate / signals.shape[-1]


def decimation_residual(latent: np.ndarray, signal: np.ndarray) -> float:
    """Share of a latent's energy about its mean that the decimated signal can't explain.

    latent: (n,). signal: (n · step,). The signal read at every step-th sample is fitted in gain
    and offset, at each of the `step` samples where that can begin; the best fit counts.
    """
    latent, signal = np.asarray(latent, np.float64), np.asarray(signal, np.float64)
    if len(signal) % len(latent):
        raise ValueError(f"{len(signal)} samples are not a multiple of {len(latent)} latent values")
    step = len(signal) // len(latent)
    around = latent - latent.mean()
    if not np.any(around):
        raise ValueError("the latent is constant: it has no energy to explain")
    candidates = signal.reshape(-1, step).T
    candidates = candidates - candidates.mean(1, keepdims=True)
    power = np.square(candidates).sum(1)
    explained = np.square(candidates @ around) / np.where(power > 0, power, np.inf)
    return float(1 - explained.max() / np.square(around).sum())
