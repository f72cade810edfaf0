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
