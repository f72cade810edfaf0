"""Several ways back on the same clips: tables, the clips of slow ways, mel bands in between."""

from __future__ import annotations

import numpy as np
import pytest

from samplevae_lib.inversion.comparison import Comparison, Way, compare
from samplevae_lib.metrics.ratings import interval
from samplevae_lib.spectral import Spectrogram

STFT = Spectrogram(kind="stft", sample_rate=16000, n_fft=512, hop=128)
MEL = Spectrogram(kind="mel", sample_rate=16000, n_fft=512, hop=128, n_mels=80)
WAYS = {
    "none": Way("no_phase", STFT),
    "GLA": Way("griffin_lim", STFT, {"iterations": 8}),
    "PGHI": Way("pghi", STFT),
    "PGHI, from bands": Way("pghi", STFT, from_mel=MEL),
}


def hits(count: int = 5, samples: int = 8000) -> np.ndarray:
    rng, time = np.random.default_rng(0), np.arange(samples) / 16000
    tones = np.sin(2 * np.pi * rng.uniform(100, 2000, (count, 1)) * time) * np.exp(-9 * time)
    return (tones + 0.1 * rng.normal(size=tones.shape) * np.exp(-30 * time)).astype(np.float32)


@pytest.fixture(scope="module")
def compared() -> Comparison:
    return compare(hits(), WAYS, stft=STFT, seed=3, at_most={"pghi": 2})


def test_slow_ways_are_rated_on_fewer_of_the_same_clips(compared):
    assert list(compared.ratings["GLA"].index) == [0, 1, 2, 3, 4]
    assert list(compared.ratings["PGHI"].index) == [0, 2, 4]
    assert compared.rebuilt["PGHI"].shape == (3, 8000)
    table = compared.table()
    assert table["clips"].tolist() == [5, 5, 3, 3]
    assert (table["seconds per second"] > 0).all()


def test_the_tables_hold_the_means_of_the_ratings(compared):
    table, far = compared.table(), compared.distances()
    assert list(table.index) == list(far.index) == list(WAYS)
    rated = interval(compared.ratings["GLA"]["ODG"])
    assert tuple(table.loc["GLA", ["ODG mean", "ODG low", "ODG high"]]) == pytest.approx(rated)
    assert compared.intervals("ODG")["GLA"] == rated
    assert {column.rsplit(" ", 1)[0] for column in far} == {
        "convergence", "distance dB", "level dB",
    }  # fmt: skip
    assert not set(table) & set(far)


def test_phases_help_and_bands_hold_less_than_bins(compared):
    far = compared.distances()["convergence mean"]
    assert far["GLA"] < far["none"]
    assert far["PGHI"] < far["PGHI, from bands"] < 1
