"""Spectrograms agree with librosa, keep batches and gradients apart, and come back from dB."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from samplevae_lib.spectral import Decibels, Spectrogram, decibels

RATE = 22050


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def alike(ours: np.ndarray, theirs: np.ndarray) -> bool:
    return ours.shape == theirs.shape and np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()


# Parity.


@pytest.mark.parametrize("samples", [5000, 8192])
@pytest.mark.parametrize(("n_fft", "hop"), [(1024, 256), (512, 100)])
@pytest.mark.parametrize("power", [1.0, 2.0])
def test_stft_and_mel_are_librosas(samples, n_fft, hop, power):
    sounds = noise(2, 3, samples)
    both = {"n_fft": n_fft, "hop": hop, "power": power, "sample_rate": RATE}
    stft = Spectrogram(kind="stft", **both)
    theirs = np.abs(librosa.stft(sounds, n_fft=n_fft, hop_length=hop)) ** power
    assert alike(stft.forward(sounds), theirs)
    assert theirs.shape[-2:] == (stft.bins, stft.frames(samples))
    mel = Spectrogram(kind="mel", n_mels=40, fmin=50, fmax=8000, **both)
    theirs = librosa.feature.melspectrogram(
        y=sounds, sr=RATE, n_fft=n_fft, hop_length=hop, power=power, n_mels=40, fmin=50, fmax=8000
    )
    assert alike(mel.forward(sounds), theirs)
    assert theirs.shape[-2:] == (mel.bins, mel.frames(samples))


@pytest.mark.parametrize("lifter", [0, 22])
def test_mfcc_is_librosas(lifter):
    spec = Spectrogram(kind="mfcc", sample_rate=RATE, n_mfcc=13, lifter=lifter)
    for sound in (noise(8000), librosa.chirp(fmin=100, fmax=5000, sr=RATE, length=8000)):
        theirs = librosa.feature.mfcc(
            y=sound, sr=RATE, n_mfcc=13, n_fft=1024, hop_length=256, lifter=lifter
        )
        assert alike(spec.forward(sound), theirs)


def test_a_batch_of_mfcc_is_that_of_each_sound_alone():
    spec = Spectrogram(kind="mfcc")
    sounds = np.stack([noise(4096), 1e-3 * noise(4096)])
    assert alike(spec.forward(sounds), np.stack([spec.forward(sound) for sound in sounds]))


def test_cqt_is_librosas():
    sounds = noise(2, 16384)
    spec = Spectrogram(kind="cqt", sample_rate=RATE, fmin=65.4, n_bins=48)
    theirs = librosa.cqt(sounds, sr=RATE, hop_length=256, fmin=65.4, n_bins=48)
    assert alike(spec.forward(sounds), np.abs(theirs))
    assert theirs.shape[-2:] == (spec.bins, spec.frames(16384))


# Arrays, tensors, there and back.


@pytest.mark.parametrize("kind", ["stft", "mel", "mfcc"])
def test_a_tensor_gives_a_tensor_with_gradients_and_an_array_an_array(kind):
    spec = Spectrogram(kind=kind)
    audio = torch.from_numpy(noise(2, 2048)).requires_grad_()
    made = spec.forward(audio)
    made.sum().backward()
    assert audio.grad.abs().sum() > 0
    assert np.allclose(spec.forward(audio.detach().numpy()), made.detach().numpy())


def test_what_has_no_gradients_says_so():
    spec = Spectrogram(kind="cqt", fmin=65.4, n_bins=24)
    with pytest.raises(ValueError, match="no gradients"):
        spec.forward(torch.zeros(8192, requires_grad=True))


@settings(max_examples=20, deadline=None)
@given(st.integers(600, 3000), st.sampled_from([(512, 128), (256, 100), (400, 160)]))
def test_a_spectrum_with_its_phase_gives_the_sound_back(samples, sizes):
    spec = Spectrogram(kind="stft", n_fft=sizes[0], hop=sizes[1])
    audio = torch.from_numpy(noise(2, samples))
    back = spec.sound(spec.complex(audio), samples)
    # The last samples may lie behind the middle of the last window.
    seen = (spec.frames(samples) - 1) * spec.hop
    assert torch.allclose(back[..., :seen], audio[..., :seen], atol=1e-4)


# Decibels.


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_decibels_are_librosas_and_lead_back(power):
    spectrum = np.abs(noise(3, 20, 30)) ** power
    made = decibels(spectrum, power=power)
    convert = librosa.amplitude_to_db if power == 1 else librosa.power_to_db
    theirs = np.stack([convert(one, ref=np.max, top_db=80) for one in spectrum])
    assert np.allclose(made.level, theirs, atol=1e-3)
    loud = made.level > -79.9
    assert np.allclose(made.back()[loud], spectrum[loud], rtol=1e-4)


def test_levels_are_below_each_ones_own_loudest_and_not_under_the_floor():
    spectrum = np.array([[[1.0, 0.1, 0.0]], [[100.0, 10.0, 1e-9]]])
    made = decibels(spectrum, floor=-60)
    assert made.level == pytest.approx(np.array([[[0, -20, -60]], [[0, -20, -60]]]))
    assert made.reference.ravel().tolist() == [1, 100]
    assert made.back()[1, 0] == pytest.approx([100, 10, 0.1])


def test_silence_is_at_the_floor_and_comes_back_silent():
    made = decibels(np.zeros((2, 4, 5)))
    assert isinstance(made, Decibels)
    assert (made.level == -80).all()
    assert (made.back() == 0).all()


# What can't be.


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "chroma"}, "one of stft, mel, cqt, mfcc, not 'chroma'"),
        ({"hop": 0}, "hop must be at least 1, not 0"),
        ({"hop": 2048}, "hop 2048 leaves gaps between windows of 1024"),
        ({"fmin": 12000.0}, "fmin 12000.0 and fmax 11025.0 Hz"),
        ({"fmax": 20000.0}, "fmax 20000.0 Hz: .* 11025.0, half the rate"),
        ({"kind": "cqt"}, "a CQT needs an fmin above 0"),
        (
            {"kind": "cqt", "fmin": 130.8, "sample_rate": 16000, "n_bins": 84},
            r"84 bins from 130\.8 Hz reach 15803 Hz, beyond 8000",
        ),
    ],
)
def test_parameters_that_cannot_be_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Spectrogram(**given)


@pytest.mark.parametrize(
    ("spectrum", "message"),
    [
        (np.zeros((100, 8)), r"shape \(100, 8\): expected \(…, 128, frames\) for kind=mel"),
        (np.zeros(128), r"shape \(128,\)"),
        (np.full((128, 2), np.nan), "NaN or infinite"),
        (np.full((128, 2), -12.5), "holds -12.5; magnitudes are never negative. Is it in dB"),
    ],
)
def test_spectrograms_that_cannot_be_are_refused(spectrum, message):
    with pytest.raises(ValueError, match=message):
        Spectrogram().check(spectrum)


def test_a_spectrogram_of_these_parameters_passes():
    Spectrogram().check(Spectrogram().forward(noise(2, 4096)))
    Spectrogram(kind="mfcc").check(torch.full((20, 3), -4.0))
