"""Measures of latent spaces and distances of sounds against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplevae_lib.datasets.signals import sine
from samplevae_lib.metrics import (
    centres,
    decimation_residual,
    dominant_frequency,
    folded,
    log_spectral_distance,
    one_nn,
    one_nn_accuracy,
    residual_db,
    snr_db,
    spectral_convergence,
)
from samplevae_lib.spectral import Spectrogram

STFT = Spectrogram("stft", 16000, 512, 128)

# Neighbours.


def test_the_nearest_other_item_gives_its_label():
    latent = np.array([[0.0, 0], [0.1, 0], [5, 5], [5.2, 5], [0.2, 0]])
    labels = np.array(["a", "a", "b", "b", "b"])
    assert one_nn(latent, labels).tolist() == ["a", "a", "b", "b", "a"]
    assert one_nn_accuracy(latent, labels) == pytest.approx(4 / 5)


def test_an_item_is_never_its_own_neighbour_even_with_a_twin():
    latent = np.array([[1.0], [1.0], [3.0]])
    assert one_nn(latent, np.array([0, 1, 2]))[:2].tolist() == [1, 0]


def test_labels_without_meaning_are_found_by_chance():
    rng = np.random.default_rng(0)
    accuracy = one_nn_accuracy(rng.normal(size=(2000, 3)), rng.integers(0, 4, 2000))
    assert accuracy == pytest.approx(0.25, abs=0.05)


@pytest.mark.parametrize(
    ("latent", "labels", "message"),
    [
        (np.zeros((3, 2)), np.zeros(4), r"latent \(3, 2\) and labels \(4,\)"),
        (np.zeros(3), np.zeros(3), r"latent \(3,\)"),
        (np.zeros((1, 2)), np.zeros(1), "at least two items"),
        (np.array([[0.0], [np.nan]]), np.zeros(2), "NaN or infinite"),
    ],
)
def test_what_has_no_neighbours_is_refused(latent, labels, message):
    with pytest.raises(ValueError, match=message):
        one_nn(latent, labels)


def test_centres_are_means_by_label():
    found = centres(np.array([[0.0, 2], [2, 4], [9, 9]]), np.array(["x", "x", "y"]))
    assert {name: centre.tolist() for name, centre in found.items()} == {"x": [1, 3], "y": [9, 9]}


# Levels.


def test_a_tenth_of_the_amplitude_left_over_is_minus_twenty_db():
    signal = sine(440.0)
    assert residual_db(signal, 0.9 * signal) == pytest.approx(-20)
    assert snr_db(signal, 0.9 * signal) == pytest.approx(20)
    assert residual_db(signal, np.zeros_like(signal)) == pytest.approx(0)
    assert residual_db(signal, signal) == -np.inf


def test_levels_are_taken_row_by_row():
    signals = np.stack([sine(100.0), 3 * sine(200.0)])
    made = np.stack([0.9 * signals[0], 0 * signals[1]])
    assert residual_db(signals, made) == pytest.approx([-20, 0])


def test_silence_and_other_shapes_have_no_level():
    with pytest.raises(ValueError, match="silent"):
        residual_db(np.zeros(4), np.ones(4))
    with pytest.raises(ValueError, match=r"signal has shape \(4,\) and estimate \(5,\)"):
        residual_db(np.ones(4), np.ones(5))


# Aliasing.


def test_the_printed_frequencies_fold_to_what_arithmetic_says():
    hertz = [80, 248, 253.6, 992.8, 998.4, 1004, 1009.6, 1200]
    expected = [80, 248, 246.4, 7.2, 1.6, 4, 9.6, 200]
    assert folded(hertz, 500) == pytest.approx(expected)


@given(st.floats(0, 1e5), st.floats(1, 1e4))
def test_a_folded_frequency_is_below_half_the_rate_and_stays_there(hertz, rate):
    there = folded(hertz, rate)
    assert 0 <= there <= rate / 2
    assert folded(there, rate) == pytest.approx(there)


@given(st.floats(30, 1900))
def test_a_decimated_sine_is_found_where_it_folds_to(hertz):
    latent = sine(hertz)[::32]
    bin_width = 500 / len(latent)
    there = float(folded(hertz, 500))
    if 2 * bin_width < there < 250 - 2 * bin_width:  # not next to 0 Hz or to half the rate
        assert dominant_frequency(latent, 500.0) == pytest.approx(there, abs=bin_width)


def test_a_constant_has_no_frequency_and_an_offset_hides_none():
    assert dominant_frequency(np.full(256, 3.0), 500.0) == 0
    rows = np.stack([sine(100.0)[::32] + 50, sine(30.0)[::32]])
    assert dominant_frequency(rows, 500.0) == pytest.approx([100, 30], abs=2)


@pytest.mark.parametrize("shift", [0, 7, 31])
def test_a_decimated_signal_explains_itself_at_any_shift_gain_and_offset(shift):
    signal = sine(123.0)
    assert decimation_residual(-2 * signal[shift::32] + 5, signal) == pytest.approx(0, abs=1e-9)


def test_what_decimation_does_not_explain_is_counted_as_energy():
    signal = sine(100.0)
    latent = signal[::32] + 0.5 * sine(37.0)[::32]
    # Half the amplitude of an almost orthogonal sine: a quarter against one.
    assert decimation_residual(latent, signal) == pytest.approx(0.2, abs=0.01)


def test_latents_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="100 samples are not a multiple of 7 latent values"):
        decimation_residual(np.arange(7), np.arange(100))
    with pytest.raises(ValueError, match="constant"):
        decimation_residual(np.ones(4), np.arange(8))


# Distances of magnitudes.


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32) * 0.1


def test_a_sound_is_at_no_distance_from_itself():
    sounds = noise(3, 4000)
    assert spectral_convergence(sounds, sounds, STFT).tolist() == [0, 0, 0]
    np.testing.assert_allclose(log_spectral_distance(sounds, sounds, STFT), 0, atol=1e-5)


@pytest.mark.parametrize(
    ("gain", "share", "db"), [(0.5, 0.5, 6.0206), (2.0, 1.0, 6.0206), (0.9, 0.1, 0.9151)]
)
def test_a_gain_is_what_it_says(gain, share, db):
    sounds = noise(2, 4000)
    made = np.float32(gain) * sounds
    np.testing.assert_allclose(spectral_convergence(sounds, made, STFT), share, rtol=1e-4)
    # A few bins lie at the floor, hence the tolerance.
    np.testing.assert_allclose(log_spectral_distance(sounds, made, STFT), db, rtol=2e-3)


def test_silence_for_a_sound_is_all_of_it_and_for_silence_nothing():
    sound, silence = noise(4000), np.zeros(4000, np.float32)
    assert spectral_convergence(sound, silence, STFT) == pytest.approx(1)
    assert spectral_convergence(silence, silence, STFT) == 0
    assert spectral_convergence(silence, sound, STFT) == np.inf
    assert log_spectral_distance(silence, silence, STFT) == 0


def test_polarity_and_a_floor_do_not_count():
    sound = noise(4000)
    assert spectral_convergence(sound, -sound, STFT) == pytest.approx(0, abs=1e-6)
    hiss = sound + 1e-7 * noise(4000)[::-1]
    assert log_spectral_distance(sound, hiss, STFT, floor=-60) < 1e-3


def test_only_what_lies_above_a_frequency():
    time = np.arange(8000) / 16000
    low, high = (0.1 * np.sin(2 * np.pi * hz * time).astype(np.float32) for hz in (500, 6000))
    assert log_spectral_distance(low, low + high, STFT, above=4000) > 5
    assert log_spectral_distance(high, low + high, STFT, above=4000) < 1


@pytest.mark.parametrize("measure", [spectral_convergence, log_spectral_distance])
def test_sounds_of_other_lengths_are_refused_with_both_shapes(measure):
    with pytest.raises(ValueError, match=r"shape \(4000,\) and test \(3999,\).*cut or pad"):
        measure(noise(4000), noise(3999), STFT)
