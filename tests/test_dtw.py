"""Warping against librosa's, cepstra against a plain transcription, drift against the thesis."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import dtw as bench
from samplevae_lib import theses
from samplevae_lib.metrics import drift, htk_mfcc, pairwise_dtw


def courses(count: int, coefficients: int, frames: range, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(coefficients, rng.choice(frames))) * 10 for _ in range(count)]


# ── warping ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("coefficients", [1, 8, 13])
def test_it_equals_a_loop_of_librosas(coefficients):
    cepstra = courses(5, coefficients, range(1, 40))
    np.testing.assert_allclose(pairwise_dtw(cepstra), bench.plain(cepstra), atol=1e-6)


def test_others_are_the_corner_of_all_pairs():
    cepstra = courses(6, 13, range(20, 30))
    whole = pairwise_dtw(cepstra)
    np.testing.assert_allclose(pairwise_dtw(cepstra[:2], cepstra[2:]), whole[:2, 2:])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.integers(1, 4), st.floats(-5, 5))
def test_a_slower_course_is_at_no_distance_and_a_shift_costs_its_size(seed, slower, shift):
    (one,) = courses(1, 3, range(2, 12), seed)
    distances = pairwise_dtw([one, np.repeat(one, slower, axis=1)])
    np.testing.assert_allclose(distances, 0, atol=1e-9)
    flat = np.zeros((2, 7))
    assert pairwise_dtw([flat, flat + shift])[0, 1] == pytest.approx(7 * abs(shift))


@pytest.mark.parametrize("count", [1, 2, 9, 10, 17])
def test_every_pair_is_warped_however_many_there_are(count):
    levels = np.arange(count, dtype=float) ** 2
    distances = pairwise_dtw([np.full((2, 5), level) for level in levels])
    np.testing.assert_allclose(distances, 5 * np.abs(levels - levels[:, None]))


def test_it_is_symmetric_with_nothing_on_the_diagonal():
    distances = pairwise_dtw(courses(7, 4, range(3, 9)))
    np.testing.assert_array_equal(distances, distances.T)
    assert (np.diag(distances) == 0).all() and (distances[0, 1:] > 0).all()


@pytest.mark.parametrize(
    ("cepstra", "said"),
    [
        ([], "cepstra is empty"),
        ([np.zeros((2, 3)), np.zeros(3)], r"cepstra\[1\] has shape \(3,\)"),
        ([np.zeros((2, 3)), np.zeros((2, 0))], r"cepstra\[1\] has shape \(2, 0\)"),
        ([np.zeros((2, 3)), np.zeros((4, 3))], r"\[2, 4\] coefficients"),
        ([np.full((2, 3), np.nan)], r"cepstra\[0\] holds NaN"),
    ],
)
def test_what_can_not_be_warped_is_refused(cepstra, said):
    with pytest.raises(ValueError, match=said):
        pairwise_dtw(cepstra)


def test_the_bench_tells_speeds_and_agreement():
    lines = bench.run(rounds=1, recordings=3).splitlines()
    assert lines[0].startswith("3 pairs of 13 × 98")
    assert float(lines[-1].split()[2]) < 1e-6


# ── cepstra ───────────────────────────────────────────────────────────────────────────────────


def plain_mfcc(sound: np.ndarray, rate: int) -> np.ndarray:
    """The recipe of the HTK book, one frame, one band and one coefficient after the other."""
    length, shift, n_fft, channels = round(0.025 * rate), round(0.005 * rate), 256, 20
    scaled = [32768 * s for s in sound]
    rising = [s - 0.97 * before for s, before in zip(scaled, [0, *scaled[:-1]], strict=True)]
    mel = [1127 * np.log(1 + hertz / 700) for hertz in (200, 1200)]
    edges = [700 * (np.exp((mel[0] + i * (mel[1] - mel[0]) / 21) / 1127) - 1) for i in range(22)]
    made = []
    for start in range(0, len(sound) - length + 1, shift):
        window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(length) / (length - 1))
        size = np.abs(np.fft.rfft(np.array(rising[start : start + length]) * window, n_fft))
        hertz = np.arange(n_fft // 2 + 1) * rate / n_fft
        levels = []
        for low, top, high in zip(edges, edges[1:], edges[2:], strict=False):
            bank = np.interp(hertz, [low, top, high], [0, 1, 0], left=0, right=0)
            levels.append(np.log(max(bank @ size, 1.0)))
        made.append([
            (1 + 11 * np.sin(np.pi * n / 22)) * np.sqrt(2 / channels)
            * sum(v * np.cos(np.pi * n * (m + 0.5) / channels) for m, v in enumerate(levels))
            for n in range(13)
        ])  # fmt: skip
    return np.array(made).T


def test_cepstra_follow_the_recipe():
    rng = np.random.default_rng(0)
    sounds = 0.3 * rng.normal(size=(2, 1000)).clip(-1, 1)
    made = htk_mfcc(sounds, 8000)
    assert made.shape == (2, 13, 21)
    np.testing.assert_allclose(made[1], plain_mfcc(sounds[1], 8000), rtol=1e-9, atol=1e-9)


def test_a_louder_sound_differs_in_the_first_coefficient_alone():
    sound = 0.1 * np.random.default_rng(0).normal(size=2000)
    quiet, loud = htk_mfcc(sound, 8000), htk_mfcc(3 * sound, 8000)
    np.testing.assert_allclose(loud[1:], quiet[1:], atol=1e-9)
    np.testing.assert_allclose(loud[0] - quiet[0], np.sqrt(2 / 20) * 20 * np.log(3))


def test_silence_has_cepstra():
    assert (htk_mfcc(np.zeros(400), 8000) == 0).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"band": (200, 5000)}, r"up to 4000.0 Hz"),
        ({"coefficients": 21}, "21 coefficients of 20 channels"),
        ({"frame_ms": 200}, "400 samples in frames of 1600"),
        ({"shift_ms": 0}, "every 0"),
    ],
)
def test_settings_that_can_not_be_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        htk_mfcc(np.zeros(400), 8000, **options)


# ── drift ─────────────────────────────────────────────────────────────────────────────────────


def test_drift_of_the_thesiss_own_matrix():
    printed = {(cell.row, cell.column): cell.value for cell in theses.numbers()["L-T5.4"]}
    names = [f"x{i}" for i in range(10)]
    matrix, b, c = ([[printed[row, name] for name in names] for row in rows]
                    for rows in (names, ["b"], ["c"]))  # fmt: skip
    found, printed = drift(np.array(matrix, float), np.array(b[0])), np.array(c[0])
    np.testing.assert_allclose(found, printed, atol=0.01)
    assert round(found.mean(), 2) == -0.47 and round(found.std(ddof=1), 2) == 0.16


def test_a_centre_as_far_as_the_others_drifts_nowhere():
    distances = np.array([[0.0, 1, 3], [1, 0, 5], [3, 5, 0]])
    np.testing.assert_allclose(drift(distances, np.array([2.0, 3, 4])), 0)
    assert (drift(distances, np.zeros(3)) < 0).all()


def test_drift_needs_three_recordings():
    with pytest.raises(ValueError, match=r"distances \(2, 2\).*three recordings or more"):
        drift(np.zeros((2, 2)), np.zeros(2))
