"""Phases from slopes, by multipliers and of constant-Q spectra: each against what is known."""

from __future__ import annotations

import heapq

import librosa
import numpy as np
import pytest
import torch

from benchmarks.inversion import clips, distance
from samplevae_lib.inversion import invert, phase_gradient
from samplevae_lib.inversion.griffin_lim import _admm_step
from samplevae_lib.spectral import Spectrogram

RATE, LENGTH = 22050, 8192
STFT = Spectrogram(kind="stft", sample_rate=RATE, n_fft=1024, hop=256)
CQT = Spectrogram(
    kind="cqt", sample_rate=16000, hop=128, n_bins=96, per_octave=24, fmin=130.8, n_fft=512
)
PLAIN = {"sr": 16000, "hop_length": 128, "fmin": 130.8, "bins_per_octave": 24}
METHODS = {"pghi": STFT, "admm": STFT, "cqt_no_phase": CQT, "cqt_griffin_lim": CQT}


@pytest.fixture(scope="module")
def sounds() -> np.ndarray:
    """The first clips of the bench, shortened."""
    return clips()[:8, :LENGTH]


def note(length: int = LENGTH) -> np.ndarray:
    """Harmonics that decay, (1, samples) at 16 kHz."""
    time = np.arange(length) / 16000
    partials = [np.sin(2 * np.pi * 220 * h * time) / h for h in range(1, 7)]
    return (np.sum(partials, axis=0) * np.exp(-3 * time))[None].astype(np.float32)


def reached(sounds: np.ndarray, method: str, spec: Spectrogram = STFT, **options) -> float:
    """Spectral convergence of what a method makes of the sounds' own spectrogram."""
    spectrum = spec.forward(sounds)
    made = invert(spectrum, spec, method=method, length=sounds.shape[-1], **options)
    return distance(made, spectrum, spec)


# Phase gradient heap integration.


def tone() -> np.ndarray:
    return np.sin(2 * np.pi * 1000.3 * np.arange(LENGTH) / RATE)


