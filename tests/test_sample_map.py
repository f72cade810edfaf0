"""Maps of sounds: PCA by hand, like beside like, new sounds and the way back, what is refused."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_limits

from samplevae_lib.propagation import neighbour_hit
from samplevae_lib.sample_map import SampleMap

QUICK = ("pca", "tsne")
METHODS = [*QUICK, pytest.param("umap", marks=pytest.mark.slow)]  # compiles for ten seconds
# Without compiling, UMAP draws few sounds within a second.
UNCOMPILED = """
import sys
import numpy as np
from samplevae_lib.sample_map import SampleMap

vectors = np.random.default_rng(0).normal(size=(6, 5))
one, same, other, space = (
    SampleMap.fit(vectors, **options)
    for options in ({}, {"seed": 0}, {"seed": 1}, {"dimensions": 3, "neighbours": 4})
)
np.savez(
    sys.argv[1], one=one.points, same=same.points, other=other.points, space=space.points,
    added=space.add(vectors[:2] + 0.1), least=SampleMap.fit(vectors[:4]).points,
    short=SampleMap.fit(vectors, iterations=3).points, back=one.inverse(one.points[:3], how="own"),
)
"""
# A sound 0, one at a distance of 1 and one at a distance of 4 from where it is asked at.
LINE = np.array([[0.0, 0], [3, 0], [5, 0], [0, 9]], np.float32)


def heaps(n: int = 40, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three heaps of n vectors each, far apart in ten dimensions, and the heap of each."""
    labels = np.repeat(np.arange(3), n)
    rng = np.random.default_rng(seed)
    return rng.normal(size=(3 * n, 10)) + 30 * np.eye(3, 10)[labels], labels


def test_pca_is_the_projection_on_the_first_right_singular_vectors():
    vectors, _ = heaps()
    drawn = SampleMap.fit(vectors, method="pca", dimensions=3)
    around = vectors - vectors.mean(0)
    expected = around @ np.linalg.svd(around)[2][:3].T
    assert np.abs(drawn.points) == pytest.approx(np.abs(expected), abs=1e-3)
    assert drawn.add(vectors[5:9]) == pytest.approx(drawn.points[5:9], abs=1e-4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_like_lies_by_like_and_new_sounds_beside_theirs(method, dimensions):
    vectors, labels = heaps()
    drawn = SampleMap.fit(vectors, method=method, dimensions=dimensions)
    assert drawn.points.shape == (120, dimensions)
    assert drawn.points.dtype == np.float32
    assert neighbour_hit(drawn.points, labels, 10).min() == 1
    before, (fresh, of_fresh) = drawn.points.copy(), heaps(4, seed=1)
    added = drawn.add(fresh)
    assert added.shape == (12, dimensions)
    assert added.dtype == np.float32
    centres = np.stack([before[labels == own].mean(0) for own in range(3)])
    nearest = np.linalg.norm(added[:, None] - centres, axis=-1).argmin(1)
    assert np.array_equal(nearest, of_fresh)
    assert np.array_equal(drawn.points, before)
    assert np.array_equal(drawn.add(fresh), added)


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_draws_one_map_whatever_the_number_of_threads(method):
    vectors = np.random.default_rng(0).normal(size=(100, 5000))
    with threadpool_limits(1):
        alone = SampleMap.fit(vectors, method=method, seed=3).points
    with threadpool_limits(2):
        assert np.array_equal(SampleMap.fit(vectors, method=method, seed=3).points, alone)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("count", "dimensions"), [(4, 2), (5, 3), (7, 1), (16, 2)])
def test_few_sounds_have_a_map_too(method, count, dimensions):
    vectors = np.random.default_rng(0).normal(size=(count, 6))
    drawn = SampleMap.fit(vectors, method=method, dimensions=dimensions)
    assert drawn.points.shape == (count, dimensions)
    assert np.isfinite(drawn.points).all()
    assert np.isfinite(drawn.add(vectors[:1] + 0.1)).all()


