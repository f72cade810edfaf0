"""Measures of a latent space: neighbours, centres, and what it has of the signal's frequency.

The last three serve thesis L's question (section 4.1.1) whether the latent of an autoencoder whose
strides multiply to 32 is the signal itself at a 32nd of its rate: then a frequency above half that
rate would appear folded down, and the decimated signal would explain the latent.
"""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors


def one_nn(latent: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The label of each item's nearest other item, by Euclidean distance: (items,).

    latent: (items, dimensions). labels: (items,). Where several are equally near, any of them is
    taken.
    """
    latent, labels = np.asarray(latent), np.asarray(labels)
    if latent.ndim != 2 or len(latent) != len(labels) or len(latent) < 2:
        raise ValueError(
            f"latent {latent.shape} and labels {labels.shape}: expected (items, dimensions) and "
            "(items,) of at least two items"
        )
    if not np.isfinite(latent).all():
        raise ValueError("latent holds NaN or infinite values: expected finite ones in every item")
    # Without an argument, kneighbors leaves every item out of its own neighbourhood.
    nearest = NearestNeighbors(n_neighbors=1).fit(latent).kneighbors(return_distance=False)
    return labels[nearest[:, 0]]


def one_nn_accuracy(latent: np.ndarray, labels: np.ndarray) -> float:
    """Share of items whose nearest other item has the same label (leave one out), 0 … 1.

    latent: (items, dimensions). labels: (items,).

    >>> import numpy as np
    >>> from samplevae_lib.metrics import one_nn_accuracy
    >>> latent = np.array([[0.0, 0.0], [0.1, 0.0], [5.0, 5.0], [5.2, 5.0], [0.2, 0.0]])
    >>> one_nn_accuracy(latent, np.array(["kick", "kick", "snare", "snare", "snare"]))
    0.8
    """
    return float((one_nn(latent, labels) == np.asarray(labels)).mean())


def centres(latent: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """The mean of each label's items, (dimensions,), in alphabetical order of the labels.

    latent: (items, dimensions). labels: (items,).
    """
    latent, labels = np.asarray(latent), np.asarray(labels)
    return {str(label): latent[labels == label].mean(0) for label in np.unique(labels)}


def folded(hertz: np.ndarray | float, rate: float) -> np.ndarray:
    """Where a frequency in Hz appears when it is sampled at `rate` Hz: between 0 and rate / 2."""
    turned = np.mod(np.asarray(hertz, dtype=np.float64), rate)
    return np.minimum(turned, rate - turned)


def dominant_frequency(signals: np.ndarray, rate: float) -> np.ndarray:
    """Frequency in Hz of the strongest bin of each signal's spectrum: (…, n) → (…).

    rate: of the signals, in Hz. The mean is removed first. Under a Hann window without
    zero-padding a bin is rate / n wide. A constant signal gives 0 Hz.
    """
    signals = np.asarray(signals, dtype=np.float64)
    window = np.hanning(signals.shape[-1] + 1)[:-1]
    level = (signals * window).sum(-1, keepdims=True) / window.sum()
    spectrum = np.abs(np.fft.rfft((signals - level) * window))
    return spectrum.argmax(-1) * rate / signals.shape[-1]


def decimation_residual(latent: np.ndarray, signal: np.ndarray) -> float:
    """Share of a latent's energy about its mean that the decimated signal can't explain, 0 … 1.

    latent: (n,). signal: (n · step,). The signal is read at every step-th sample, beginning at each
    of the first `step` samples in turn, and fitted to the latent with a gain and an offset. The
    beginning that fits best counts.
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
