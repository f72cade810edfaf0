"""Distances between sounds with gradients: nothing for the same, what is known for a scaled one."""

from __future__ import annotations

import math

import pytest
import torch

from samplevae_lib.training.losses import HeardDistance, SpectralDistance

RATE, SAMPLES = 16000, 4096
DISTANCES = {
    "bands": SpectralDistance(RATE),
    "bins": SpectralDistance(RATE, windows=(2048, 512), bands=None),
    "heard": HeardDistance(RATE),
}
each_distance = pytest.mark.parametrize("distance", DISTANCES.values(), ids=DISTANCES)


def noise(count: int = 2) -> torch.Tensor:
    return torch.randn(count, SAMPLES, generator=torch.Generator().manual_seed(0))


def tones() -> torch.Tensor:
    time = torch.arange(SAMPLES) / RATE
    turns = 2 * math.pi * torch.tensor([[200.0], [900.0]]) * time
    return torch.sin(turns) * torch.exp(-9 * time)


@each_distance
def test_equal_sounds_are_at_no_distance_and_polarity_is_not_heard(distance):
    for other in (tones(), -tones()):
        found = distance(other, tones())
        assert all(float(value) == pytest.approx(0, abs=1e-4) for value in found.values()), found


@each_distance
def test_more_noise_is_further_in_every_term(distance):
    near, far = (distance(tones() + gain * noise(), tones()) for gain in (0.001, 0.01))
    assert all(far[name] > near[name] > 0 for name in near)


@each_distance
def test_gradients_are_finite_in_silence(distance):
    for wanted in (tones(), torch.zeros(2, SAMPLES)):
        made = torch.zeros(2, SAMPLES, requires_grad=True)
        sum(distance(made, wanted).values()).backward()
        assert bool(made.grad.isfinite().all())


@pytest.mark.parametrize("bands", [None, (24, 12)])
@pytest.mark.parametrize("gain", [0.5, 3.0])
def test_a_scaled_sound_is_at_the_distance_of_its_gain(bands, gain):
    distance = SpectralDistance(RATE, windows=(512, 256), bands=bands, floor_db=-200.0, least=1e-20)
    found = distance(gain * noise(), noise())
    assert float(found["levels"]) == pytest.approx(abs(math.log10(gain)), rel=1e-4)
    assert float(found["amounts"]) == pytest.approx(abs(gain - 1), rel=1e-4)
    assert float(found["convergence"]) == pytest.approx(abs(gain - 1), rel=1e-4)


def test_what_lies_under_the_floor_is_not_told_apart():
    distances = (SpectralDistance(RATE, floor_db=floor, least=1e-20) for floor in (40.0, -80.0))
    high, low = (float(distance(0.5 * noise(), noise())["levels"]) for distance in distances)
    assert high < 0.01 < low


@pytest.mark.parametrize("gain", [0.5, 3.0])
def test_noise_without_spreading_is_that_of_the_gain(gain):
    ear = HeardDistance(RATE, bands=24, down_db=1e4, up_db=1e4, floor_db=-200.0, least=1e-20)
    expected = math.log10((gain - 1) ** 2 + 0.01) + 2
    assert float(ear(gain * noise(), noise())["noise"]) == pytest.approx(expected, rel=1e-3)


def test_loudness_grows_with_the_energy_to_the_power_of_its_exponent():
    for exponent in (0.3, 0.5):
        ear = HeardDistance(RATE, exponent=exponent, floor_db=-200.0, least=1e-20)
        twice, thrice = (float(ear(gain * noise(), noise())["loudness"]) for gain in (2.0, 3.0))
        growth = 2 * exponent
        assert thrice / twice == pytest.approx((3**growth - 1) / (2**growth - 1), rel=1e-3)


def test_every_window_needs_its_bands():
    with pytest.raises(ValueError, match=r"2 windows \(512, 256\) but 1 numbers of bands \(24,\)"):
        SpectralDistance(RATE, windows=(512, 256), bands=(24,))
