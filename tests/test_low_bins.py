"""Low bins found anew from their bands: nearer, nothing else touched, and silence stays silent."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from samplevae_lib.inversion.low_bins import settle
from samplevae_lib.inversion.short_time import Frames
from samplevae_lib.metrics.distances import spectral_convergence
from samplevae_lib.spectral import Spectrogram

SPEC = Spectrogram("mel", 16000, 512, 128)
STFT = replace(SPEC, kind="stft")


def kicks(count: int = 3, samples: int = 6400) -> np.ndarray:
    """Tones that fall from 300 … 500 Hz to a fifth of it and die away."""
    rng, time = np.random.default_rng(0), np.arange(samples) / 16000
    pitch = rng.uniform(300, 500, (count, 1)) * (0.2 + 0.8 * np.exp(-30 * time))
    turns = 2 * np.pi * np.cumsum(pitch, 1) / 16000
    return (np.sin(turns) * np.exp(-8 * time)).astype(np.float32)


def begun(bands: torch.Tensor) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = len(bands), bands.shape[-1], STFT.bins
    return torch.randn(shape, generator=generator, dtype=torch.complex64)


def settled(bands: torch.Tensor, *, iterations: int = 60, seed: int = 0) -> torch.Tensor:
    spectra = begun(bands)
    settle(spectra, bands, SPEC, iterations=iterations, seed=seed)
    return spectra


def test_a_kick_is_found_from_its_bands_alone():
    sounds = kicks()
    bands = SPEC.forward(torch.from_numpy(sounds))
    spectra = settled(bands)
    spectra[..., STFT.bins // 4 :] = 0  # where the beginning was noise
    frames = Frames(SPEC, bands.shape[-1], bands)
    made = frames.cut(frames.sound(spectra)).numpy()
    assert spectral_convergence(sounds[:, : made.shape[1]], made, STFT).max() < 0.1


def test_more_iterations_come_nearer():
    bands = SPEC.forward(torch.from_numpy(kicks()))
    small = Spectrogram("stft", 4000, 128, 32)
    frames = Frames(small, bands.shape[-1], bands)

    def impossible(iterations):
        low = settled(bands, iterations=iterations)[..., : small.bins].contiguous()
        inner = slice(0, int(0.6 * small.bins))
        return (frames.spectra(frames.sound(low)) - low)[..., inner].norm() / low.norm()

    assert impossible(60) < 0.6 * impossible(5)


def test_what_lies_above_stays_as_it_was():
    bands = SPEC.forward(torch.from_numpy(kicks()))
    torch.testing.assert_close(settled(bands)[..., 65:], begun(bands)[..., 65:], rtol=0, atol=0)


def test_the_same_seed_gives_the_same_sound_at_any_level():
    bands = SPEC.forward(torch.from_numpy(kicks()))
    low = slice(0, 40)
    once, again = settled(bands)[..., low], settled(bands)[..., low]
    torch.testing.assert_close(once, again, rtol=0, atol=0)
    louder = settled(100 * bands)[..., low]
    assert (louder / 100 - once).norm() < 0.02 * once.norm()


def test_silence_beside_a_sound_is_silent_and_does_no_harm():
    bands = SPEC.forward(torch.from_numpy(kicks()))
    bands[1] = 0
    spectra = torch.zeros(3, bands.shape[-1], STFT.bins, dtype=torch.complex64)
    settle(spectra, bands, SPEC, iterations=10, seed=0)
    assert spectra[1].abs().max() == 0
    assert spectra[0].abs().max() > 0 and bool(spectra.abs().isfinite().all())


def test_a_hop_without_a_quarter_is_refused():
    spec = replace(SPEC, hop=126)
    bands = spec.forward(torch.from_numpy(kicks()))
    with pytest.raises(ValueError, match="n_fft 512 and hop 126 must be multiples of 4"):
        settle(begun(bands), bands, spec, iterations=1, seed=0)


def test_bands_that_are_all_too_wide_are_refused():
    spec = replace(SPEC, n_mels=2)
    bands = spec.forward(torch.from_numpy(kicks()))
    with pytest.raises(ValueError, match=r"none of 2 bands lies below 1\d\d\d Hz.*iterations=0"):
        settle(begun(bands), bands, spec, iterations=1, seed=0)
