"""Spectrograms of arrays and tensors, in batches: STFT, mel, CQT, MFCC; decibels and back.

All parameters stand in one frozen `Spectrogram`. An array of sounds gives an array, a tensor gives
a tensor, with gradients and on its device. The numbers are librosa's to 1e-4. `decibels` is the one
level scale of the project: decibels below the loudest.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cache
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor

Signal = TypeVar("Signal", np.ndarray, Tensor)
KINDS = ("stft", "mel", "cqt", "mfcc")
FLOOR_DB = -80.0
_POOLS = ThreadpoolController()  # looking for what is there takes longer than a transform
_LEAST = 1e-10  # power below which MFCCs take everything for equal, as in librosa


@dataclass(frozen=True)
class Spectrogram:
    """What a spectrogram is made with; rates and frequencies in Hz, lengths in samples.

    kind: "stft", "mel", "cqt" or "mfcc". n_fft, hop: length of a window and step from one to the
    next. power: 1 for magnitudes, 2 for energies (STFT and mel). n_mels, fmin, fmax: number and
    range of the bands of mel and MFCC; an fmax of 0 is half the rate. n_mfcc, lifter: coefficients
    of MFCC and the sine lifter on them (0: none). n_bins, per_octave, fmin: of CQT. Frames are
    centred on multiples of `hop`, with silence before and behind the sound.

    >>> import numpy as np
    >>> spec = Spectrogram(kind="mel", sample_rate=16000, n_fft=512, hop=128, n_mels=80)
    >>> spec.forward(np.zeros((3, 16000), np.float32)).shape  # (sounds, bins, frames)
    (3, 80, 126)
    >>> spec.bins, spec.frames(16000)
    (80, 126)
    """

    kind: str = "mel"
    sample_rate: int = 22050
    n_fft: int = 1024
    hop: int = 256
    power: float = 1.0
    n_mels: int = 128
    fmin: float = 0.0
    fmax: float = 0.0
    n_mfcc: int = 20
    lifter: float = 0.0
    n_bins: int = 84
    per_octave: int = 12

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {self.kind!r}")
        for name in ("sample_rate", "n_fft", "hop", "n_mels", "n_mfcc", "n_bins", "per_octave"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.hop > self.n_fft:
            raise ValueError(f"hop {self.hop} leaves gaps between windows of {self.n_fft} samples")
        if not 0 <= self.fmin < self.top <= self.sample_rate / 2:
            raise ValueError(
                f"fmin {self.fmin} and fmax {self.top} Hz: expected 0 ≤ fmin < fmax ≤ "
                f"{self.sample_rate / 2}, half the rate"
            )
        if self.kind == "cqt" and not self.fmin:
            raise ValueError("a CQT needs an fmin above 0 Hz, such as 32.7 (the note C1)")
        highest = self.fmin * 2 ** ((self.n_bins - 1) / self.per_octave)
        if self.kind == "cqt" and highest >= self.sample_rate / 2:
            raise ValueError(
                f"{self.n_bins} bins from {self.fmin} Hz reach {highest:.0f} Hz, beyond "
                f"{self.sample_rate / 2} Hz, half the rate: take fewer"
            )

    @property
    def top(self) -> float:
        """Where the mel bands end, in Hz."""
        return self.fmax or self.sample_rate / 2

    @property
    def bins(self) -> int:
        """How many rows a spectrogram has."""
        rows = {"stft": self.n_fft // 2 + 1, "mel": self.n_mels, "cqt": self.n_bins}
        return rows.get(self.kind, self.n_mfcc)

    def frames(self, samples: int) -> int:
        """How many columns the spectrogram of so many samples has."""
        return 1 + samples // self.hop

    def forward(self, audio: Signal) -> Signal:
        """Sounds (…, samples) → spectrograms (…, bins, frames), an array for an array."""
        if isinstance(audio, np.ndarray):
            return self.forward(torch.from_numpy(np.ascontiguousarray(audio))).numpy()
        make = {"stft": self._stft, "mel": self._mel, "cqt": self._cqt, "mfcc": self._mfcc}
        return make[self.kind](audio)

    def complex(self, audio: Tensor) -> Tensor:
        """The STFT with its phase, complex: (…, samples) → (…, n_fft / 2 + 1, frames)."""
        flat = audio.reshape(-1, audio.shape[-1])
        made = torch.stft(
            flat, self.n_fft, self.hop, window=self._window(audio), pad_mode="constant",
            return_complex=True,
        )  # fmt: skip
        return made.reshape(*audio.shape[:-1], *made.shape[-2:])

    def sound(self, spectrum: Tensor, length: int) -> Tensor:
        """The sound whose STFT is nearest, in least squares: (…, bins, frames) → (…, length)."""
        flat = spectrum.reshape(-1, *spectrum.shape[-2:])
        window = self._window(spectrum.real)
        made = torch.istft(flat, self.n_fft, self.hop, window=window, length=length)
        return made.reshape(*spectrum.shape[:-2], length)

    def mel_filters(self) -> np.ndarray:
        """(n_mels, n_fft / 2 + 1): Slaney's triangles, each of equal area."""
        return _mel_filters(self.sample_rate, self.n_fft, self.n_mels, self.fmin, self.top)

    def check(self, spectrum: np.ndarray | Tensor) -> None:
        """Raise a ValueError for what can't be a spectrogram made with these parameters."""
        if spectrum.ndim < 2 or spectrum.shape[-2] != self.bins:
            raise ValueError(
                f"a spectrogram of shape {tuple(spectrum.shape)}: expected "
                f"(…, {self.bins}, frames) for {self._told()}"
            )
        values = torch.as_tensor(spectrum)
        if not bool(torch.isfinite(values).all()):
            raise ValueError("the spectrogram holds NaN or infinite values")
        if self.kind != "mfcc" and float(values.min()) < 0:
            raise ValueError(
                f"the spectrogram holds {float(values.min()):.3g}; magnitudes are never negative. "
                "Is it in dB? Then take it back first"
            )

    def _told(self) -> str:
        return ", ".join(f"{f.name}={getattr(self, f.name)}" for f in fields(self)[:4])

    def _window(self, like: Tensor) -> Tensor:
        return torch.hann_window(self.n_fft, dtype=like.dtype, device=like.device)

    def _stft(self, audio: Tensor) -> Tensor:
        magnitude = self.complex(audio).abs()
        return magnitude if self.power == 1 else magnitude**self.power

    def _mel(self, audio: Tensor) -> Tensor:
        spectrum = self._stft(audio)
        return torch.as_tensor(self.mel_filters()).to(spectrum) @ spectrum

    def _mfcc(self, audio: Tensor) -> Tensor:
        """Cosine transform of the mel bands in dB, cut off 80 dB below each sound's loudest."""
        energy = torch.as_tensor(self.mel_filters()).to(audio) @ self.complex(audio).abs().square()
        level = 10 * torch.log10(energy.clamp(min=_LEAST))
        level = level.maximum(level.amax((-2, -1), keepdim=True) + FLOOR_DB)
        return torch.as_tensor(_cosines(self.n_mfcc, self.n_mels, self.lifter)).to(level) @ level

    def _cqt(self, audio: Tensor) -> Tensor:
        """By librosa, without gradients."""
        import librosa

        if audio.requires_grad:
            raise ValueError("a CQT has no gradients here: detach the audio first")
        with warnings.catch_warnings():
            # librosa halves the rate for low octaves and pads a short sound with silence.
            warnings.filterwarnings("ignore", "n_fft=.* is too large")
            made = librosa.cqt(
                audio.cpu().numpy(), sr=self.sample_rate, hop_length=self.hop, fmin=self.fmin,
                n_bins=self.n_bins, bins_per_octave=self.per_octave,
            )  # fmt: skip
        return torch.from_numpy(np.abs(made)).to(audio)


