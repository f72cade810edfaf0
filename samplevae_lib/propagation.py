"""Labels passed on over a neighbour graph (thesis M, chapter 8), and what that graph knows.

Points (items, dimensions) are those of a map or the features themselves; near is what is near by
Euclidean distance. Few dimensions are searched by a KD-tree, as in the thesis; in many of them it
is faster to go through all distances.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.neighbors import NearestNeighbors


def vote(
    points: np.ndarray, targets: np.ndarray, known: np.ndarray, *, classes: int, k: int,
    prior: np.ndarray | None = None, weight: float = 1.0,
) -> np.ndarray:  # fmt: skip
    """What the k nearest neighbours say of each unlabelled item: (unlabelled, classes).

    points: (items, dimensions). targets: (items,), indices of `classes` classes; never read where
    `known`, (items,) of bool, is False.
    prior: (items, classes), a classifier's probabilities; only read where `known` is False.

    Without a prior, the labels of the k nearest labelled items are averaged (section 8.6, Table
    8.1). With one, the k nearest of all other items are asked, and those without a label answer
    with their prior, times `weight` (Table 8.2). Rows add up to 1; where nobody has an answer, all
    classes are equally likely. The thesis applies a softmax to the sums instead, which leaves the
    likeliest class as it is.

    >>> import numpy as np
    >>> points = np.array([[0.0], [1.0], [2.0], [9.0], [1.2]])
    >>> known = np.array([True, True, True, True, False])
    >>> vote(points, np.array([0, 0, 1, 1, 0]), known, classes=2, k=2)
    array([[0.5, 0.5]])
    """
    points, targets = _checked(points, targets)
    known = np.asarray(known)
    evidence = _evidence(targets, known, classes, prior)
    if not 0 <= weight < np.inf:
        raise ValueError(f"weight is {weight}: expected 0 or more, and finite")
    if known.all():
        return np.zeros((0, classes))
    if prior is None:
        _, near = _nearest(points[known], k, points[~known])
        return _shares(evidence[known][near].sum(1))
    evidence[~known] *= weight
    return _shares(evidence[_nearest(points, k)[1][~known]].sum(1))


def spread(
    points: np.ndarray, targets: np.ndarray, known: np.ndarray, *, classes: int, k: int = 10,
    alpha: float = 0.9, iterations: int = 30, prior: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Label spreading over the graph of the k nearest neighbours: (items, classes).

    points, targets, known, classes, prior: as in `vote`. In each iteration an item takes the share
    `alpha` of its answer from its neighbours and keeps the rest for its own label or prior. So many
    steps as there are iterations does a label reach; beyond, all classes are equally likely. Rows
    add up to 1. Zhou et al., "Learning with local and global consistency", NIPS 2003.

    >>> import numpy as np
    >>> points = np.array([[0.0], [1.0], [2.0], [7.0], [8.0], [9.0]])
    >>> known = np.array([True, False, False, False, False, True])
    >>> spread(points, np.array([0, 0, 0, 0, 0, 1]), known, classes=2, k=2).argmax(1)
    array([0, 0, 0, 1, 1, 1])
    """
    points, targets = _checked(points, targets)
    evidence = answers = _evidence(targets, np.asarray(known), classes, prior)
    if not 0 <= alpha < 1:
        raise ValueError(f"alpha is {alpha}: expected 0 or more, and less than 1")
    graph = ties(points, k)
    for _ in range(iterations):
        answers = alpha * (graph @ answers) + (1 - alpha) * evidence
    return _shares(answers)


def ties(points: np.ndarray, k: int) -> sparse.csr_array:
    """How strongly neighbours are tied, the matrix of `spread`: (items, items), symmetric.

    points: (items, dimensions). k: of how many neighbours; an item is tied to its own k nearest,
    and to those that have it among theirs. D^-1/2 W D^-1/2 of the graph W with degrees D, in which
    a tie weighs exp(−(distance / scale)²), the mean of both directions; an item's scale is the
    distance to its k-th neighbour. (With the product of both items' scales, as in Zelnik-Manor and
    Perona, NIPS 2004, an item beside a dense heap loses its ties.)

    >>> import numpy as np
    >>> ties(np.array([[0.0], [1.0], [8.0], [9.0]]), 1).toarray().round(3)
    array([[0., 1., 0., 0.],
           [1., 0., 0., 0.],
           [0., 0., 0., 1.],
           [0., 0., 1., 0.]])
    """
    distances, near = _nearest(points, k)
    scale = np.where(distances[:, -1:] > 0, distances[:, -1:], 1)
    weights = np.exp(-np.square(distances / scale)).ravel()
    starts = np.arange(0, near.size + 1, k)
    one_way = sparse.csr_array((weights, near.ravel(), starts), shape=(len(points), len(points)))
    graph = (one_way + one_way.T) / 2
    root = sparse.diags_array(1 / np.sqrt(graph.sum(1)))
    return root @ graph @ root