def impulse() -> np.ndarray:
    made = np.zeros(LENGTH)
    made[LENGTH // 2 + 77] = 1
    return made


@pytest.mark.parametrize("sound", [tone, impulse])
@pytest.mark.parametrize("sizes", [(1024, 256), (1024, 128), (400, 100)])
def test_slopes_lead_to_the_phases_of_a_tone_and_of_an_impulse(sound, sizes):
    spec = Spectrogram(kind="stft", sample_rate=RATE, n_fft=sizes[0], hop=sizes[1])
    assert reached(sound()[None].astype(np.float32), "pghi", spec) < 0.08


def test_slopes_come_nearer_than_no_phase_and_one_iteration(sounds):
    slopes = reached(sounds, "pghi")
    assert slopes < 0.6 * reached(sounds, "griffin_lim", iterations=1)
    assert slopes < 0.3 * reached(sounds, "no_phase")


def by_the_book(loudness: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """The paper's algorithm for one clip, as plainly as can be."""
    phases, left = {}, set(zip(*np.nonzero(loudness > 1e-6 * loudness.max()), strict=True))
    while left:
        first = max(left, key=lambda at: loudness[at])
        left.remove(first)
        phases[first], waiting = 0.0, [(-loudness[first], first)]
        while waiting:
            _, (m, n) = heapq.heappop(waiting)
            for axis, way in ((0, -1), (0, 1), (1, -1), (1, 1)):
                to = (m + way, n) if axis == 0 else (m, n + way)
                if to in left:
                    left.remove(to)
                    slope = (slopes[axis][m, n] + slopes[axis][to]) / 2
                    phases[to] = phases[m, n] + way * slope
                    heapq.heappush(waiting, (-loudness[to], to))
    made = np.full(loudness.shape, np.nan)
    for at, phase in phases.items():
        made[at] = phase
    return made


def test_the_heap_takes_bins_in_the_order_of_the_paper():
    rng = np.random.default_rng(0)
    loudness = (rng.exponential(size=(2, 12, 17)) ** 3).astype(np.float32)
    loudness[0, :, 5] = loudness[1, 4:6] = 0  # islands
    for clip in loudness:
        phases = phase_gradient._phases(clip, 32, 8)
        theirs = by_the_book(clip, phase_gradient._slopes(clip, 32, 8))
        assert np.array_equal(np.isnan(phases), clip <= 1e-6 * clip.max())
        assert np.allclose(np.exp(1j * phases), np.exp(1j * theirs), atol=1e-5, equal_nan=True)


# The alternating direction method of multipliers.


def test_a_step_by_multipliers_is_the_papers():
    generator = torch.Generator().manual_seed(0)
    both, possible = torch.randn(2, 3, 20, 9, dtype=torch.complex64, generator=generator)
    wanted, rho = both.abs() + 1, 0.3
    # In the paper's variables: z the spectrum, u the multipliers; then x, and the next sum.
    z = (rho * both + possible) / (1 + rho)
    u = both - z
    x = torch.polar(wanted, (z - u).angle())
    assert torch.allclose(_admm_step(both, possible, wanted, rho, last=False), x + u, atol=1e-4)
    assert torch.allclose(_admm_step(both, possible, wanted, rho, last=True), x, atol=1e-4)


def test_multipliers_come_nearer_than_the_classic_iteration_and_keep_up_with_momentum(sounds):
    multipliers = reached(sounds, "admm")
    assert multipliers < 0.7 * reached(sounds, "griffin_lim", momentum=0.0)
    assert multipliers < 1.1 * reached(sounds, "griffin_lim")


@pytest.mark.parametrize("method", ["griffin_lim", "admm"])
def test_a_start_from_slopes_makes_up_for_iterations(sounds, method):
    short = {
        start: reached(sounds, method, iterations=8, start=start) for start in ("random", "pghi")
    }
    assert short["pghi"] < 0.7 * short["random"]


# Constant-Q spectra.


def test_constant_q_phases_are_librosas_and_nearer_than_none():
    spectrum = CQT.forward(note())
    ours = invert(spectrum, CQT, method="cqt_griffin_lim", length=LENGTH, iterations=4, seed=7)
    theirs = librosa.griffinlim_cqt(spectrum, n_iter=4, length=LENGTH, random_state=7, **PLAIN)
    assert np.allclose(ours, theirs, atol=1e-5)
    assert distance(ours, spectrum, CQT) < 0.5 * reached(note(), "cqt_no_phase", CQT)


def test_no_phase_is_librosas_inverse():
    spectrum = CQT.forward(note())
    theirs = librosa.icqt(spectrum, length=LENGTH, **PLAIN)
    assert np.allclose(invert(spectrum, CQT, method="cqt_no_phase"), theirs, atol=1e-6)


# All of them.


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("samples", [0, 1, 300])
def test_the_shortest_of_clips_and_empty_frames_are_inverted(method, samples):
    spec = METHODS[method]
    spectrum = np.random.default_rng(0).exponential(size=(2, spec.bins, spec.frames(samples)))
    spectrum = spectrum.astype(np.float32)
    spectrum[0, :, -1], spectrum[1, 3:] = 0, 0
    short = {"iterations": 2} if method == "cqt_griffin_lim" else {}
    made = invert(spectrum, spec, method=method, length=samples, **short)
    assert made.shape == (2, samples)
    assert np.isfinite(made).all()


@pytest.mark.parametrize("method", list(METHODS))
def test_silence_stays_silent_beside_a_sound_and_a_seed_tells_the_sound(method):
    spec = METHODS[method]
    spectrum = np.concatenate([spec.forward(note()), spec.forward(0 * note())])
    short = {"iterations": 2} if method == "cqt_griffin_lim" else {}
    first, again, other = (
        invert(spectrum, spec, method=method, seed=seed, **short) for seed in (1, 1, 2)
    )
    assert first[0].any() and not first[1].any()
    assert np.array_equal(first, again)
    if method not in ("pghi", "cqt_no_phase"):
        assert not np.array_equal(first, other)


@pytest.mark.parametrize("sizes", [(512, 128), (400, 160), (510, 102)])
@pytest.mark.parametrize("method", ["pghi", "admm"])
def test_energies_are_inverted_as_well_as_magnitudes_for_any_sizes(sounds, method, sizes):
    both = [
        Spectrogram(kind="stft", sample_rate=RATE, n_fft=sizes[0], hop=sizes[1], power=power)
        for power in (1.0, 2.0)
    ]
    made = [invert(spec.forward(sounds[:2]), spec, method=method) for spec in both]
    spectrum = both[0].forward(made[0])
    assert distance(made[1], spectrum, both[0]) < 0.05
    assert reached(sounds[:2], method, both[0]) < 0.25


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("admm", {"iterations": 0}, "iterations 0 and rho 0.2: expected ≥ 1 and ≥ 0"),
        ("admm", {"rho": -1}, "iterations 32 and rho -1"),
        ("admm", {"start": "zero"}, "start must be one of random, pghi, not 'zero'"),
        ("griffin_lim", {"start": "zero"}, "start must be one of random, pghi, not 'zero'"),
        ("cqt_griffin_lim", {"momentum": -1}, "iterations 32 and momentum -1"),
    ],
)
def test_what_no_method_can_do_is_refused(method, options, message):
    spec = METHODS.get(method, STFT)
    with pytest.raises(ValueError, match=message):
        invert(np.ones((spec.bins, 4), np.float32), spec, method=method, **options)
