"""Inverters: as near as librosa's, silent for silence, the same for one seed; clear refusals."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch

import samplevae_lib as sv
from samplevae_lib.inversion import METHODS, invert, short_time
from samplevae_lib.inversion.griffin_lim import linear
from samplevae_lib.inversion.short_time import Frames, band_gain, with_magnitudes
from samplevae_lib.metrics.distances import relative_distance
from samplevae_lib.spectral import Spectrogram

RATE, LENGTH = 16000, 8000
STFT = Spectrogram(kind="stft", sample_rate=RATE, n_fft=512, hop=128)
MEL = Spectrogram(kind="mel", sample_rate=RATE, n_fft=512, hop=128, n_mels=80)
CQT = Spectrogram("cqt", RATE, 512, 128, n_bins=96, per_octave=24, fmin=130.8)
SPECS = {"stft": STFT, "mel": MEL, "cqt": CQT}
# What is trained for some parameters, and not for these: tested where it is trained.
TRAINED = ("degli", "wavenet", "neural")
SHORT = {"cqt_griffin_lim": {"iterations": 2}}  # librosa takes its time


def hits(count: int = 3) -> np.ndarray:
    """Decaying tones with a noisy start."""
    rng, time = np.random.default_rng(0), np.arange(LENGTH) / RATE
    tones = np.sin(2 * np.pi * rng.uniform(100, 3000, (count, 1)) * time) * np.exp(-6 * time)
    return (tones + rng.normal(size=tones.shape) * np.exp(-60 * time)).astype(np.float32)


def convergence(sound: np.ndarray, spectrum: np.ndarray, spec: Spectrogram) -> float:
    """Distance of magnitudes, relative to their size, mean over clips."""
    return float(relative_distance(spectrum, spec.forward(sound)).mean())


@pytest.mark.parametrize("sizes", [(512, 128), (400, 160)])
def test_frames_are_those_of_the_spectrogram_and_lead_back(sizes):
    spec = Spectrogram(kind="stft", n_fft=sizes[0], hop=sizes[1])
    audio = torch.from_numpy(hits())[:, : sizes[1] * 20]
    wanted = spec.complex(audio)
    frames = Frames(spec, wanted.shape[-1], audio)
    back = frames.sound(wanted.transpose(-1, -2))
    assert torch.allclose(frames.cut(back), audio, atol=1e-4)
    assert torch.allclose(frames.spectra(back).transpose(-1, -2), wanted, atol=1e-3)


@pytest.mark.parametrize("kept", [0.0, 0.4])
def test_the_compiled_step_is_the_one_in_torch(kept):
    generator = torch.Generator().manual_seed(0)
    spectra = torch.randn(2, 3, 50, 65, dtype=torch.complex64, generator=generator)
    possible, before = spectra.unbind()
    wanted = possible.abs() + 1
    wanted[0, 0], possible[0, 1], before[0, 1] = 0, 0, 0
    how = {"before": before, "momentum": 0.99, "kept": kept}
    ours = with_magnitudes(possible, wanted, **how)
    plain = short_time._in_torch(possible, wanted=wanted, **how)
    assert torch.allclose(ours, plain, rtol=1e-4, atol=1e-5)
    if not kept:
        assert not ours[0, :2].abs().any()
        assert torch.allclose(ours[1:].abs(), wanted[1:], rtol=1e-4)
    possible[1, 2, 3] = float("nan")
    assert with_magnitudes(possible, wanted, **how).isnan().any()


def test_bands_get_louder_by_what_they_lack_and_by_no_more_than_four_times():
    filters = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 0.0]])  # bins by bands
    shares = filters.T.contiguous()
    spectra = torch.tensor([[[2.0, 1.0, 1.0, 5.0]]], dtype=torch.complex64)
    gain = band_gain(spectra, torch.tensor([[[3.0, 100.0]]]), filters, shares)
    assert gain.flatten().tolist() == pytest.approx([1.5, 4.0, 4.0, 0.0])
    silent = band_gain(spectra, torch.zeros(1, 1, 2), filters, shares)
    assert silent.flatten().tolist() == pytest.approx([0.25, 0.25, 0.25, 0.0])


def test_griffin_lim_comes_as_near_as_librosas():
    spectrum = STFT.forward(hits(8))
    ours = convergence(invert(spectrum, STFT, length=LENGTH), spectrum, STFT)
    theirs = librosa.griffinlim(
        spectrum, n_iter=32, n_fft=512, hop_length=128, length=LENGTH, random_state=0
    )
    assert ours <= 1.05 * convergence(theirs, spectrum, STFT)


def test_more_iterations_and_momentum_come_nearer_and_no_phase_is_far():
    spectrum = STFT.forward(hits(4))

    def distance(**options) -> float:
        return convergence(invert(spectrum, STFT, length=LENGTH, **options), spectrum, STFT)

    classic = [distance(iterations=count, momentum=0.0) for count in (1, 8, 32)]
    assert classic == sorted(classic, reverse=True)
    assert distance() < 0.8 * classic[-1]
    assert distance(method="no_phase") > 2 * classic[-1]


def test_the_linear_solution_explains_the_bands_and_is_never_negative():
    bands = torch.from_numpy(MEL.forward(hits()))
    found = linear(bands, MEL)
    assert float(found.min()) >= 0
    filters = torch.from_numpy(MEL.mel_filters())
    assert float((filters @ found - bands).norm()) < 0.02 * float(bands.norm())
    theirs = librosa.util.nnls(MEL.mel_filters(), bands[0].numpy())
    left = np.linalg.norm(MEL.mel_filters() @ theirs - bands[0].numpy())
    assert float((filters @ found[0] - bands[0]).norm()) <= max(1.2 * left, 0.01 * bands.norm())


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_mel_bands_lead_to_a_sound_with_those_bands(power):
    spec = Spectrogram(kind="mel", sample_rate=RATE, n_fft=512, hop=128, n_mels=80, power=power)
    bands = spec.forward(hits())
    sound = invert(bands, spec, method="mel_griffin_lim", length=LENGTH)
    assert convergence(sound, bands, spec) < 0.25


@pytest.mark.parametrize("method", [name for name in METHODS if name not in TRAINED])
def test_every_method_keeps_shapes_kinds_seeds_and_silence(method):
    spec = SPECS[METHODS[method].kind]
    spectrum = spec.forward(hits(4)).reshape(2, 2, spec.bins, -1)
    how = {"method": method} | SHORT.get(method, {})
    how |= {"lenders": hits(3)} if method == "borrowed" else {}
    made = invert(spectrum, spec, length=LENGTH, seed=3, **how)
    assert made.shape == (2, 2, LENGTH)
    again = invert(torch.from_numpy(spectrum), spec, length=LENGTH, seed=3, **how)
    assert torch.equal(again, torch.from_numpy(made))
    assert invert(spectrum[0, 0], spec, **how).shape == (128 * (spectrum.shape[-1] - 1),)
    assert not invert(np.zeros_like(spectrum), spec, **how).any()
    assert np.isfinite(made).all()
    assert METHODS[method].paper


def test_clips_do_not_depend_on_what_else_is_inverted():
    spectrum = STFT.forward(hits(3))
    alone = invert(spectrum[:1], STFT, method="no_phase")
    assert np.allclose(alone, invert(spectrum, STFT, method="no_phase")[:1], atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "magic"}, "one of no_phase, .*, neural, not 'magic'"),
        (
            {"method": "mel_griffin_lim"},
            "takes mel spectrograms, not stft; .* no_phase, pghi, griffin",
        ),
        ({"length": 9000}, "length 9000 has 71 frames at hop 128, but the spectrogram has 63"),
        ({"iterations": 0}, "iterations 0 and momentum 0.99"),
        ({"spec": MEL, "method": "mel_griffin_lim"}, r"expected \(…, 80, frames\) for kind=mel"),
    ],
)
def test_what_cannot_be_inverted_is_refused(change, message):
    given = {"spec": STFT, "spectrum": STFT.forward(hits())} | change
    with pytest.raises(ValueError, match=message):
        invert(**given)


def test_negative_magnitudes_and_nan_are_refused():
    spectrum = STFT.forward(hits())
    with pytest.raises(ValueError, match="magnitudes are never negative"):
        invert(spectrum - 1, STFT)
    spectrum[0, 3, 3] = np.nan
    with pytest.raises(ValueError, match="NaN or infinite"):
        sv.inversion.invert(spectrum, STFT)
