"""Sets of sounds against sets: closed forms of NDB, Fréchet and kernel distance; their floor."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats

from samplevae_lib.metrics import bin_shares, floor, frechet, kernel_distance, ndb, shrunk
from samplevae_lib.metrics.diversity import _compared

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(2, 12)


def clusters(*counts: int, seed: int = 0, dimensions: int = 3) -> np.ndarray:
    """So many items around each of as many corners, far from each other: (items, dimensions)."""
    rng = np.random.default_rng(seed)
    corners = 100 * np.array(list(product((0, 1), repeat=dimensions)))[: len(counts)]
    return np.repeat(corners, counts, axis=0) + rng.normal(size=(sum(counts), dimensions))


# Bins.


def test_bins_are_the_clusters_in_the_order_of_their_shares_in_train():
    found = bin_shares(clusters(20, 50, 30), clusters(40, 0, 10), clusters(2, 5, 3), bins=3)
    np.testing.assert_allclose(found.train, [0.5, 0.3, 0.2])
    np.testing.assert_allclose(found.others, [[0, 0.2, 0.8], [0.5, 0.3, 0.2]])
    assert found.differ.tolist() == [[True, False, True], [False, False, False]]
    pair = [[1 / 100 + 1 / 50], [1 / 100 + 1 / 10]]
    np.testing.assert_allclose(found.errors, np.sqrt(np.array([0.25, 0.21, 0.16]) * pair))


def test_a_set_does_not_differ_from_itself_and_does_where_a_cluster_is_missing():
    train = clusters(*[60] * 8)
    assert ndb(train, train, bins=8) == ndb(train, train, bins=40) == 0
    missing = clusters(*[60] * 7, 0, seed=1)
    assert ndb(train, missing, bins=8) == 1
    assert bin_shares(train, missing, bins=8).others.min() == 0


def test_about_a_twentieth_of_the_bins_differs_by_chance():
    rng = np.random.default_rng(0)
    train, others = rng.normal(size=(4000, 2)), rng.normal(size=(40, 400, 2))
    found = bin_shares(train, *others, bins=20)
    assert found.differ.mean() == pytest.approx(0.05, abs=0.02)
    strict = bin_shares(train, *others, bins=20, level=0.001)
    assert strict.differ.mean() < 0.01


def test_bins_around_few_items_of_many_values_are_their_own_and_the_floor_tells():
    few = np.random.default_rng(0).normal(size=(400, 200))
    assert floor(lambda a, b: ndb(a, b, bins=10), few[:, :2], repeats=3)[0] < 1
    assert floor(lambda a, b: ndb(a, b, bins=10), few, repeats=3)[0] > 3


@given(st.integers(1, 99), st.integers(0, 80))
def test_the_test_is_the_chi_squared_test_of_a_table_of_two_rows(of_train, of_other):
    counts = np.array([[of_train, 100 - of_train], [of_other, 80 - of_other]])
    p = stats.chi2_contingency(counts, correction=False).pvalue
    for level in (p * 0.999, min(1, p * 1.001)):
        assert _compared(counts, level).differ.tolist() == [[p < level] * 2]


def test_five_of_a_hundred_and_fifteen_of_a_hundred_differ_as_in_the_textbook():
    counts = np.array([[5, 95], [15, 85]])  # z = 0.1 / √(0.1 · 0.9 · 0.02) = 2.357, p = 0.0184
    assert not _compared(counts, 0.0184).differ.any()
    assert _compared(counts, 0.0185).differ.all()


def test_the_same_seed_gives_the_same_bins_and_spectrograms_are_as_good_as_their_values():
    rng = np.random.default_rng(0)
    train, other = rng.uniform(size=(300, 4, 5)), rng.uniform(size=(200, 4, 5)) ** 1.2
    first, again = (bin_shares(train, other, bins=30, seed=7) for _ in range(2))
    flat = bin_shares(train.reshape(300, 20), other.reshape(200, 20), bins=30, seed=7)
    for left, right, third in zip(first, again, flat, strict=True):
        np.testing.assert_array_equal(left, right)
        np.testing.assert_array_equal(left, third)
    assert not np.array_equal(bin_shares(train, bins=30, seed=8).train, first.train)
    assert ndb(train, other, bins=30, seed=7) == first.differ.sum()


def test_whitening_lets_a_value_of_little_spread_count_as_much_as_others():
    rng = np.random.default_rng(0)
    loud, quiet = rng.uniform(-100, 100, 600), np.repeat([-0.001, 0.001], 300)
    train = np.stack([loud, quiet, np.full(600, 3.0)], 1)  # the last value never changes
    moved = train[:300]
    assert bin_shares(train, moved, bins=4).others[0].tolist().count(0) == 2
    assert ndb(train, moved, bins=4) == 4
    assert ndb(train, moved, bins=4, whiten=False) == 0


@settings(max_examples=25, deadline=None)
@given(seeds, sizes, st.integers(2, 30), st.integers(2, 30))
def test_shares_add_up_to_one(seed, bins, items, others):
    rng = np.random.default_rng(seed)
    train, other = rng.normal(size=(items + bins, 2)), rng.normal(size=(others, 2))
    found = bin_shares(train, other, bins=bins, seed=seed)
    assert found.train.sum() == pytest.approx(1)
    assert found.others.sum() == pytest.approx(1)
    assert (np.diff(found.train) <= 0).all()
    assert 0 <= ndb(train, other, bins=bins, seed=seed) <= bins


# Smaller spectrograms.


def test_a_smaller_spectrogram_has_the_means_of_areas():
    given = np.arange(24.0).reshape(1, 4, 6)
    expected = given.reshape(1, 2, 2, 3, 2).mean((2, 4))
    np.testing.assert_allclose(shrunk(given, rows=2, columns=3), expected)
    np.testing.assert_allclose(shrunk(given[0], rows=4, columns=6), given[0])


def test_a_value_on_the_border_counts_in_both_areas_with_its_parts():
    made = shrunk(np.array([[1.0, 2.0, 4.0]]), rows=1, columns=2)
    np.testing.assert_allclose(made, [[(1 + 2 / 2) / 1.5, (2 / 2 + 4) / 1.5]])


@settings(max_examples=25)
@given(seeds, st.integers(1, 20), st.integers(1, 20))
def test_the_mean_of_a_spectrogram_stays_and_so_does_a_constant(seed, rows, columns):
    given = np.random.default_rng(seed).uniform(size=(2, 20, 25))
    made = shrunk(given, rows=rows, columns=columns)
    assert made.shape == (2, rows, columns)
    np.testing.assert_allclose(made.mean((1, 2)), given.mean((1, 2)))
    np.testing.assert_allclose(shrunk(np.ones((20, 25)), rows=rows, columns=columns), 1)


def test_spectrograms_of_the_thesis_come_to_512_values_each():
    assert shrunk(np.zeros((2, 128, 250))).shape == (2, 16, 32)
    for shape in ((15, 32), (16, 31), (512,)):
        with pytest.raises(ValueError, match=r"at least 16 × 32; ask for fewer"):
            shrunk(np.zeros(shape))


# Fréchet distance.


def normalised(items: int, dimensions: int, seed: int = 0) -> np.ndarray:
    """Items of mean 0 whose covariance is exactly the unit matrix."""
    rows = np.random.default_rng(seed).normal(size=(items, dimensions))
    return np.linalg.qr(rows - rows.mean(0))[0] * np.sqrt(items - 1)


def test_gaussians_along_the_axes_have_the_distance_of_their_means_and_deviations():
    means, deviations = np.array([[1.0, 2, 3], [0, 5, 3]]), np.array([[1.0, 2, 0.5], [3, 2, 0.1]])
    a, b = (normalised(40, 3, seed=s) * deviations[s] + means[s] for s in (0, 1))
    expected = np.square(means[0] - means[1]).sum() + np.square(deviations[0] - deviations[1]).sum()
    assert frechet(a, b) == pytest.approx(expected)


def test_a_shift_is_its_square_and_a_set_is_nowhere_but_where_it_is():
    a = np.random.default_rng(0).normal(size=(30, 4))
    assert frechet(a, a + np.array([1, 2, 0, 2])) == pytest.approx(9)
    assert frechet(a, a) == pytest.approx(0, abs=1e-12)
    assert frechet(a, a[::-1]) == pytest.approx(0, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(seeds, sizes, sizes, st.integers(1, 20))
def test_it_is_what_the_eigenvalues_say_symmetric_and_never_negative(seed, items, others, width):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(width, width))
    a, b = rng.normal(size=(items, width)), rng.normal(size=(others, width)) @ mixing
    one, other = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    values, vectors = np.linalg.eigh(one)
    root = vectors * np.sqrt(values.clip(min=0)) @ vectors.T
    common = np.sqrt(np.linalg.eigvalsh(root @ other @ root).clip(min=0)).sum()
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(one + other) - 2 * common
    size = np.trace(one + other) + 1
    assert frechet(a, b) == pytest.approx(expected, abs=1e-6 * size)
    assert frechet(b, a) == pytest.approx(frechet(a, b), abs=1e-10 * size)
    assert frechet(a, b) >= 0


def test_it_agrees_with_the_square_root_of_a_matrix_as_published():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(60, 8)), rng.normal(size=(80, 8)) @ rng.normal(size=(8, 8)) + 1
    one, other = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = linalg.sqrtm(one @ other).real
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(one + other - 2 * root)
    assert frechet(a, b) == pytest.approx(expected)


def test_fewer_items_than_dimensions_have_a_distance():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 300)), rng.normal(size=(7, 300))
    # Spaces of few items lie nearly at right angles: their common trace is small.
    assert 0.5 * 600 < frechet(a, b) < 800
    assert frechet(a, a + 0.1) == pytest.approx(3)


# Kernel distance.


def direct(a: np.ndarray, b: np.ndarray, width: float) -> float:
    def kernel(x, y):
        return np.exp(-np.sum((x - y) ** 2) / (2 * width**2))

    def within(rows):
        pairs = [(i, j) for i in range(len(rows)) for j in range(len(rows)) if i != j]
        return np.mean([kernel(rows[i], rows[j]) for i, j in pairs])

    return 100 * (within(a) + within(b) - 2 * np.mean([kernel(x, y) for x in a for y in b]))


@settings(max_examples=30, deadline=None)
@given(seeds, sizes, sizes, st.integers(1, 5))
def test_it_is_the_double_sum_over_all_pairs_but_an_items_with_itself(seed, items, others, width):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(items, width)), rng.normal(size=(others, width)) + 0.5
    assert kernel_distance(a, b, bandwidth=0.7) == pytest.approx(direct(a, b, 0.7), abs=1e-9)
    pairs = [np.linalg.norm(a[i] - a[j]) for i in range(items) for j in range(i)]
    assert kernel_distance(a, b) == pytest.approx(direct(a, b, np.median(pairs)), abs=1e-9)


def test_two_and_two_items_by_hand():
    a, b = np.array([[0.0], [1.0]]), np.array([[0.0], [3.0]])
    one, two, three = np.exp(-np.array([1, 4, 9]) / 2)
    expected = 100 * (one + three - 2 * (1 + three + one + two) / 4)
    assert kernel_distance(a, b) == pytest.approx(expected)  # the median distance in a is 1


def test_it_does_not_depend_on_the_blocks_in_which_it_is_computed(monkeypatch):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(50, 3)), rng.normal(size=(33, 3)) + 0.3
    whole = kernel_distance(a, b)
    monkeypatch.setattr("samplevae_lib.metrics.diversity._BLOCK", 7)
    assert kernel_distance(a, b) == pytest.approx(whole)


def test_of_sets_that_are_drawn_alike_the_mean_is_zero_however_small_they_are():
    rng = np.random.default_rng(0)
    found = [kernel_distance(*rng.normal(size=(2, 6, 2)), bandwidth=1.0) for _ in range(1000)]
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found)) < 4 * error < 2
    assert min(found) < 0


def test_it_comes_to_the_closed_form_of_two_gaussians():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2000, 2)), rng.normal(size=(2000, 2))
    b[:, 0] += 1.0
    # E k(x, y) of a kernel of variance 1 and a difference of variance 2: (1/3) exp(-d² / 6).
    expected = 100 * 2 / 3 * (1 - np.exp(-1 / 6))
    assert kernel_distance(a, b, bandwidth=1.0) == pytest.approx(expected, rel=0.1)


# The floor.


def test_a_floor_is_real_against_real_and_the_seed_decides_the_draws():
    real = np.random.default_rng(0).normal(size=(200, 3))
    assert floor(frechet, real, seed=1) == floor(frechet, real, seed=1)
    assert floor(frechet, real, seed=1) != floor(frechet, real, seed=2)
    mean, deviation = floor(lambda a, b: float(len(a) * 1000 + len(b)), real[:51], repeats=3)
    assert (mean, deviation) == (25025, 0)


def test_no_item_is_in_both_sets_and_sizes_are_as_asked():
    seen = []
    floor(lambda a, b: seen.append((a, b)) or 0.0, np.arange(10), sizes=(7, 3), repeats=4)
    for a, b in seen:
        assert (len(a), len(b)) == (7, 3)
        assert sorted([*a, *b]) == list(range(10))
    with pytest.raises(ValueError, match=r"sizes 7 \+ 4 are more than the 10 real items"):
        floor(frechet, np.arange(10), sizes=(7, 4))


def test_few_items_raise_the_floor_of_frechet_and_not_of_the_kernel_distance():
    real = np.random.default_rng(0).normal(size=(1000, 8))
    few, many = (floor(frechet, real, sizes=(n, n))[0] for n in (40, 400))
    assert few > 5 * many
    for n in (40, 400):
        mean, deviation = floor(kernel_distance, real, sizes=(n, n))
        assert abs(mean) < 2 * deviation


def test_the_floor_of_ndb_is_what_differs_by_chance():
    real = np.random.default_rng(0).normal(size=(600, 2))
    assert floor(lambda a, b: ndb(a, b, bins=20), real, repeats=5)[0] < 4


# What can't be compared.


@pytest.mark.parametrize("metric", [frechet, kernel_distance, ndb])
@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros((9, 2)), np.zeros((9, 3)), r"\(9, 2\) and .* \(9, 3\): expected items of one"),
        (np.zeros(9), np.zeros((9, 3)), r"\(9,\) and .* expected \(items, …\) of at least two"),
        (np.zeros((9, 3)), np.zeros((1, 3)), r"\(1, 3\): expected .* at least two items in each"),
        (np.zeros((9, 0)), np.zeros((9, 0)), r"\(9, 0\) and"),
        (np.zeros((9, 1)), np.full((9, 1), np.nan), "(b|other 1) holds NaN or infinite values"),
        (np.full((9, 1), np.inf), np.zeros((9, 1)), "(a|train) holds NaN or infinite values"),
    ],
)
def test_sets_that_cannot_be_compared_are_refused(metric, a, b, message):
    with pytest.raises(ValueError, match=message):
        metric(a, b)


@pytest.mark.parametrize("bins", [1, 10])
def test_there_are_at_least_two_bins_and_no_more_than_items(bins):
    with pytest.raises(ValueError, match=f"bins is {bins}: expected 2 … 9, the number of items"):
        ndb(np.zeros((9, 2)), np.zeros((9, 2)), bins=bins)


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_a_bin_needs_an_item_of_its_own():
    train = np.repeat(np.eye(3), 5, axis=0)
    with pytest.raises(ValueError, match="train fills 3 of 4 bins: its items are alike"):
        ndb(train, train, bins=4)


@pytest.mark.parametrize("bandwidth", [None, 0.0, -1.0, float("nan")])
def test_a_bandwidth_is_above_zero(bandwidth):
    with pytest.raises(ValueError, match=r"bandwidth is (0\.0|-1\.0|nan): expected above 0"):
        kernel_distance(np.ones((9, 2)), np.zeros((9, 2)), bandwidth=bandwidth)
