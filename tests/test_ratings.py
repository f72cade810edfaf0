"""Tables of ratings, intervals, and the words that evidence is put in."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from samplevae_lib.metrics import Interval, interval, listed
from samplevae_lib.metrics.ratings import grades, rate, summary
from samplevae_lib.spectral import Spectrogram

RATE = 22050
STFT = Spectrogram("stft", RATE, 512, 128)


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


# Intervals.


def test_the_interval_is_students():
    values = [0.9, 0.94, 0.95, 0.91, 0.96]
    expected = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    found = interval(values)
    assert found.mean == pytest.approx(np.mean(values))
    assert (found.low, found.high) == pytest.approx(expected)
    assert str(interval([1.0, 2.0, 3.0])) == "2 (-0.484 to 4.48)"


def test_intervals_hold_the_mean_as_often_as_they_say():
    rng = np.random.default_rng(0)
    found = [interval(rng.normal(3, 2, 5)) for _ in range(2000)]
    assert np.mean([one.low <= 3 <= one.high for one in found]) == pytest.approx(0.95, abs=0.015)


def test_one_value_has_no_interval_and_none_no_mean():
    one = interval([0.5])
    assert one.mean == 0.5
    assert not one.low > 0
    assert not one.high < 1
    with pytest.raises(ValueError, match=r"shape \(0,\)"):
        interval([])


# Words.


def test_a_format_applies_to_an_interval_as_a_whole():
    found = Interval(0.9, 0.8612, 0.94)
    assert f"{found}" == str(found) == "0.9 (0.861 to 0.94)"
    assert f"{found:.2f}" == "0.90 (0.86 to 0.94)"
    assert f"{found:.0%}" == "90% (86% to 94%)"


def test_named_values_are_listed_as_numbers_text_or_intervals():
    values = {"a": 0.125, "b": Interval(0.5, 0.25, 0.75), "c": np.float32(2), "d": 3, "e": "1,024"}
    assert listed(values) == "a 0.12, b 0.50 (0.25 to 0.75), c 2.00, d 3, e 1,024"
    assert listed(pd.Series({"x": 0.5, "y": 1.0}), form=".0%") == "x 50%, y 100%"
    assert listed({"x": -12.34}, form=".1f", unit="dB") == "x -12.3 dB"
    assert listed({}) == ""