def labelled_mask(targets: np.ndarray, share: float, *, seed: int) -> np.ndarray:
    """Draw what is labelled: (items,), True for a share of each class, for one item at least.

    targets: (items,). share: between 0 and 1; with one seed, a larger share keeps what a smaller
    one has drawn.
    """
    if not 0 < share < 1:
        raise ValueError(f"share is {share}: expected more than 0 and less than 1")
    targets, rng = np.asarray(targets), np.random.default_rng(seed)
    known = np.zeros(len(targets), dtype=bool)
    for target in np.unique(targets):
        members = rng.permutation(np.flatnonzero(targets == target))
        known[members[: max(1, round(share * len(members)))]] = True
    return known


def coverage_curve(probabilities: np.ndarray, correct: np.ndarray) -> pd.DataFrame:
    """How many of the surest answers are right: a row for each confidence, the surest first.

    probabilities: (items, classes); an item's largest is its confidence. correct: (items,), bool.
    "coverage": share of items at least so sure. "accuracy": share of these that are right.
    """
    probabilities, correct = _checked(probabilities, correct, "probabilities and correct")
    _, rank = np.unique(-probabilities.max(1), return_inverse=True)
    covered, right = np.bincount(rank).cumsum(), np.bincount(rank, weights=correct).cumsum()
    return pd.DataFrame({"coverage": covered / len(correct), "accuracy": right / covered})


def neighbour_hit(points: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Share of each item's k nearest other items that have its label: (items,), 0 … 1."""
    points, labels = _checked(points, labels)
    return (labels[_nearest(points, k)[1]] == labels[:, None]).mean(1)


def neighbour_table(points: np.ndarray, labels: np.ndarray, k: int) -> pd.DataFrame:
    """What lies around each label: share of every label among the k nearest others of its items.

    A row for each label, which adds up to 1, and a column for each label of the neighbours.

    >>> import numpy as np
    >>> points = np.array([[0.0], [0.1], [0.3], [5.0]])
    >>> neighbour_table(points, np.array(["hat", "hat", "tom", "tom"]), 2)
          hat   tom
    hat  0.50  0.50
    tom  0.75  0.25
    """
    points, labels = _checked(points, labels)
    near, names = labels[_nearest(points, k)[1]], np.unique(labels)
    shares = [[(near[labels == own] == other).mean() for other in names] for own in names]
    return pd.DataFrame(shares, index=names, columns=names)


def _nearest(pool: np.ndarray, k: int, asking: np.ndarray | None = None) -> tuple:
    """Distances and indices of the k items of a pool that are nearest to each of `asking`.

    Without `asking`, of the k others that are nearest to each item of the pool itself.
    """
    there, kind = (len(pool) - 1, "other") if asking is None else (len(pool), "labelled")
    if not 1 <= k <= there:
        raise ValueError(f"k is {k} and there are {there} {kind} items: expected 1 ≤ k ≤ {there}")
    return NearestNeighbors(n_neighbors=k).fit(pool).kneighbors(asking)


def _shares(sums: np.ndarray) -> np.ndarray:
    """Rows that add up to 1; a row of zeros becomes equal shares."""
    total = sums.sum(1, keepdims=True)
    return np.divide(sums, total, out=np.full(sums.shape, 1 / sums.shape[1]), where=total > 0)


def _evidence(
    targets: np.ndarray, known: np.ndarray, classes: int, prior: np.ndarray | None
) -> np.ndarray:
    """What is known at first, (items, classes): labels as 1 among 0, elsewhere the prior or 0."""
    evidence = np.zeros((len(targets), classes))
    if known.shape != targets.shape or known.dtype != bool or not known.any():
        raise ValueError(
            f"known {known.shape} of {known.dtype}, {np.count_nonzero(known)} of them True: "
            f"expected {targets.shape} of bool, at least one of them True"
        )
    labels = targets[known]
    if labels.dtype.kind not in "iu" or not np.isin(labels, np.arange(classes)).all():
        raise ValueError(f"targets {np.unique(labels)}: expected indices of {classes} classes")
    evidence[known, labels] = 1
    if prior is None:
        return evidence
    if np.shape(prior) != evidence.shape:
        raise ValueError(f"prior {np.shape(prior)}: expected (items, classes), {evidence.shape}")
    evidence[~known] = np.asarray(prior)[~known]
    if not (np.isfinite(evidence).all() and evidence.min() >= 0):
        raise ValueError("prior of unlabelled items: expected finite values of 0 or more")
    return evidence


def _checked(
    rows: np.ndarray, column: np.ndarray, names: str = "points and labels"
) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays: (items, values), all of them finite, and (items,)."""
    rows, column = np.asarray(rows), np.asarray(column)
    if rows.ndim != 2 or column.shape != rows.shape[:1] or not np.isfinite(rows).all():
        raise ValueError(
            f"{names} are {rows.shape} and {column.shape}: expected (items, values), all finite, "
            "and (items,)"
        )
    return rows, column
