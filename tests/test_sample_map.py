"""Maps of sounds: PCA by hand, like beside like, new sounds among the old, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
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
)
"""


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


def test_tsne_adds_a_sound_at_the_weighted_mean_of_its_nearest():
    vectors, _ = heaps(10)
    drawn = SampleMap.fit(vectors, method="tsne", neighbours=4)
    assert drawn.add(vectors[:3]) == pytest.approx(drawn.points[:3], abs=1e-3)
    fresh = vectors[:1] + 0.3
    distances = np.linalg.norm(vectors - fresh, axis=1)
    nearest = distances.argsort()[:4]
    expected = np.average(drawn.points[nearest], axis=0, weights=1 / distances[nearest])
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
    shapes = {name: maps[name].shape for name in ("one", "space", "added", "least")}
    assert shapes == {
        "one": (6, 2), "space": (6, 3), "added": (2, 3), "least": (4, 2),
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
