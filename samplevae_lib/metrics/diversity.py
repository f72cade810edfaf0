"""How close one set of sounds comes to another as a whole: NDB, Fréchet and kernel distance.

None of these numbers means much by itself. Each changes with how many sounds both sets have, so
their sizes belong beside it, and so does what real sounds give against real ones (`floor`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr
from sklearn.cluster import KMeans
from sklearn.metrics import euclidean_distances
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

_BLOCK = 1024  # rows whose distances to all others are held at a time
_SCALE = 100  # of the kernel distance, as its authors' toolkit kadtk prints it


class Bins(NamedTuple):
    """Shares of sets in the bins of k-means, which are in the order of train's shares.

    train: (bins,), the largest first. others: (sets, bins). errors: (sets, bins), the standard
    error of an other set's share about train's if both were drawn alike. differ: (sets, bins), True
    where a share differs from train's by the two-sided z-test for two proportions.
    """

    train: np.ndarray
    others: np.ndarray
    errors: np.ndarray
    differ: np.ndarray


def ndb(
    train: np.ndarray, generated: np.ndarray, *, bins: int = 50, seed: int = 0,
    level: float = 0.05, whiten: bool = True,
) -> int:  # fmt: skip
    """Number of statistically different bins, 0 … bins (Richardson and Weiss, NeurIPS 2018).

    Arguments as for `bin_shares`. Of a set that is drawn like `train`, about level · bins differ by
    chance, 2.5 of 50. But k-means lays bins around the very items of `train`: where these are few
    and have many values, far more differ, so that a value means something beside its `floor` alone.
    A small set differs in few bins for want of evidence.

    >>> import numpy as np
    >>> from samplevae_lib.metrics import ndb
    >>> train = np.random.default_rng(0).normal(size=(400, 2))
    >>> ndb(train, train, bins=10), ndb(train, train[train[:, 0] > 0], bins=10)
    (0, 8)
    """
    found = bin_shares(train, generated, bins=bins, seed=seed, level=level, whiten=whiten)
    return int(found.differ.sum())


def bin_shares(
    train: np.ndarray, *others: np.ndarray, bins: int = 50, seed: int = 0, level: float = 0.05,
    whiten: bool = True,
) -> Bins:  # fmt: skip
    """Which shares of sets lie in the bins that k-means divides `train` into.

    train, others: (items, …), such as spectrograms by `shrunk`, which are compared value by value.
    bins: as many clusters; each item belongs to the one whose centre is nearest.
    seed: of k-means, which begins ten times; the same one gives the same bins on any number of
        threads, for only one is used.
    level: a share differs where so large a difference would come by chance more rarely than this.
    whiten: divide each value by its standard deviation in `train` first, so that all of them count
        alike; an option of the authors' code, off by default there.
    """
    train, *others = _rows({"train": train} | {f"other {n}": o for n, o in enumerate(others, 1)})
    if not 2 <= bins <= len(train):
        raise ValueError(f"bins is {bins}: expected 2 … {len(train)}, the number of items in train")
    scale = StandardScaler(with_std=whiten).fit(train)
    with threadpool_limits(1):
        means = KMeans(bins, n_init=10, random_state=seed).fit(scale.transform(train))
        placed = [means.labels_, *(means.predict(scale.transform(other)) for other in others)]
    counts = np.array([np.bincount(labels, minlength=bins) for labels in placed])
    if not counts[0].all():
        used = np.count_nonzero(counts[0])
        raise ValueError(f"train fills {used} of {bins} bins: its items are alike; ask for fewer")
    return _compared(counts[:, np.argsort(-counts[0], kind="stable")], level)


def _compared(counts: np.ndarray, level: float) -> Bins:
    """Items of each set in each bin, (1 + others, bins), train's first → their shares, tested."""
    sizes = counts.sum(1, keepdims=True)
    shares, scarcity = counts / sizes, 1 / sizes[0] + 1 / sizes[1:]
    pooled = (counts[0] + counts[1:]) / (sizes[0] + sizes[1:])
    z = (shares[1:] - shares[0]) / np.sqrt(pooled * (1 - pooled) * scarcity)
    errors = np.sqrt(shares[0] * (1 - shares[0]) * scarcity)
    return Bins(shares[0], shares[1:], errors, 2 * ndtr(-np.abs(z)) < level)


def shrunk(spectrograms: np.ndarray, *, rows: int = 16, columns: int = 32) -> np.ndarray:
    """(…, bins, frames) → (…, rows, columns), each value the mean over the area it stands for.

    Where bins are not a multiple of rows, the one on the border counts in both with its parts.
    """
    spectrograms = np.asarray(spectrograms)
    if spectrograms.ndim < 2 or not np.all(np.array(spectrograms.shape[-2:]) >= (rows, columns)):
        raise ValueError(
            f"spectrograms {spectrograms.shape}: expected (…, bins, frames) of at least {rows} × "
            f"{columns}; ask for fewer rows and columns"
        )
    down, across = map(_averaging, spectrograms.shape[-2:], (rows, columns))
    return down @ spectrograms @ across.T


