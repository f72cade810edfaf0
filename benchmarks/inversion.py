"""Spectrogram inversion beside librosa's, clip by clip and in batches, from equal input."""

from __future__ import annotations

from collections.abc import Callable

import librosa
import numpy as np
import torch

from benchmarks.medians import medians
from samplevae_lib.inversion import invert
from samplevae_lib.metrics.distances import relative_distance
from samplevae_lib.spectral import Spectrogram

CLIPS, RATE = 64, 22050  # one second each
STFT = Spectrogram(kind="stft", sample_rate=RATE)
MEL = Spectrogram(kind="mel", sample_rate=RATE)


def run(*, rounds: int = 3) -> str:
    """Seconds for all clips, and how near each way comes to the spectrograms it was given."""
    sounds = clips()
    from_stft, from_mel = STFT.forward(sounds), MEL.forward(sounds)
    return "\n".join(
        [
            f"{CLIPS} clips of one second at {RATE} Hz, 32 iterations, medians of {rounds} rounds, "
            f"{torch.get_num_threads()} threads; distance: spectral convergence",
            *_compared(_from_stft(from_stft), from_stft, STFT, rounds),
            *_compared(_from_mel(from_mel), from_mel, MEL, rounds),
        ]
    )


def clips() -> np.ndarray:
    """Decaying tones under noise that decays faster, (clips, samples)."""
    rng, time = np.random.default_rng(0), np.arange(RATE) / RATE
    tones = np.sin(2 * np.pi * rng.uniform(60, 4000, (CLIPS, 1)) * time) * np.exp(-4 * time)
    return (tones + rng.normal(size=tones.shape) * np.exp(-20 * time)).astype(np.float32)


def _from_stft(given: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
    def theirs(spectrum: np.ndarray) -> np.ndarray:
        return librosa.griffinlim(
            spectrum, n_fft=STFT.n_fft, hop_length=STFT.hop, length=RATE, random_state=0
        )

    return {
        "librosa.griffinlim, one by one": lambda: np.stack([theirs(one) for one in given]),
        "librosa.griffinlim, in a batch": lambda: theirs(given),
        "plain loop of torch.stft, one by one": lambda: np.stack([plain(one) for one in given]),
        "samplevae griffin_lim": lambda: invert(given, STFT, length=RATE),
    }


def plain(given: np.ndarray, *, iterations: int = 32, momentum: float = 0.99) -> np.ndarray:
    """Griffin–Lim as one would write it down first: magnitudes (bins, frames) → (samples,)."""
    wanted = torch.from_numpy(given)
    generator = torch.Generator().manual_seed(0)
    phase = torch.polar(
        torch.ones_like(wanted), 2 * np.pi * torch.rand(wanted.shape, generator=generator)
    )
    before = torch.zeros_like(phase)
    for _ in range(iterations):
        found = STFT.complex(STFT.sound(wanted * phase, RATE))
        phase, before = found - momentum / (1 + momentum) * before, found
        phase = phase / phase.abs().clamp(min=1e-16)
    return STFT.sound(wanted * phase, RATE).numpy()


def _from_mel(given: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
    def theirs() -> np.ndarray:
        return librosa.feature.inverse.mel_to_audio(
            given, sr=RATE, n_fft=MEL.n_fft, hop_length=MEL.hop, power=MEL.power, length=RATE
        )

    def ours() -> np.ndarray:
        return invert(given, MEL, method="mel_griffin_lim", length=RATE)

    def neural() -> np.ndarray:
        return invert(given, MEL, method="neural", length=RATE)

    def one_pass() -> np.ndarray:
        return invert(given, MEL, method="neural", length=RATE, iterations=0)

    return {
        "librosa mel_to_audio, in a batch": theirs,
        "samplevae mel_griffin_lim": ours,
        "samplevae neural": neural,
        "samplevae neural, one pass": one_pass,
    }


def _compared(
    ways: dict[str, Callable[[], np.ndarray]], given: np.ndarray, spec: Spectrogram, rounds: int
) -> list[str]:
    made: dict[str, np.ndarray] = {}

    def keeping(name: str) -> Callable[[], None]:
        return lambda: made.update({name: ways[name]()})

    seconds = medians({name: keeping(name) for name in ways}, rounds=rounds)
    slowest = max(seconds.values())
    away = {name: distance(sound, given, spec) for name, sound in made.items()}
    return [
        f"{name:36} {s:7.2f} s {slowest / s:6.1f} ×  distance {away[name]:.4f}"
        for name, s in seconds.items()
    ]


def distance(sounds: np.ndarray, given: np.ndarray, spec: Spectrogram) -> float:
    """How far magnitudes are from those given, relative to their size, as a mean over clips."""
    return float(relative_distance(given, spec.forward(sounds)).mean())


if __name__ == "__main__":
    print(run())
