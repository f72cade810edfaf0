"""WaveNet: what it sees, that it learns, and that quick generation says what the network says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from samplevae_lib.inversion import wavenet
from samplevae_lib.inversion import wavenet_kernels as kernels
from samplevae_lib.inversion.wavenet import (
    WaveNet,
    classes,
    companded,
    dilations,
    expanded,
    prepared,
    receptive_field,
    train_wavenet,
    values,
)
from samplevae_lib.spectral import Spectrogram

RATE = 8000
SPEC = Spectrogram(kind="mel", sample_rate=RATE, n_fft=128, hop=32, n_mels=8)
SMALL = {"layers": 4, "stacks": 2, "residual": 8, "gate": 16, "skip": 8, "local": 8}


def small(**sizes) -> WaveNet:
    torch.manual_seed(0)
    return WaveNet(SPEC, **(SMALL | sizes))


def tones(count: int = 4, samples: int = 1024) -> np.ndarray:
    """Sines of one pitch and different loudness, from a start of their own."""
    rng, time = np.random.default_rng(0), np.arange(samples) / RATE
    sounds = np.sin(2 * np.pi * (500 * time + rng.random((count, 1))))
    return (rng.uniform(0.1, 0.9, (count, 1)) * sounds).astype(np.float32)


def test_the_field_of_24_layers_in_4_stacks_is_that_of_the_thesis():
    assert receptive_field(24, 4, 3) == 505
    assert 31.5 <= 505 / 16 < 31.6  # milliseconds at 16 kHz
    assert dilations(6, 2) == [1, 2, 4, 1, 2, 4]
    with pytest.raises(ValueError, match="10 layers can't be divided into 4 stacks"):
        dilations(10, 4)


@pytest.mark.parametrize(("layers", "stacks", "kernel"), [(4, 2, 3), (4, 1, 2), (3, 3, 4)])
def test_a_sample_depends_on_the_field_before_it_and_on_nothing_else(layers, stacks, kernel):
    model = small(layers=layers, stacks=stacks, kernel=kernel).double()
    sound = torch.rand(1, 160, dtype=torch.float64, requires_grad=True)
    logits = model(sound, torch.rand(1, 8, 6, dtype=torch.float64))
    logits[0, :, 120].square().sum().backward()
    seen = sound.grad[0].nonzero().flatten()
    field = receptive_field(layers, stacks, kernel)
    assert (int(seen[0]), int(seen[-1])) == (120 - field, 119)


def test_the_bands_count_from_one_frame_before_a_stretch_to_one_behind_it():
    features = torch.rand(1, 8, 12, requires_grad=True)
    small()(torch.zeros(1, 32 * 11), features)[0, :, 32 * 5 : 32 * 6].square().sum().backward()
    seen = features.grad[0].abs().sum(0).nonzero().flatten()
    assert int(seen[-1]) == 7
    assert int(seen[0]) < 4  # what lies before is seen through the samples


def test_mu_law_leads_back_and_classes_are_its_steps():
    sound = torch.linspace(-1, 1, 1001)
    assert torch.allclose(expanded(companded(sound)), sound, atol=1e-5)
    assert classes(torch.tensor([-2.0, -1.0, 1.0, 2.0])).tolist() == [0, 0, 255, 255]
    every = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(classes(expanded(values(every))), every)


def test_features_do_not_tell_how_loud_a_sound_is_but_the_level_does():
    model, bands = small(), torch.from_numpy(SPEC.forward(tones()))
    features, level = model.features(bands)
    louder, more = model.features(10 * bands)
    assert torch.allclose(features, louder, atol=1e-5)
    assert torch.allclose(more, 10 * level)
    assert float(features.amin()) >= 0
    assert torch.allclose(features.amax((1, 2)), torch.ones(4))
    energies = torch.from_numpy(SPEC.forward(tones())) ** 2
    squared = WaveNet(Spectrogram(**(vars(SPEC) | {"power": 2.0})), **SMALL)
    assert torch.allclose(squared.features(energies)[0], features, atol=1e-4)


def test_prepared_sounds_fill_the_range_and_their_level_leads_back():
    model, sounds = small(), torch.from_numpy(tones())
    chosen, _ = prepared(model, sounds)
    assert chosen.shape == (4, 1024)
    assert {0, 255} & set(chosen.flatten().tolist())
    _, level = model.features(SPEC.forward(sounds))
    back = level * expanded(values(chosen))
    assert float((back - sounds).abs().max()) < 0.03
    silent, _ = prepared(model, torch.zeros(1, 64))
    assert set(silent.flatten().tolist()) == {128}


@pytest.mark.slow
def test_it_learns_one_tone():
    model = small(residual=16, gate=32, skip=32)
    options = {"epochs": 60, "batch": 4, "stretches": 8, "rate": 1e-2}
    history = train_wavenet(model, tones(), seed=0, **options)
    first, last = history["train surprise"].iloc[[0, -1]]
    assert last < 0.6 * first


def test_training_again_gives_the_same_numbers_and_may_hold_sounds_out():
    def once() -> np.ndarray:
        history = train_wavenet(
            small(), (tones(),), seed=1, epochs=2, batch=2, stretches=4, held_out=2
        )
        return history[["train surprise", "validation surprise"]].to_numpy()

    assert np.array_equal(once(), once())


def test_quick_generation_says_what_the_network_says_of_its_own_sound():
    model = small()
    features = torch.rand(3, 8, 5)
    draws = np.random.default_rng(0).random((128, 3), dtype=np.float32)
    with torch.no_grad():
        tables = model.tables(model.between(features))
        chosen, quick = kernels.generate(tables, draws, np.float32(1), keep=True)
        slow = model(values(torch.from_numpy(chosen.T.copy())), features)
    assert np.abs(quick - slow.permute(2, 0, 1).numpy()).max() < 1e-4
    shares = torch.from_numpy(quick).softmax(-1).cumsum(-1)
    drawn = torch.searchsorted(shares, torch.from_numpy(draws)[..., None])[..., 0]
    assert (drawn.numpy() == chosen).mean() > 0.99  # but for ties in the last digit


def test_generation_depends_on_the_seed_and_on_nothing_else():
    model, features = small(), torch.rand(2, 8, 5)
    once = model.generate(features, seed=3)
    assert once.shape == (2, 128)
    assert torch.equal(once, model.generate(features, seed=3))
    assert not torch.equal(once, model.generate(features, seed=4))


def test_a_low_temperature_draws_the_likeliest_values():
    model, features = small(), torch.rand(2, 8, 5)
    cold = model.generate(features, seed=0, temperature=1e-4)
    with torch.no_grad():
        likeliest = model(companded(cold), features).argmax(1)
    assert (classes(cold) == likeliest).float().mean() > 0.95  # but for ties


def test_the_inverter_gives_sounds_their_level_back_and_silence_for_silence():
    bands = SPEC.forward(torch.from_numpy(tones()))
    bands[2] = 0
    made = wavenet.rebuild(bands, SPEC, network=small(), seed=1)
    louder = wavenet.rebuild(10 * bands, SPEC, network=small(), seed=1)
    assert made.shape == (4, 1024)
    assert torch.allclose(louder, 10 * made, rtol=1e-3)
    assert not made[2].any()
    assert made[[0, 1, 3]].abs().amax(1).min() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "wavenet needs network=…, a trained WaveNet; notebook .* trains one"),
        ({"network": torch.nn.Identity()}, "wavenet needs a WaveNet, not a Identity"),
        ({"network": small(), "temperature": 0.0}, "temperature 0.0: expected more than 0"),
        (
            {"network": WaveNet(Spectrogram(kind="mel", n_mels=8), **SMALL)},
            "trained for Spectrogram.*sample_rate=22050.* not for .*sample_rate=8000",
        ),
    ],
)
def test_what_cannot_be_inverted_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        wavenet.rebuild(SPEC.forward(torch.from_numpy(tones())), SPEC, **options)


def test_only_mel_bands_condition_a_wavenet():
    with pytest.raises(ValueError, match="a stft spectrogram and 16 gate channels: expected mel"):
        WaveNet(Spectrogram(kind="stft"), **SMALL)
    with pytest.raises(ValueError, match="3 gate channels"):
        small(gate=3)
    assert "sample_rate=8000" in repr(small())  # part of what a fit is known by


@pytest.mark.slow
def test_a_trained_network_hums_at_the_pitch_it_learnt():
    model = small(residual=24, gate=48, skip=48)
    options = {"epochs": 300, "batch": 4, "stretches": 8, "rate": 5e-3}
    train_wavenet(model, tones(8), seed=0, **options)
    made = wavenet.rebuild(SPEC.forward(torch.from_numpy(tones())), SPEC, network=model)
    loudest = made[:, 256:].numpy()
    spectrum = np.abs(np.fft.rfft(loudest * np.hanning(loudest.shape[1]), axis=1))
    hertz = spectrum.argmax(1) * RATE / loudest.shape[1]
    assert np.abs(hertz - 500).max() < 20
