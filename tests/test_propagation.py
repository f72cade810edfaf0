"""Labels over a neighbour graph: closed forms, a dense solution, chance, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.semi_supervised import LabelSpreading

from samplevae_lib import datasets, spectral
from samplevae_lib.propagation import (
    coverage_curve,
    labelled_mask,
    neighbour_hit,
    neighbour_table,
    spread,
    vote,
)

LINE = np.array([[0.0], [1.0], [2.1], [3.3], [1.1]])
LABELS = np.array([0, 1, 1, 0, 0])
KNOWN = np.array([True, True, True, True, False])


CENTRES = np.array([[0.0, 0], [20, 0], [0, 20], [50, 50]])


def blobs(n: int) -> tuple[np.ndarray, np.ndarray]:
    """n points in four heaps that lie far apart, and the heap of each."""
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 4, n)
    return rng.normal(size=(n, 2)) + CENTRES[targets], targets


def scattered(seed: int, n: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Points without order, their classes of three, which are labelled, and a prior."""
    rng = np.random.default_rng(seed)
    known = labelled_mask(targets := rng.integers(0, 3, n), 0.5, seed=seed)
    return rng.normal(size=(n, 2)), targets, known, rng.dirichlet(np.ones(3), n)


# Votes.


@pytest.mark.parametrize(("k", "share"), [(1, [0, 1]), (2, [0, 1]), (3, [1 / 3, 2 / 3])])
def test_a_vote_is_the_mean_of_the_nearest_labels(k, share):
    assert vote(LINE, LABELS, KNOWN, classes=2, k=k) == pytest.approx(np.array([share]))


@pytest.mark.parametrize(
    ("weight", "shares"),
    [(1.0, [0.15, 0.85]), (2.0, [0.2, 0.8]), (0.0, [0, 1])],
)
def test_unlabelled_neighbours_answer_with_their_prior_times_its_weight(weight, shares):
    known = np.array([True, True, False, True, False])
    prior = np.array([[np.nan, -1], [9, 9], [0.3, 0.7], [np.inf, 0], [1, 0]])
    asked = vote(LINE, LABELS, known, classes=2, k=2, prior=prior, weight=weight)
    assert asked[1] == pytest.approx(np.array(shares))


def test_where_nobody_has_an_answer_all_classes_are_equally_likely():
    known = np.array([True, False, False, False, False])
    asked = vote(LINE, LABELS, known, classes=4, k=1, prior=np.zeros((5, 4)))
    assert asked[1].tolist() == [0.25] * 4


def test_a_vote_without_unlabelled_items_is_empty():
    assert vote(LINE, LABELS, np.ones(5, bool), classes=2, k=1).shape == (0, 2)


@pytest.mark.parametrize("way", [vote, spread])
@pytest.mark.parametrize("with_prior", [False, True])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_answers_are_shares_and_follow_the_items_whatever_their_order(way, with_prior, seed):
    points, targets, known, prior = scattered(seed)
    order = np.random.default_rng(seed + 1).permutation(len(points))
    options = [{"prior": prior[by]} if with_prior else {} for by in (slice(None), order)]
    asked = way(points, targets, known, classes=3, k=4, **options[0])
    other = way(points[order], targets[order], known[order], classes=3, k=4, **options[1])
    assert asked.sum(1) == pytest.approx(np.ones(len(asked)))
    assert asked.min() >= 0
    if way is vote:
        whole = np.zeros((len(points), 3))
        whole[~known] = asked
        asked, order = whole, order[~known[order]]
    assert other == pytest.approx(asked[order])


@pytest.mark.parametrize("way", [vote, spread])
@pytest.mark.parametrize("with_prior", [False, True])
def test_what_is_not_labelled_is_never_read(way, with_prior):
    points, targets, known, prior = scattered(0)
    hidden, prior = np.where(known, targets, -77), prior if with_prior else None
    open_, closed = (way(points, t, known, classes=3, k=5, prior=prior) for t in (targets, hidden))
    assert np.array_equal(open_, closed)


@pytest.mark.parametrize("way", [vote, spread])
def test_heaps_far_apart_are_told_apart_by_a_few_labels(way):
    points, targets = blobs(400)
    known = labelled_mask(targets, 0.1, seed=0)
    found = way(points, targets, known, classes=4, k=5).argmax(1)
    assert np.array_equal(found, targets[~known] if way is vote else targets)


