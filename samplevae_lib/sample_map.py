"""A collection of sounds as points on a map where like lies by like: PCA, t-SNE, UMAP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.neighbors import KNeighborsRegressor
from threadpoolctl import threadpool_limits

METHODS = ("pca", "tsne", "umap")


@dataclass(frozen=True)
class SampleMap:
    """Sounds laid out in few dimensions, as `fit` does it.

    points: (sounds, dimensions), float32. width: how many values describe a sound.
    """

    points: np.ndarray
    width: int
    _place: Callable[[np.ndarray], np.ndarray] = field(repr=False)

    @classmethod
    def fit(
        cls, vectors: np.ndarray, *, method: str = "umap", dimensions: int = 2, seed: int = 0,
        neighbours: int = 15, min_dist: float = 0.1,
    ) -> SampleMap:  # fmt: skip
        """Lay out sounds that are described by vectors, (sounds, width).

        method: "pca", "tsne" (van der Maaten and Hinton, 2008) or "umap" (McInnes et al., 2018).
        neighbours: so many of a sound's nearest are to stay near: UMAP's n_neighbors, t-SNE's
            perplexity. Of few sounds, UMAP takes all others and t-SNE a third of them.
        min_dist: how close UMAP may lay two sounds, 0 … 1.
        seed: the same one draws the same map, whatever the number of threads: only one is used, for
            the last digits of a sum over several would grow into another map.

        >>> import numpy as np
        >>> vectors = np.random.default_rng(0).normal(size=(30, 8))
        >>> drawn = SampleMap.fit(vectors, method="pca")
        >>> drawn.points.shape, drawn.add(vectors[:3]).shape
        ((30, 2), (3, 2))
        """
        if method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
        vectors, least = _checked(vectors), max(4, dimensions + 2)
        if len(vectors) < least or not 1 <= dimensions <= vectors.shape[1]:
            raise ValueError(
                f"vectors {vectors.shape} in {dimensions} dimensions: a map needs at least {least} "
                "sounds, and 1 … width dimensions"
            )
        with threadpool_limits(1):
            points, place = _laid_out(vectors, method, dimensions, seed, neighbours, min_dist)
        return cls(np.asarray(points, np.float32), vectors.shape[1], place)

    def add(self, vectors: np.ndarray) -> np.ndarray:
        """Where new sounds lie among the old ones, which stay: (new, width) → (new, dimensions).

        t-SNE knows no such thing: there a new sound lies at the mean of the points of the old ones
        nearest to it, as many as `neighbours`, each with 1 / distance as its weight.
        """
        vectors = _checked(vectors)
        if vectors.shape[1] != self.width:
            raise ValueError(f"vectors {vectors.shape}: this map needs (sounds, {self.width})")
        with threadpool_limits(1):
            return np.asarray(self._place(vectors), np.float32)


def _checked(vectors: np.ndarray) -> np.ndarray:
    vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2 or not vectors.size or not np.isfinite(vectors).all():
        raise ValueError(f"vectors {vectors.shape}: expected (sounds, width), all values finite")
    return vectors


def _laid_out(
    vectors: np.ndarray, method: str, dimensions: int, seed: int, neighbours: int, min_dist: float
) -> tuple[np.ndarray, Callable]:
    """The points, and the function that places new vectors among them."""
    if method == "pca":
        fitted = PCA(dimensions, random_state=seed).fit(vectors)
        return fitted.transform(vectors), fitted.transform
    if method == "tsne":
        # The rate is scikit-learn's own, less its limit of 50, at which few sounds scatter in 3-D.
        drawn = TSNE(
            dimensions, perplexity=min(neighbours, (len(vectors) - 1) / 3), init="pca",
            learning_rate=len(vectors) / 48, random_state=seed,
        )  # fmt: skip
        around = KNeighborsRegressor(min(neighbours, len(vectors)), weights="distance")
        around.fit(vectors, drawn.fit_transform(vectors))
        return drawn.embedding_, around.predict
    from umap import UMAP  # here, as it takes seconds to import

    drawn = UMAP(
        n_components=dimensions, n_neighbors=min(neighbours, len(vectors) - 1), min_dist=min_dist,
        random_state=seed, n_jobs=1,
    ).fit(vectors)  # fmt: skip
    return drawn.embedding_, drawn.transform
