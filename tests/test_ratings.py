"""Tables of ratings, and their pictures."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from samplevae_lib.metrics import interval
from samplevae_lib.metrics.ratings import grades, rate, summary
from samplevae_lib.plots import curves as charts
from samplevae_lib.plots import spectrograms as spectra
from samplevae_lib.spectral import Spectrogram

RATE = 22050
STFT = Spectrogram("stft", RATE, 512, 128)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def hits(count: int = 3) -> np.ndarray:
    rng, time = np.random.default_rng(0), np.arange(RATE // 4) / RATE
    tones = np.sin(2 * np.pi * rng.uniform(200, 4000, (count, 1)) * time) * np.exp(-20 * time)
    return (0.3 * tones).astype(np.float32)


def test_a_copy_is_rated_as_one():
    rated = rate(hits(), hits(), STFT)
    assert len(rated) == 3
    assert (rated["ODG"] > 0).all() and (rated["fingerprint similarity"] == 100).all()
    np.testing.assert_allclose(rated[["convergence", "distance dB", "level dB"]], 0, atol=1e-4)


def test_half_as_loud_is_six_decibels_and_rated_worse_than_a_copy():
    rated = rate(hits(), 0.5 * hits(), STFT)
    np.testing.assert_allclose(rated["level dB"], -6.0206, atol=1e-3)
    assert (rated["ODG"] < rate(hits(), hits(), STFT)["ODG"]).all()


def test_a_summary_has_the_mean_and_both_limits_of_every_column():
    rated = rate(hits(), hits() + np.float32(1e-3) * hits()[::-1], STFT)
    found = summary(rated)
    assert len(found) == 3 * len(rated.columns)
    assert found["ODG low"] < found["ODG mean"] < found["ODG high"]
    assert found["ODG mean"] == pytest.approx(rated["ODG"].mean())


def test_grades_hold_the_variables_behind_them():
    found = grades(hits(2), hits(2)[::-1].copy(), RATE)
    assert {"ODG", "di", "TotalNMRB", "EHSB"} <= set(found.columns) and len(found) == 2


def test_unequal_numbers_of_sounds_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        grades(hits(3), hits(2), RATE)


def test_curves_have_a_line_for_each_name_and_a_band_for_intervals():
    lines = {"a": [interval([1, 2, 3]), interval([2, 3, 4])], "b": [1.0, 2.0]}
    (axes,) = charts.curves([1, 8], lines, over="iterations", label="distance", log=True).axes
    assert [line.get_label() for line in axes.lines] == ["a", "b"]
    assert len(axes.collections) == 1 and axes.get_xscale() == "log"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "8"]


def test_a_single_clip_without_an_interval_is_drawn_all_the_same():
    (axes,) = charts.over_speed({"one": interval([-1.0])}, {"one": 3.0}).axes
    assert axes.get_xlabel() and axes.get_ylabel() == "ODG"


def test_classes_stand_side_by_side_within_the_limits():
    rated = {"x": {"kick": interval([-1, -2]), "hat": interval([-3, -2])}}
    (axes,) = charts.by_class(rated, "ODG", limits=(-4, 0.3)).axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["kick", "hat"]
    assert axes.get_ylim() == (-4, 0.3)


def test_pictures_of_spectra_carry_units():
    sound = hits(1)[0]
    magnitudes = STFT.forward(sound)
    phase = np.angle(np.exp(1j * np.arange(magnitudes.size))).reshape(magnitudes.shape)
    figures = [
        spectra.linear(magnitudes, STFT),
        spectra.phases([phase, phase], magnitudes, STFT, ["a", "b"], up_to=2000, begins=0.5),
        spectra.residuals([magnitudes, 0 * magnitudes], STFT, ["a", "b"]),
        spectra.waves([sound, -sound], RATE, ["a", "b"], closer=(0.1, 0.11)),
    ]
    for figure in figures:
        texts = [figure.get_supxlabel(), *(axes.get_xlabel() for axes in figure.axes)]
        assert "seconds" in texts
    assert figures[1].axes[0].get_images()[0].get_extent()[0] == 0.5


def test_views_show_three_pictures():
    cqt = Spectrogram("cqt", RATE, 512, 128, fmin=65.4, n_bins=48)
    sound = hits(1)[0]
    figure = spectra.views(STFT.forward(sound), STFT, np.ones((48, 44)), cqt, np.zeros((257, 44)))
    assert [axes.get_title() for axes in figure.axes[:3]] == [
        "STFT", "constant Q", "phase of the STFT",
    ]  # fmt: skip
