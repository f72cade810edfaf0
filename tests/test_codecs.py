"""MP3 there and back."""

import numpy as np
import pytest

from samplevae_lib.audio import delay, through_mp3

RATE = 44100


def music(channels: int = 2, seconds: float = 2.0) -> np.ndarray:
    rng, time = np.random.default_rng(0), np.arange(int(seconds * RATE)) / RATE
    tone = 0.3 * np.sin(2 * np.pi * 440 * time) * np.exp(-3 * (time % 0.5))
    hits = rng.normal(size=(channels, len(time))) * 0.05 * np.exp(-20 * (time % 0.25))
    return (tone + hits).astype(np.float32)


@pytest.mark.parametrize("kbps", [32, 64, 128, 320])
def test_what_comes_back_lies_on_the_original(kbps):
    sound = music()
    made, size = through_mp3(sound, RATE, kbps)
    assert made.shape == sound.shape
    assert delay(sound.mean(0), made.mean(0)) == 0
    assert np.corrcoef(sound.mean(0), made.mean(0))[0, 1] > 0.95
    assert size * 8 / 1000 / 2.0 == pytest.approx(kbps, rel=0.1)


def test_more_bits_leave_more():
    sound = music()
    left = [np.square(through_mp3(sound, RATE, kbps)[0] - sound).mean() for kbps in (64, 128, 320)]
    assert left[0] > left[1] > left[2]


def test_one_channel_stays_one():
    sound = music(1)[0]
    assert through_mp3(sound, RATE, 128)[0].shape == sound.shape


@pytest.mark.parametrize("late", [0, 1, 1105, 4096])
def test_a_delay_is_found(late):
    sound = music(1)[0]
    assert delay(sound, np.concatenate([np.zeros(late, np.float32), sound])) == late


def test_rates_and_levels_that_mp3_does_not_have_are_refused():
    with pytest.raises(ValueError, match="kbps is 16: expected 32 to 320"):
        through_mp3(music(), RATE, 16)
    with pytest.raises(ValueError, match="audio has a peak of 2: expected full scale at 1"):
        through_mp3(2 * music(1) / np.abs(music(1)).max(), RATE, 128)