def _averaging(size: int, parts: int) -> np.ndarray:
    """(parts, size): the weight of each of `size` values in each of `parts` equal stretches."""
    edges, steps = np.linspace(0, size, parts + 1), np.arange(size)
    shared = np.minimum(edges[1:, None], steps + 1) - np.maximum(edges[:-1, None], steps)
    return shared.clip(min=0) * parts / size


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance of the Gaussians with the means and covariances of two sets, ≥ 0.

    a, b: features (items, dimensions). On those of InceptionV3 this is FID (Heusel et al., NeurIPS
    2017). |mean a - mean b|² + tr(A + B - 2 √(√A B √A)) for covariances A and B; the last trace is
    the sum of the singular values of √A √B, for which no covariance has to be inverted: sets may
    have fewer items than dimensions. But few items make it larger, of whatever sort they are: only
    values of sets of the same sizes can be compared.

    >>> import numpy as np
    >>> from samplevae_lib.metrics import frechet
    >>> a = np.random.default_rng(0).normal(size=(50, 3))
    >>> round(frechet(a, a + [3, 4, 0]), 6), round(frechet(a, a), 6)
    (25.0, 0.0)
    """
    a, b = _rows({"a": a, "b": b})
    # Of centred rows X = QR the covariance is RᵀR / (n - 1): R is its root, but for a rotation.
    roots = [np.linalg.qr(x - x.mean(0), mode="r") / np.sqrt(len(x) - 1) for x in (a, b)]
    common = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    spread = sum(np.square(root).sum() for root in roots)
    return float(max(0.0, np.square(a.mean(0) - b.mean(0)).sum() + spread - 2 * common))


def kernel_distance(a: np.ndarray, b: np.ndarray, *, bandwidth: float | None = None) -> float:
    """Kernel distance: 100 times the squared maximum mean discrepancy, Gaussian kernel.

    a, b: features (items, dimensions), `a` the real ones. bandwidth: of the kernel, in the unit of
    the features; the median distance of two items of `a` if None. This is KAD (Chung et al. 2025,
    "KAD: No More FAD!") with the factor 100 of its authors' code. At a given bandwidth it is
    unbiased (Gretton et al., JMLR 2012), so that small sets make it no larger on average: of sets
    that are drawn alike the mean is 0, and single values may lie below.

    >>> import numpy as np
    >>> from samplevae_lib.metrics import kernel_distance
    >>> a, b = np.random.default_rng(0).normal(size=(2, 400, 3))
    >>> round(kernel_distance(a, b), 1), round(kernel_distance(a, b + 1), 1)
    (0.3, 24.5)
    """
    a, b = _rows({"a": a, "b": b})
    within = [_squares(rows) for rows in (a, b)]
    if bandwidth is None:
        bandwidth = float(np.median(np.sqrt(within[0])))
    if not bandwidth > 0:
        raise ValueError(
            f"bandwidth is {bandwidth}: expected above 0; it is the median distance of two items "
            "of a unless it is given, and 0 where most of them are the same"
        )
    exponent = -0.5 / bandwidth**2
    blocks = (a[start : start + _BLOCK] for start in range(0, len(a), _BLOCK))
    between = sum(np.exp(exponent * euclidean_distances(x, b, squared=True)).sum() for x in blocks)
    alike = sum(np.exp(exponent * squares).mean() for squares in within)
    return float(_SCALE * (alike - 2 * between / (len(a) * len(b))))


def _squares(rows: np.ndarray) -> np.ndarray:
    """The squared distances of all pairs of rows, (n · (n - 1) / 2,)."""
    starts = range(0, len(rows), _BLOCK)
    blocks = (euclidean_distances(rows[s : s + _BLOCK], rows[s:], squared=True) for s in starts)
    return np.concatenate([block[~np.tri(*block.shape, dtype=bool)] for block in blocks])


def floor(
    metric: Callable[[np.ndarray, np.ndarray], float], real: np.ndarray, *,
    sizes: tuple[int, int] | None = None, repeats: int = 10, seed: int = 0,
) -> tuple[float, float]:  # fmt: skip
    """What a measure gives for real items against others: mean and deviation over random draws.

    metric: `frechet` or another function of two sets. real: (items, …).
    sizes: how many items the two sets have, none of them in both; halves of `real` if None. A value
        is read beside a floor of its own sizes, above all `frechet`, which grows as sets shrink.
    repeats: how often the sets are drawn anew, by `seed`.

    Sounds of one instrument come to lie in both sets. A test set of instruments that were never
    heard is further away; its own value is the floor then.
    """
    real = np.asarray(real)
    first, second = sizes or (len(real) // 2, len(real) // 2)
    if first + second > len(real):
        raise ValueError(f"sizes {first} + {second} are more than the {len(real)} real items")
    rng = np.random.default_rng(seed)
    drawn = (real[rng.permutation(len(real))] for _ in range(repeats))
    found = [metric(items[:first], items[first : first + second]) for items in drawn]
    return float(np.mean(found)), float(np.std(found))


def _rows(sets: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Each set as (items, values), double precision; refused if they can't be compared."""
    arrays = {name: np.asarray(given, np.float64) for name, given in sets.items()}
    shapes = " and ".join(f"{name} {array.shape}" for name, array in arrays.items())
    if any(array.ndim < 2 or len(array) < 2 or not array.size for array in arrays.values()):
        raise ValueError(f"{shapes}: expected (items, …) of at least two items in each")
    if len({array.shape[1:] for array in arrays.values()}) > 1:
        raise ValueError(f"{shapes}: expected items of one shape; only their number may differ")
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds NaN or infinite values: expected finite ones alone")
    return [array.reshape(len(array), -1) for array in arrays.values()]
