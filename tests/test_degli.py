"""Deep Griffin–Lim: Griffin and Lim's method while untrained, better than that when trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from samplevae_lib.inversion import degli, griffin_lim
from samplevae_lib.inversion.degli import (
    DeepGriffinLim,
    levels,
    noisy,
    residuals,
    spectra_of,
    train_degli,
)
from samplevae_lib.inversion.short_time import random_phases
from samplevae_lib.spectral import Spectrogram

RATE, LENGTH = 8000, 2048
SPEC = Spectrogram(kind="stft", sample_rate=RATE, n_fft=128, hop=32)
SMALL = {"channels": 8, "depth": 3, "first": (5, 5), "kernel": (5, 3)}


def small(*, trained: bool = False, **sizes) -> DeepGriffinLim:
    """trained: with an output that is not zero."""
    torch.manual_seed(0)
    network = DeepGriffinLim(SPEC, **(SMALL | sizes))
    if trained:
        torch.nn.init.normal_(network.exit.weight, std=0.1)
    return network


def tones(count: int = 4) -> np.ndarray:
    """Decaying sums of three partials."""
    rng, time = np.random.default_rng(0), np.arange(LENGTH) / RATE
    partials = 2 * np.pi * rng.uniform(200, 400, (count, 1, 1)) * np.array([[1], [2], [3]]) * time
    return (np.sin(partials).sum(1) * np.exp(-8 * time)).astype(np.float32)


def magnitudes(count: int = 4) -> torch.Tensor:
    return torch.from_numpy(SPEC.forward(tones(count)))


def test_untrained_it_is_griffin_and_lims_method():
    for iterations in (1, 5):
        how = {"seed": 3, "iterations": iterations}
        ours = degli.rebuild(magnitudes(), SPEC, network=small(), **how)
        theirs = griffin_lim.rebuild(magnitudes(), SPEC, momentum=0.0, **how)
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_one_iteration_has_the_wanted_magnitudes_in_y_and_a_possible_spectrum_in_z():
    clean, frames = spectra_of(torch.from_numpy(tones()), SPEC)
    wanted = clean.abs()
    step = small(trained=True)(random_phases(wanted, 0), wanted, frames)
    assert {part.shape for part in step} == {(4, LENGTH // 32 + 1, 65)}
    assert torch.allclose(step.replaced.abs(), wanted, atol=1e-4)
    again = frames.spectra(frames.sound(step.consistent))
    assert torch.allclose(again, step.consistent, atol=1e-3)
    assert torch.equal(step.following, step.consistent - step.output)
    assert step.output.abs().max() > 0


def test_spectra_are_those_of_the_spectrogram_and_lead_back():
    sounds = torch.from_numpy(tones())
    for length in (LENGTH, LENGTH - 7):
        clean, frames = spectra_of(sounds[:, :length], SPEC)
        whole = length // 32 * 32
        same = SPEC.complex(sounds[:, :whole]).transpose(1, 2)
        assert torch.allclose(clean, same, atol=1e-4)
        assert torch.allclose(frames.cut(frames.sound(clean)), sounds[:, :whole], atol=1e-4)


def test_a_louder_clip_is_the_same_to_the_network():
    clean, frames = spectra_of(torch.from_numpy(tones()), SPEC)
    start, network = random_phases(clean.abs(), 0), small(trained=True)
    quiet = network(start, clean.abs(), frames).output
    loud = network(100 * start, 100 * clean.abs(), frames).output
    assert torch.allclose(loud, 100 * quiet, rtol=1e-3, atol=1e-2)


def test_noise_is_as_far_under_the_spectrum_as_asked_for():
    clean, _ = spectra_of(torch.from_numpy(tones()), SPEC)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0), dtype=clean.dtype)
    scale = small().scale(clean.abs())
    for snr in (-6.0, 12.0):
        added = (noisy(clean, scale, torch.tensor(snr), noise) - clean) / scale
        ratio = 20 * torch.log10(levels((clean / scale).abs()) / levels(added.abs()))
        assert torch.allclose(ratio, torch.full_like(ratio, snr), atol=0.2)


@pytest.mark.slow
def test_it_learns_one_batch():
    network, rng = small(channels=12), np.random.default_rng(0)
    sound = np.tile(tones(1)[:, : 32 * 24], (4, 1)) * rng.uniform(0.5, 1, (4, 1))
    options = {"epochs": 150, "batch": 4, "frames": 25, "rate": 1e-2, "snr": (0.0, 0.0)}
    history = train_degli(network, sound, seed=0, **options)
    error = history["train error"]
    assert error.iloc[-10:].mean() < 0.8 * error.iloc[:10].mean()


def test_training_again_gives_the_same_numbers_and_may_hold_sounds_out():
    def once() -> np.ndarray:
        history = train_degli(small(), (tones(),), seed=1, epochs=2, batch=2, frames=16, held_out=2)
        return history[["train error", "validation error"]].to_numpy()

    assert np.array_equal(once(), once())


def test_residuals_show_one_iteration():
    shown = residuals(small(trained=True), tones(2), snr=0.0, seed=1)
    assert {part.shape for part in shown} == {(2, 65, LENGTH // 32 + 1)}
    assert torch.equal(shown.wanted_output, shown.consistent - shown.clean)
    assert torch.allclose(shown.replaced.abs(), shown.clean.abs(), atol=1e-4)
    again = residuals(small(trained=True), tones(2), snr=0.0, seed=1)
    assert all(torch.equal(one, other) for one, other in zip(shown, again, strict=True))


def test_shapes_powers_seeds_and_silence():
    spectrum = magnitudes()
    spectrum[2] = 0
    made = degli.rebuild(spectrum, SPEC, network=small(trained=True), seed=1, iterations=3)
    assert made.shape == (4, LENGTH)
    assert torch.isfinite(made).all()
    assert not made[2].any()
    assert torch.equal(
        made, degli.rebuild(spectrum, SPEC, network=small(trained=True), seed=1, iterations=3)
    )
    assert not made.requires_grad
    squared = Spectrogram(**(vars(SPEC) | {"power": 2.0}))
    network = DeepGriffinLim(squared, **SMALL)
    energies = degli.rebuild(spectrum**2, squared, network=network, seed=1, iterations=3)
    assert torch.allclose(
        energies, degli.rebuild(spectrum, SPEC, network=small(), seed=1, iterations=3), atol=1e-4
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "degli needs network=…, a trained DeepGriffinLim; notebook .* trains one"),
        ({"network": torch.nn.Identity()}, "degli needs a DeepGriffinLim, not a Identity"),
        ({"network": small(), "iterations": 0}, "iterations 0: expected at least 1"),
        (
            {"network": DeepGriffinLim(Spectrogram(kind="stft", n_fft=128, hop=32), **SMALL)},
            "trained for Spectrogram.*sample_rate=22050.* not for .*sample_rate=8000",
        ),
    ],
)
def test_what_cannot_be_inverted_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        degli.rebuild(magnitudes(), SPEC, **options)


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="a mel spectrogram and depth 3: expected stft"):
        DeepGriffinLim(Spectrogram(kind="mel"), **SMALL)
    with pytest.raises(ValueError, match="depth 1: expected stft and at least 2"):
        small(depth=1)
    with pytest.raises(ValueError, match="stretches of 4064 samples from sounds of 2048"):
        train_degli(small(), tones(), seed=0, epochs=1, batch=2, frames=128)
    assert "sample_rate=8000" in repr(small())  # part of what a fit is known by


@pytest.mark.slow
def test_trained_it_comes_nearer_than_griffin_and_lim_in_as_many_iterations():
    network, spectrum = small(channels=12), magnitudes()
    train_degli(network, tones(32), seed=0, epochs=100, batch=8, frames=32, rate=3e-3)

    def distance(sound: torch.Tensor) -> float:
        return float((SPEC.forward(sound) - spectrum).norm() / spectrum.norm())

    ours = distance(degli.rebuild(spectrum, SPEC, network=network, iterations=16))
    assert ours < distance(griffin_lim.rebuild(spectrum, SPEC, iterations=16, momentum=0.0))