def test_a_sound_is_added_at_the_weighted_mean_of_its_ten_nearest():
    vectors, _ = heaps(15)
    drawn = SampleMap.fit(vectors, method="tsne", neighbours=4)
    assert drawn.add(vectors) == pytest.approx(drawn.points, abs=1e-3)
    fresh = vectors[:1] + 0.3
    distances = np.linalg.norm(vectors - fresh, axis=1)
    *nearest, eleventh = distances.argsort()[:11]
    shares = (distances[eleventh] - distances[nearest]) / distances[nearest]
    expected = np.average(drawn.points[nearest], axis=0, weights=shares)
    assert drawn.add(fresh)[0] == pytest.approx(expected, abs=1e-3)


def test_umap_draws_a_seed_alike_shrinks_its_neighbourhood_and_warns_of_nothing(tmp_path):
    saved = tmp_path / "maps.npz"
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-W", "error::RuntimeWarning",
         "-c", UNCOMPILED, str(saved)],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    maps = np.load(saved)
    assert np.array_equal(maps["one"], maps["same"])
    assert not np.array_equal(maps["one"], maps["other"])
    assert not np.array_equal(maps["one"], maps["short"])
    shapes = {name: maps[name].shape for name in ("one", "space", "added", "least", "back")}
    assert shapes == {
        "one": (6, 2), "space": (6, 3), "added": (2, 3), "least": (4, 2), "back": (3, 5),
    }  # fmt: skip
    assert all(np.isfinite(maps[name]).all() and maps[name].dtype == np.float32 for name in maps)


@pytest.mark.parametrize(
    ("vectors", "options", "message"),
    [
        (np.zeros((9, 5)), {"method": "som"}, "one of pca, tsne, umap, not 'som'"),
        (np.zeros((3, 5)), {}, r"vectors \(3, 5\) in 2 dimensions: .* at least 4 sounds"),
        (np.zeros((4, 5)), {"dimensions": 3}, "at least 5 sounds"),
        (np.zeros((9, 5)), {"dimensions": 6}, "1 … width dimensions"),
        (np.zeros((9, 5)), {"dimensions": 0}, "1 … width dimensions"),
        (np.zeros(9), {}, r"vectors \(9,\): expected \(sounds, width\)"),
        (np.full((9, 5), np.nan), {}, "all values finite"),
        (np.full((9, 5), np.inf), {"method": "pca"}, "all values finite"),
        (np.zeros((9, 5)), {"method": "tsne", "iterations": 99}, "is 99: tsne needs at least 250"),
        (np.ones((9, 5)), {"method": "tsne"}, "all vectors are the same: t-SNE needs some that"),
        (np.zeros((9, 5)), {"iterations": 0}, "iterations is 0: umap needs at least 1"),
        (np.zeros((9, 5)), {"limit": 3}, "limit is 3: a map needs at least 4"),
    ],
)
def test_what_has_no_map_says_why(vectors, options, message):
    with pytest.raises(ValueError, match=message):
        SampleMap.fit(vectors, **options)


@pytest.mark.parametrize("method", QUICK)
@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.zeros((2, 9)), r"vectors \(2, 9\): this map needs \(sounds, 10\)"),
        (np.zeros(10), r"vectors \(10,\): expected"),
        (np.zeros((0, 10)), r"vectors \(0, 10\): expected"),
        (np.full((1, 10), np.nan), "all values finite"),
    ],
)
def test_what_cannot_be_added_says_why(method, vectors, message):
    drawn = SampleMap.fit(heaps(5)[0], method=method)
    with pytest.raises(ValueError, match=message):
        drawn.add(vectors)


# The way back.


def on(points: np.ndarray, vectors: np.ndarray | None = None) -> SampleMap:
    """A map with these very points; a sound's vector tells which it is, unless it is given."""
    vectors = np.eye(len(points), dtype=np.float32) if vectors is None else vectors
    state = {"points": points, "vectors": vectors, "laid": np.arange(len(points))}
    return SampleMap.from_state(state | {"method": np.array([1])})