def test_labels_out_of_step_with_their_points_are_passed_on_by_chance():
    points, targets = blobs(4000)
    shuffled = np.random.default_rng(0).permutation(targets)
    known = labelled_mask(shuffled, 0.5, seed=0)
    found = vote(points, shuffled, known, classes=4, k=6).argmax(1)
    assert (found == shuffled[~known]).mean() == pytest.approx(0.25, abs=0.03)


# Spreading.


def dense_solution(points, known, targets, *, classes, k, alpha):
    """(1 − α)(I − αS)⁻¹Y, with S built from all distances."""
    n = len(points)
    distances = np.linalg.norm(points[:, None] - points, axis=-1)
    graph = np.zeros((n, n))
    for item in range(n):
        nearest = [other for other in np.argsort(distances[item]) if other != item][:k]
        scale = distances[item, nearest[-1]]
        graph[item, nearest] = np.exp(-((distances[item, nearest] / scale) ** 2))
    graph = (graph + graph.T) / 2
    degrees = graph.sum(1)
    system = np.eye(n) - alpha * graph / np.sqrt(degrees[:, None] * degrees)
    labels = np.eye(classes)[targets] * known[:, None]
    solved = (1 - alpha) * np.linalg.solve(system, labels)
    return solved / solved.sum(1, keepdims=True)


@pytest.mark.parametrize(("k", "alpha"), [(4, 0.5), (6, 0.9), (10, 0.99)])
def test_spreading_goes_to_the_dense_solution(k, alpha):
    points, targets, known, _ = scattered(3)
    expected = dense_solution(points, known, targets, classes=3, k=k, alpha=alpha)
    found = spread(points, targets, known, classes=3, k=k, alpha=alpha, iterations=3000)
    assert found == pytest.approx(expected, abs=1e-9)


def test_spreading_finds_the_classes_that_scikit_learn_finds():
    points, targets = blobs(200)
    known = labelled_mask(targets, 0.05, seed=0)
    reference = LabelSpreading(kernel="knn", n_neighbors=10, alpha=0.9, max_iter=1000)
    reference.fit(points, np.where(known, targets, -1))
    assert np.array_equal(
        spread(points, targets, known, classes=4).argmax(1), reference.transduction_
    )


def test_two_pairs_are_solved_by_hand_and_a_pair_without_a_label_knows_nothing():
    # In a pair S is [[0, 1], [1, 0]]: from a label and the other class as a prior comes α to 1.
    points = np.array([[0.0], [1.0], [70.0], [72.0]])
    known = np.array([True, False, False, False])
    prior = np.array([[0, 0], [0, 1.0], [0, 0], [0, 0]])
    found = spread(
        points, np.zeros(4, int), known, classes=2, k=1, alpha=0.8, iterations=400, prior=prior
    )
    mixed = np.array([1, 0.8]) / 1.8
    assert found == pytest.approx(np.array([mixed, mixed[::-1], [0.5, 0.5], [0.5, 0.5]]))


def test_a_label_reaches_one_step_further_in_each_iteration():
    points, known = np.arange(10.0)[:, None], np.arange(10) == 0
    for steps in (0, 1, 3):
        found = spread(points, np.zeros(10, int), known, classes=2, k=2, iterations=steps)
        unreached = (found == 0.5).all(1)
        assert unreached.sum() == 10 - 1 - {0: 0, 1: 2, 3: 4}[steps]


def test_an_item_beside_a_heap_of_twins_keeps_its_ties():
    points = np.array([*np.zeros((12, 2)), [5.0, 0.0]])
    known = np.arange(13) < 12
    found = spread(points, np.ones(13, int), known, classes=2, k=3)
    assert found[-1].tolist() == [0, 1]


def test_forty_four_thousand_sounds_are_no_burden():
    points, targets = blobs(44_000)
    known = labelled_mask(targets, 0.1, seed=0)
    assert (spread(points, targets, known, classes=4).argmax(1) == targets).all()


# What is labelled, and how sure the answers are.


@given(share=st.floats(0.01, 0.99), seed=st.integers(0, 1000))
def test_a_share_of_each_class_is_labelled_and_a_larger_one_keeps_the_smaller(share, seed):
    targets = np.repeat([0, 1, 2], [1, 10, 200])
    known, fewer = (labelled_mask(targets, part, seed=seed) for part in (share, share / 2))
    counts = np.bincount(targets, weights=known)
    assert counts.tolist() == [max(1, round(share * size)) for size in (1, 10, 200)]
    assert known[fewer].all()
    assert np.array_equal(known, labelled_mask(targets, share, seed=seed))


def test_another_seed_labels_other_items():
    targets = np.repeat([0, 1], 50)
    assert not np.array_equal(*(labelled_mask(targets, 0.5, seed=seed) for seed in (0, 1)))