class Decibels(NamedTuple):
    """What `decibels` gives: levels in dB below a reference, and what leads back from them.

    level: (…, bins, frames), 0 or less. reference: the loudest, (…, 1, 1). power: 1 or 2.
    """

    level: np.ndarray | Tensor
    reference: np.ndarray | Tensor
    power: float

    def back(self) -> np.ndarray | Tensor:
        """The magnitudes (or energies) again; what was below the floor comes back as the floor."""
        return self.reference * 10 ** (self.level * (self.power / 20))


def decibels(spectrum: Signal, *, power: float = 1.0, floor: float = FLOOR_DB) -> Decibels:
    """Spectrograms (…, bins, frames) in decibels below the loudest bin of each.

    power: 1 for magnitudes (20 log10), 2 for energies (10 log10). floor: the lowest level, in dB;
    what is softer is at the floor, and so is silence.

    >>> import numpy as np
    >>> found = decibels(np.array([[2.0, 0.2, 0.0]]), floor=-60)
    >>> found.level.round(3).tolist()
    [[0.0, -20.0, -60.0]]
    >>> found.back().round(3).tolist()
    [[2.0, 0.2, 0.002]]
    """
    if isinstance(spectrum, np.ndarray):
        made = decibels(torch.from_numpy(spectrum), power=power, floor=floor)
        return Decibels(made.level.numpy(), made.reference.numpy(), power)
    reference = spectrum.amax((-2, -1), keepdim=True)
    share = spectrum / torch.where(reference > 0, reference, torch.ones_like(reference))
    least = 10 ** (floor * power / 20)
    return Decibels(20 / power * torch.log10(share.clamp(min=least)), reference, power)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let nothing within start more threads.

    The transforms of one sound are over before a second thread has begun, and on a busy machine the
    threads wait for each other: a sound that takes four milliseconds to make took a hundred.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _POOLS.limit(limits=1):
            yield
    finally:
        torch.set_num_threads(before)


@cache
def _mel_filters(rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> np.ndarray:
    import librosa

    return librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax)


@cache
def _cosines(n_mfcc: int, n_mels: int, lifter: float) -> np.ndarray:
    """Orthonormal cosine transform of type II, (n_mfcc, n_mels), and the sine lifter on it."""
    from scipy.fft import dct

    cosines = dct(np.eye(n_mels), axis=0, norm="ortho")[:n_mfcc]
    if lifter:
        order = np.arange(1, n_mfcc + 1)
        cosines *= (1 + lifter / 2 * np.sin(np.pi * order / lifter))[:, None]
    return cosines.astype(np.float32)