def test_shares_are_what_is_left_of_the_reach_over_the_distance():
    near, shares = on(LINE).weights([[1, 0]], k=2)
    assert near.tolist() == [[0, 1]]  # at 1 and at 2; the reach is 4
    assert shares == pytest.approx(np.array([[3, 1]]) / 4)
    assert on(LINE).weights([[1, 0]])[1].shape == (1, 3)  # all but the one that sets the reach
    blend = on(LINE).inverse([[1, 0]])
    reach = np.sqrt(82)
    expected = np.array([reach - 1, (reach - 2) / 2, (reach - 4) / 4, 0])
    assert blend[0] == pytest.approx(expected / expected.sum())


@pytest.mark.parametrize("method", METHODS)
def test_a_sound_comes_back_as_it_is_and_others_in_their_range(method):
    vectors, labels = heaps()
    vectors = vectors.astype(np.float32)
    drawn = SampleMap.fit(vectors, method=method)
    assert np.array_equal(drawn.inverse(drawn.points), vectors)
    corners = drawn.points.mean(0) + 1e4 * np.array([[1, 1], [-1, 1], [1, -1], [-1, -1]])
    far = drawn.inverse([*corners, *1e30 * corners])
    assert ((vectors.min(0) <= far) & (far <= vectors.max(0))).all()
    fresh, of_fresh = heaps(4, seed=1)
    back = drawn.inverse(drawn.add(fresh))
    centres = np.stack([vectors[labels == own].mean(0) for own in range(3)])
    assert np.array_equal(cdist(back, centres).argmin(1), of_fresh)
    assert np.array_equal(drawn.inverse(drawn.add(fresh)), back)


def test_far_from_all_sounds_the_one_at_the_edge_has_the_most():
    points = np.random.default_rng(0).normal(size=(50, 2))
    for way in np.array([[1, 0], [0.6, -0.8], [-1, 0]]):
        near, shares = on(points).weights([1e6 * way])
        assert near[0, 0] == (points @ way).argmax()
        assert (np.diff(shares[0]) <= 0).all()


def test_sounds_in_one_place_share_it():
    points = np.array([[0, 0], [0, 0], [1, 0], [2, 0], [3, 0]])
    assert on(points).inverse([[0, 0]])[0] == pytest.approx([0.5, 0.5, 0, 0, 0])
    assert on(np.zeros((30, 2))).inverse([[0, 0], [1, 1]]).sum(1) == pytest.approx(1)
    assert on(np.zeros((30, 2))).density([[0, 0], [1e9, 0]]) == pytest.approx([1, 0], abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(4, 60),
    st.integers(1, 3),
    st.sampled_from([1e-3, 1.0, 1e3]),
)
def test_places_are_mixtures_that_change_without_a_jump(seed, count, dimensions, size):
    rng = np.random.default_rng(seed)
    points = (size * rng.normal(size=(count, dimensions))).astype(np.float32)
    drawn = on(points, rng.normal(size=(count, 4)))
    start, way = 2 * size * rng.normal(size=(2, dimensions))
    near, shares = drawn.weights(start[None])
    assert (shares >= 0).all() and shares.sum() == pytest.approx(1)
    assert len(set(near[0])) == min(20, count - 1)
    walked = drawn.inverse(start + np.linspace(0, 1, 501)[:, None] * way)
    assert (drawn.vectors.min(0) <= walked).all() and (walked <= drawn.vectors.max(0)).all()
    # The longest of 500 steps in 500 short ones: were it a jump, one of them would be as long.
    moved = np.abs(np.diff(walked, axis=0)).max(1)
    at = (moved.argmax() + np.linspace(0, 1, 501)[:, None]) / 500
    again = np.abs(np.diff(drawn.inverse(start + at * way), axis=0)).max()
    assert again < 0.2 * moved.max() + 1e-3