def test_the_surest_come_first_and_equally_sure_ones_together():
    sure = np.array([[0.6, 0.4], [1, 0], [0.4, 0.6], [0.2, 0.8], [0.6, 0.4]])
    curve = coverage_curve(sure, np.array([True, True, False, False, True]))
    assert curve["coverage"].tolist() == pytest.approx([0.2, 0.4, 1.0])
    assert curve["accuracy"].tolist() == pytest.approx([1, 0.5, 0.6])


# What lies around.


def test_the_share_of_like_neighbours_leaves_out_the_item_itself():
    points = np.array([[0.0], [0.1], [0.3], [5.0]])
    labels = np.array(["hat", "hat", "tom", "tom"])
    assert neighbour_hit(points, labels, 2).tolist() == [0.5, 0.5, 0, 0.5]
    assert neighbour_hit(np.zeros((3, 2)), np.arange(3), 2).tolist() == [0, 0, 0]


def test_a_table_of_neighbours_has_rows_that_add_up_to_one_and_the_hits_on_its_diagonal():
    points, targets, *_ = scattered(1)
    names = np.array(["hat", "kick", "tom"])
    table = neighbour_table(points, names[targets], 5)
    assert table.index.tolist() == table.columns.tolist() == names.tolist()
    assert table.sum(axis=1).tolist() == pytest.approx([1, 1, 1])
    hits = neighbour_hit(points, targets, 5)
    assert np.diag(table) == pytest.approx([hits[targets == own].mean() for own in range(3)])


# What is refused.


@pytest.mark.parametrize("way", [vote, spread])
@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"points": LINE[:4]}, r"\(4, 1\) and \(5,\)"),
        ({"points": np.where(LINE > 3, np.nan, LINE)}, "all finite"),
        ({"known": KNOWN.astype(int)}, "of int64.* expected .* of bool"),
        ({"known": KNOWN[:3]}, r"known \(3,\)"),
        ({"known": np.zeros(5, bool)}, "0 of them True"),
        ({"targets": LABELS + 1}, r"\[1 2\]: expected indices of 2 classes"),
        ({"targets": LABELS / 2}, "expected indices of 2 classes"),
        ({"prior": np.ones((5, 3))}, r"prior \(5, 3\): expected \(items, classes\), \(5, 2\)"),
        ({"prior": np.full((5, 2), np.nan)}, "prior of unlabelled items"),
        ({"prior": np.full((5, 2), -0.1)}, "prior of unlabelled items"),
        ({"k": 0}, "k is 0"),
        ({"k": 5, "prior": np.ones((5, 2))}, "k is 5 and there are 4 other items"),
    ],
)
def test_what_cannot_be_passed_on_says_why(way, given_, message):
    whole = {"points": LINE, "targets": LABELS, "known": KNOWN, "classes": 2, "k": 2} | given_
    with pytest.raises(ValueError, match=message):
        way(whole.pop("points"), whole.pop("targets"), whole.pop("known"), **whole)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: vote(LINE, LABELS, KNOWN, classes=2, k=5), "k is 5 and there are 4 labelled"),
        (lambda: vote(LINE, LABELS, KNOWN, classes=2, k=1, weight=-1), "weight is -1"),
        (lambda: spread(LINE, LABELS, KNOWN, classes=2, k=1, alpha=1), "alpha is 1"),
        (lambda: labelled_mask(LABELS, 0, seed=0), "share is 0"),
        (lambda: labelled_mask(LABELS, 1.0, seed=0), "share is 1.0"),
        (lambda: coverage_curve(np.ones((2, 3)), [True]), r"correct are \(2, 3\) and \(1,\)"),
        (lambda: neighbour_hit(LINE, LABELS, 5), "k is 5 and there are 4 other"),
        (lambda: neighbour_table(LINE, LABELS[:2], 1), r"\(5, 1\) and \(2,\)"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.slow
def test_real_drums_take_their_labels_from_a_map(real):
    from samplevae_lib.sample_map import SampleMap

    ds = datasets.load("drums", data="real")
    spec = spectral.Spectrogram(sample_rate=ds.sample_rate, n_mels=64)
    level = spectral.decibels(spec.forward(np.array(ds.audio))).level
    points = SampleMap.fit(level.reshape(len(ds), -1)).points
    known = labelled_mask(ds.targets, 0.5, seed=0)
    found = vote(points, ds.targets, known, classes=8, k=6).argmax(1)
    assert 0.7 < (found == ds.targets[~known]).mean() < 0.8
