"""Distances of magnitudes against closed forms."""

import numpy as np
import pytest

from samplevae_lib.metrics import log_spectral_distance, spectral_convergence
from samplevae_lib.spectral import Spectrogram

STFT = Spectrogram("stft", 16000, 512, 128)


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
    # But for the few bins at the floor.
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
