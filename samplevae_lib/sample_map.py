"""A collection of sounds as points on a map where like lies by like, and the way back from there.

There: PCA, t-SNE or UMAP. Back: a place is a mixture of the sounds around it. Distances make the
shares of a mixture, those of vectors for a new sound on the map, those of points for a new vector:
(reach − distance) / distance, where reach is the distance of the nearest sound that has no share
any more (Franke and Nielson, "Smooth interpolation of large sets of scattered data", 1980, with an
exponent of 1). So shares change without a jump from place to place, at a sound it has all of it,
and far from all sounds those at the edge have it: nothing leaves the range of what is known.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

METHODS = ("pca", "tsne", "umap")
# Chosen by errors for drums of machines that no map had seen, and that no result is reported of.
_AROUND = 20  # so many sounds make a place: of 20 to 1,600, as good as any number or nearly so
_BESIDE = 10  # so many give a new sound its place; how far so many are says how dense it is
_GUESSED = 4.0  # so many times farther than usual, the error of a mixture has at least doubled
_ROWS = 500  # of a table of distances, at a time
_SAMPLE = 2600  # all distances among more sounds take long


@dataclass(frozen=True, eq=False)
class SampleMap:
    """Sounds laid out in few dimensions, as `fit` does it, and the way back.

    points: (sounds, dimensions), float32. vectors: what describes the sounds, (sounds, width),
    float32. method: one of METHODS. A map never changes; several threads may ask it at once.
    """

    points: np.ndarray
    vectors: np.ndarray = field(repr=False)
    method: str
    _laid: np.ndarray = field(repr=False)  # indices of the sounds that the method itself laid out
    _axes: np.ndarray | None = field(default=None, repr=False)  # PCA's mean, then its components
    _back: Callable[[np.ndarray], np.ndarray] | None = field(default=None, repr=False)  # UMAP's own

    def __post_init__(self) -> None:
        self.density(self.points[:1])  # grows the tree, so that no click has to wait for it

    @classmethod
    def fit(
        cls, vectors: np.ndarray, *, method: str = "umap", dimensions: int = 2, seed: int = 0,
        neighbours: int = 15, min_dist: float = 0.1, iterations: int | None = None,
        limit: int = 8000,
    ) -> SampleMap:  # fmt: skip
        """Lay out sounds that are described by vectors, (sounds, width).

        method: "pca", "tsne" (van der Maaten and Hinton, 2008) or "umap" (McInnes et al., 2018).
        neighbours: so many of a sound's nearest are to stay near: UMAP's n_neighbors, t-SNE's
            perplexity. Of few sounds, UMAP takes all others and t-SNE a third of them.
        min_dist: how close UMAP may lay two sounds, 0 … 1.
        iterations: t-SNE's, if not 1,000, of which the first 250 pull heaps together and the others
            spread them out; UMAP's epochs, if not 500. PCA has none.
        limit: t-SNE and UMAP lay out so many sounds, drawn by the seed; any others find their
            places among them as in `add`, so that time grows in step with a library.
        seed: the same one draws the same map, whatever the number of threads: only one is used, for
            the last digits of a sum over several would grow into another map.

        >>> import numpy as np
        >>> vectors = np.random.default_rng(0).normal(size=(30, 8))
        >>> drawn = SampleMap.fit(vectors, method="pca")
        >>> drawn.points.shape, drawn.add(vectors[:3]).shape, drawn.inverse([[0, 9]]).shape
        ((30, 2), (3, 2), (1, 8))
        """
        vectors = _checked(vectors)
        _refuse_unfit(vectors, method, dimensions, iterations, limit)
        with threadpool_limits(1):
            if method == "pca":
                fitted = PCA(dimensions, random_state=seed).fit(vectors)
                axes = np.stack([fitted.mean_, *fitted.components_])
                every = np.arange(len(vectors))
                return cls(fitted.transform(vectors), vectors, method, every, axes)
            laid = np.sort(np.random.default_rng(seed).permutation(len(vectors))[:limit])
            some = vectors[laid]
            points, back = _laid_out(
                some, method, dimensions, seed, neighbours, min_dist, iterations
            )
            drawn = cls(points, some, method, np.arange(len(laid)), None, back)
            rest = np.setdiff1d(np.arange(len(vectors)), laid)
            if not len(rest):
                return drawn
            everywhere = np.empty((len(vectors), dimensions), np.float32)
            everywhere[laid], everywhere[rest] = points, drawn.add(vectors[rest])
            return replace(drawn, points=everywhere, vectors=vectors, _laid=laid)

    @property
    def width(self) -> int:
        """How many values describe a sound."""
        return self.vectors.shape[1]

    def add(self, vectors: np.ndarray) -> np.ndarray:
        """Where new sounds lie among the old ones, which stay: (new, width) → (new, dimensions).

        PCA projects them. On other maps, the ten sounds with the nearest vectors make the place,
        within a few milliseconds, and always the same one. Of drums of machines that a UMAP map
        (100 neighbours, 0.8 apart) hadn't seen, 0.42 of the ten nearest on the map are so in truth,
        and 0.32 by UMAP's own `transform`; with 15 neighbours, 0.1 apart, 0.46 and 0.48.
        """
        vectors = _checked(vectors, width=self.width)
        if self._axes is not None:
            return (vectors - self._axes[0]) @ self._axes[1:].T
        distances, near = self._beside.kneighbors(vectors, min(_BESIDE + 1, len(self._laid)))
        return _mixed(near[:, :-1], _shares(distances), self.points[self._laid])

    def inverse(self, points: np.ndarray, *, how: str = "learned") -> np.ndarray:
        """Vectors of sounds that would lie at points: (n, dimensions) → (n, width).

        how: "learned" mixes the sounds that lie there, by their `weights`, for any method and any
        point: in a tenth of a millisecond, and within the range of each value. "own" is PCA's or
        UMAP's inverse, and t-SNE has none; UMAP's takes a second, strays outside the hull of its
        points, and is not kept in a map's `state`.
        """
        if how == "learned":
            return _mixed(*self.weights(points), self.vectors)
        if how != "own":
            raise ValueError(f"how must be learned or own, not {how!r}")
        points = _checked(points, "points", self.points.shape[1])
        if self._axes is not None:
            return points @ self._axes[1:] + self._axes[0]
        if self._back is None:
            why = "t-SNE has no inverse" if self.method == "tsne" else "a state has no UMAP in it"
            raise ValueError(f"{why}, so how can't be 'own': 'learned' needs no more than the map")
        return np.asarray(self._back(points), np.float32)

    def weights(self, points: np.ndarray, k: int = _AROUND) -> tuple[np.ndarray, np.ndarray]:
        """Which sounds make up places, and their shares: indices and weights, both (n, k).

        points: (n, dimensions). k: how many sounds, at most all but one. The nearest and largest
        come first, and shares add up to 1.
        """
        points = _checked(points, "points", self.points.shape[1])
        if k < 1:
            raise ValueError(f"k is {k}: expected 1 or more sounds")
        distances, near = self._tree.query(points, min(k + 1, len(self.points)))
        return near[:, :-1], _shares(distances)

    def density(self, points: np.ndarray) -> np.ndarray:
        """How sure a place is: (n, dimensions) → (n,), from 1 among many sounds to 0 far from all.

        1 / (1 + (d / 4)²), where d is the distance to the tenth nearest sound, relative to the
        median of that among the sounds. Where all drums within a circle were taken out of a UMAP or
        t-SNE map, mixtures of the others had two or three times the usual error at a half (d = 4),
        and about that of the mean of all drums at a tenth (d = 12).
        """
        points = _checked(points, "points", self.points.shape[1])
        distances, _ = self._tree.query(points, [min(_BESIDE, len(self.points) - 1)])
        return np.hypot(1, distances[:, 0] / (_GUESSED * self._usual)) ** -2.0

    def round_trip(self, vectors: np.ndarray, *, how: str = "learned") -> float:
        """Mean squared distance per value from vectors, (sounds, width), to what comes back.

        They are laid on the map by `add` and read from there by `inverse` (thesis R, section
        7.2.2). Of the map's own sounds, "learned" gives all of them back: ask it for new ones.
        """
        vectors = _checked(vectors, width=self.width)
        return float(np.square(self.inverse(self.add(vectors), how=how) - vectors).mean())

    def quality(
        self, held_out: np.ndarray | None = None, *, neighbours: int = 10, seed: int = 0
    ) -> dict[str, float]:
        """How well a map keeps what is near, and how much of the sounds comes back from it.

        "trustworthiness": 1 where a sound's `neighbours` on the map are near it in truth;
        "continuity": where those near in truth are so on the map (Venna and Kaski, 2001).
        "left_out": mean squared distance per value from a sound's vector to that which the others
        give its place. "held_out": the `round_trip` of new sounds, (new, width), if there are any.
        Of more than 2,600 sounds, the first two are of so many, drawn by the seed.
        """
        some = np.random.default_rng(seed).permutation(len(self.points))[:_SAMPLE]
        vectors, points = self.vectors[some], self.points[some]
        near = min(neighbours, (len(some) - 1) // 2)
        kept = {
            "trustworthiness": float(trustworthiness(vectors, points, n_neighbors=near)),
            "continuity": float(trustworthiness(points, vectors, n_neighbors=near)),
            "left_out": float(np.square(self._without_itself() - self.vectors).mean()),
        }
        return kept if held_out is None else kept | {"held_out": self.round_trip(held_out)}

    def state(self) -> dict[str, np.ndarray]:
        """All of the map as arrays of numbers, by name, for a file; see `from_state`."""
        arrays = {"points": self.points, "vectors": self.vectors, "laid": self._laid}
        arrays["method"] = np.array([METHODS.index(self.method)])
        return arrays if self._axes is None else arrays | {"axes": self._axes}

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray]) -> SampleMap:
        """The map whose `state` this is, without UMAP's own inverse."""
        if missing := {"points", "vectors", "laid", "method"} - set(arrays):
            raise ValueError(f"state without {', '.join(sorted(missing))}: not a map's")
        points, vectors = _checked(arrays["points"], "points"), _checked(arrays["vectors"])
        if len(points) != len(vectors):
            raise ValueError(f"{len(points)} points and {len(vectors)} vectors: not a map's state")
        method = METHODS[arrays["method"].item()]
        return cls(points, vectors, method, arrays["laid"], arrays.get("axes"))

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.points)

    @cached_property
    def _usual(self) -> float:
        """The median distance to the tenth nearest other sound; of many, a part is asked."""
        some = self.points[:: -(-len(self.points) // 8000)]
        away = self._tree.query(some, [min(_BESIDE + 1, len(self.points))])[0]
        return float(np.median(away[away > 0])) if away.any() else 1.0

    @cached_property
    def _beside(self) -> NearestNeighbors:
        # In many dimensions, all distances are faster than a tree.
        return NearestNeighbors(algorithm="brute").fit(self.vectors[self._laid])

    def _without_itself(self) -> np.ndarray:
        """What the other sounds give the place of each, (sounds, width)."""
        count = len(self.points)
        distances, near = self._tree.query(self.points, min(_AROUND + 2, count))
        others = near != np.arange(count)[:, None]
        others[others.all(1), -1] = False  # of many in one place, it need not be among the nearest
        distances, near = (each[others].reshape(count, -1) for each in (distances, near))
        return _mixed(near[:, :-1], _shares(distances), self.vectors)


def _shares(distances: np.ndarray) -> np.ndarray:
    """Shares of all but the last by ascending distances, (n, k + 1) → (n, k); rows add up to 1."""
    near, reach = distances[:, :-1], distances[:, -1:]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        shares = np.where(near > 0, (reach - near) / near, np.inf)
    here = np.isinf(shares)
    shares = np.where(here.any(1, keepdims=True), here, shares)
    total = shares.sum(1, keepdims=True)  # 0 where all are equally far
    return np.divide(shares, total, out=np.full(near.shape, 1 / near.shape[1]), where=total > 0)


def _mixed(near: np.ndarray, shares: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows (sounds, values), mixed by indices and shares, both (n, k): (n, values), float32."""
    used, near = np.unique(near.ravel(), return_inverse=True)  # the product would copy all rows
    starts = np.arange(0, shares.size + 1, shares.shape[1])
    mixture = csr_array((shares.ravel(), near, starts), shape=(len(shares), len(used)))
    return np.asarray(mixture @ rows[used], np.float32)


def _checked(rows: np.ndarray, name: str = "vectors", width: int | None = None) -> np.ndarray:
    rows = np.asarray(rows, np.float32)
    shape = f"({'sounds' if name == 'vectors' else 'n'}, {width or 'width'})"
    if rows.ndim != 2 or not rows.size or not np.isfinite(rows).all():
        raise ValueError(f"{name} {rows.shape}: expected {shape}, all values finite")
    if width not in (None, rows.shape[1]):
        raise ValueError(f"{name} {rows.shape}: this map needs {shape}")
    return rows


def _refuse_unfit(
    vectors: np.ndarray, method: str, dimensions: int, iterations: int | None, limit: int
) -> None:
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    least = max(4, dimensions + 2)
    if len(vectors) < least or not 1 <= dimensions <= vectors.shape[1]:
        raise ValueError(
            f"vectors {vectors.shape} in {dimensions} dimensions: a map needs at least {least} "
            "sounds, and 1 … width dimensions"
        )
    fewest = 250 if method == "tsne" else 1
    if iterations is not None and iterations < fewest:
        raise ValueError(f"iterations is {iterations}: {method} needs at least {fewest}")
    if method == "tsne" and not np.ptp(vectors, axis=0).any():  # scikit-learn would crash
        raise ValueError("all vectors are the same: t-SNE needs some that differ, PCA doesn't")
    if limit < least:
        raise ValueError(f"limit is {limit}: a map needs at least {least} sounds")


def _nearest(vectors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The sounds nearest to each, itself among them, and their distances, both (sounds, count).

    Distances are sums of squared differences, so that those of equal sounds are exactly 0.
    """
    near, away = [], []
    for part in np.split(vectors, range(_ROWS, len(vectors), _ROWS)):
        distances = cdist(part, vectors)
        near.append(np.argsort(distances, axis=1, kind="stable")[:, :count])
        away.append(np.take_along_axis(distances, near[-1], axis=1))
    return np.concatenate(near), np.concatenate(away).astype(np.float32)


def _laid_out(
    vectors: np.ndarray, method: str, dimensions: int, seed: int, neighbours: int, min_dist: float,
    iterations: int | None,
) -> tuple[np.ndarray, Callable | None]:  # fmt: skip
    """The points by t-SNE or UMAP, and the method's own inverse if it has one."""
    if method == "tsne":
        # The rate is scikit-learn's own, less its limit of 50, at which few sounds scatter in 3-D.
        drawn = TSNE(
            dimensions, perplexity=min(neighbours, (len(vectors) - 1) / 3), init="pca",
            learning_rate=len(vectors) / 48, random_state=seed, max_iter=iterations or 1000,
        )  # fmt: skip
        return drawn.fit_transform(vectors), None
    from umap import UMAP  # here, as it takes seconds to import

    near = min(neighbours, len(vectors) - 1)
    # UMAP's own search takes as long as all the rest: it asks Python for each pair of sounds.
    sounds, distances = _nearest(vectors, near)
    with warnings.catch_warnings():  # that it can't transform without its own search: `add` does
        warnings.filterwarnings("ignore", message=".*knn_search_index.*")
        drawn = UMAP(
            n_components=dimensions, n_neighbors=near, min_dist=min_dist, random_state=seed,
            n_jobs=1, n_epochs=iterations, precomputed_knn=(sounds, distances, None),
        ).fit(vectors)  # fmt: skip
    return drawn.embedding_, drawn.inverse_transform