def test_pca_brings_back_what_lies_in_its_plane():
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(60, 2)) @ rng.normal(size=(2, 8)) + 3
    drawn = SampleMap.fit(flat[:50], method="pca")
    assert drawn.round_trip(flat[50:], how="own") == pytest.approx(0, abs=1e-10)
    assert drawn.inverse(drawn.points, how="own") == pytest.approx(flat[:50], abs=1e-4)
    assert drawn.inverse([[0, 0]], how="own")[0] == pytest.approx(flat[:50].mean(0), abs=1e-4)
    vectors, _ = heaps()
    drawn = SampleMap.fit(vectors, method="pca")
    left = np.linalg.svd(vectors - vectors.mean(0), compute_uv=False)[2:]
    assert drawn.round_trip(vectors, how="own") == pytest.approx(np.square(left).sum() / 1200)


def test_density_falls_from_one_to_nothing():
    points = np.random.default_rng(0).normal(size=(500, 2))
    drawn = on(points, points)
    along = drawn.density(points.mean(0) + np.linspace(5, 1e3, 99)[:, None] * [0.6, 0.8])
    assert (np.diff(along) < 0).all()
    assert along[-1] < 1e-3
    assert 0.9 < np.median(drawn.density(points)) < 1
    # At the usual distance of the tenth, 16/17; at four times that, a half.
    usual = np.median(np.sort(cdist(points, points))[:, 10])
    tenth = np.sort(cdist([[9, 9]], points))[0, 9]
    assert drawn.density([[9, 9]]) == pytest.approx(1 / (1 + (tenth / usual / 4) ** 2), rel=1e-5)


def test_of_a_large_library_only_some_sounds_are_laid_out_and_the_others_added():
    vectors, labels = heaps(100)
    drawn, same, other = (
        SampleMap.fit(vectors, method="tsne", limit=150, seed=seed) for seed in (2, 2, 3)
    )
    assert drawn.points.shape == (300, 2)
    assert np.array_equal(drawn.points, same.points)
    assert not np.array_equal(drawn.points, other.points)
    assert neighbour_hit(drawn.points, labels, 10).min() == 1
    assert drawn.add(vectors) == pytest.approx(drawn.points, abs=1e-3)
    assert np.array_equal(drawn.inverse(drawn.points), drawn.vectors)


def test_iterations_make_another_map():
    vectors, _ = heaps()
    short, long = (SampleMap.fit(vectors, method="tsne", iterations=n) for n in (250, 1000))
    assert not np.array_equal(short.points, long.points)
    assert np.array_equal(SampleMap.fit(vectors, method="tsne").points, long.points)


def test_quality_is_one_of_an_unfolded_plane_and_a_half_of_any_points():
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(220, 2)) @ rng.normal(size=(2, 8))
    kept = SampleMap.fit(flat[:200], method="pca").quality(flat[200:])
    assert list(kept) == ["trustworthiness", "continuity", "left_out", "held_out"]
    assert kept["trustworthiness"] == kept["continuity"] == 1
    size = np.square(flat - flat.mean(0)).mean()
    assert 0 < kept["left_out"] < 0.1 * size and 0 < kept["held_out"] < 0.1 * size
    lost = on(rng.normal(size=(200, 2)), flat[:200]).quality()
    assert [lost["trustworthiness"], lost["continuity"]] == pytest.approx([0.5, 0.5], abs=0.05)
    assert lost["left_out"] > 0.9 * size


def test_continuity_finds_what_is_torn_apart_and_trustworthiness_what_is_laid_together():
    line = np.arange(100.0)[:, None] * [1, 0]
    torn = on(line + np.where(np.arange(100) >= 50, 1, -1)[:, None] * [-25, 500], line).quality()
    folded = on(np.abs(line - 49.6), line).quality()
    assert torn["trustworthiness"] > torn["continuity"]
    assert folded["trustworthiness"] < folded["continuity"]


def test_several_threads_can_ask_at_once():
    vectors, _ = heaps()
    drawn = SampleMap.fit(vectors, method="tsne")
    places = np.split(drawn.points + 0.5, 12)
    asked = [(ask, at) for ask in (drawn.inverse, drawn.density) for at in places]
    asked += [(drawn.add, some) for some in np.split(vectors + 0.1, 12)]
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda one: one[0](one[1]), asked))
    for (ask, at), answer in zip(asked, told, strict=True):
        assert np.array_equal(answer, ask(at))


def test_what_is_left_out_is_told_by_the_others_alone():
    points = np.array([[0, 0], [0, 0], [1, 0], [3, 0]], np.float32)
    # The first two lie in one place, so each has the other's vector. Beside the third lie both at
    # 1, with the fourth as the reach; beside the fourth the third at 2, with the others at 3.
    values = np.array([[1.0], [2], [4], [9]])
    expected = [1, 1, (4 - 1.5) ** 2, (9 - 4) ** 2]
    assert on(points, values).quality()["left_out"] == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("method", METHODS)
def test_a_map_is_the_same_out_of_a_file(method):
    vectors, _ = heaps()
    drawn, fresh = SampleMap.fit(vectors, method=method, limit=90), heaps(4, seed=1)[0]
    state = load(save(drawn.state()))
    for again in (SampleMap.from_state(state), pickle.loads(pickle.dumps(drawn))):
        assert again.method == method
        for name, at in {
            "add": fresh, "inverse": drawn.points + 1, "density": drawn.points + 1,
            "weights": drawn.points + 1, "round_trip": fresh,
        }.items():  # fmt: skip
            assert np.array_equal(getattr(again, name)(at), getattr(drawn, name)(at)), name


@pytest.mark.parametrize(("count", "seconds"), [(2600, 0.002), (100_000, 0.01)])
def test_a_click_takes_a_moment_in_a_small_and_in_a_large_library(count, seconds):
    rng = np.random.default_rng(0)
    drawn = on(rng.normal(size=(count, 2)), rng.normal(size=(count, 64)))
    spent = []
    for place in rng.normal(size=(50, 1, 2)):
        start = time.perf_counter()
        drawn.inverse(place)
        spent.append(time.perf_counter() - start)
    assert np.median(spent) < seconds


@pytest.mark.slow
def test_umap_has_an_inverse_of_its_own_until_it_is_stored():
    vectors, labels = heaps()
    drawn = SampleMap.fit(vectors)
    back = drawn.inverse(drawn.points[::10], how="own")
    centres = np.stack([vectors[labels == own].mean(0) for own in range(3)])
    assert np.array_equal(cdist(back, centres).argmin(1), labels[::10])
    with pytest.raises(ValueError, match=r"a state has no UMAP in it, .* 'learned'"):
        SampleMap.from_state(drawn.state()).inverse(drawn.points[:1], how="own")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda drawn: drawn.inverse([[0, 0]], how="own"), "t-SNE has no inverse, .* 'learned'"),
        (lambda drawn: drawn.inverse([[0, 0]], how="best"), "learned or own, not 'best'"),
        (lambda drawn: drawn.inverse([0, 0]), r"points \(2,\): expected \(n, 2\)"),
        (lambda drawn: drawn.inverse([[0, 0, 0]]), r"points \(1, 3\): this map needs \(n, 2\)"),
        (lambda drawn: drawn.density([[0, np.nan]]), "all values finite"),
        (lambda drawn: drawn.weights([[0, 0]], k=0), "k is 0: expected 1 or more"),
        (lambda drawn: drawn.round_trip(np.zeros((2, 3))), r"this map needs \(sounds, 4\)"),
        (lambda drawn: SampleMap.from_state({"points": LINE}), "state without laid, method, vec"),
        (lambda drawn: on(LINE[:3], LINE), "3 points and 4 vectors: not a map's state"),
    ],
)
def test_what_no_map_can_tell_says_why(call, message):
    with pytest.raises(ValueError, match=message):
        call(on(LINE))


def test_umap_is_given_the_neighbours_that_it_would_find_itself():
    from umap import UMAP

    vectors = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    vectors[7] = vectors[3]  # at a distance of exactly 0
    ours = SampleMap.fit(vectors, neighbours=10, seed=0)._back.__self__
    own = UMAP(n_neighbors=10, random_state=0, n_jobs=1).fit(vectors)
    np.testing.assert_allclose(ours.graph_.toarray(), own.graph_.toarray(), atol=1e-5)
