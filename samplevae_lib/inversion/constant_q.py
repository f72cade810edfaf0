"""From constant-Q magnitudes back to sound: Griffin and Lim's iteration, and zero phases."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numba
import numpy as np
import torch
from numba import prange
from torch import Tensor

from samplevae_lib.inversion.short_time import ahead, random_phases
from samplevae_lib.spectral import Spectrogram


def without_phase(spectrum: Tensor, spec: Spectrogram, *, seed: int = 0) -> Tensor:
    """librosa's inverse CQT of magnitudes alone: (clips, bins, frames) → (clips, samples).

    There is no chance in it: `seed` has no bearing.
    """
    import librosa

    length = spec.hop * (spectrum.shape[-1] - 1)
    made = librosa.icqt(
        spectrum.detach().cpu().numpy(), sr=spec.sample_rate, hop_length=spec.hop, fmin=spec.fmin,
        bins_per_octave=spec.per_octave, length=length,
    )  # fmt: skip
    return torch.from_numpy(made[:, :length]).to(spectrum)


def rebuild(
    spectrum: Tensor,
    spec: Spectrogram,
    *,
    seed: int = 0,
    iterations: int = 32,
    momentum: float = 0.9,
) -> Tensor:
    """(clips, bins, frames) → (clips, samples), from random phases.

    Each iteration keeps the phases of the sound so far and corrects it by what its magnitudes lack.
    With an orthogonal projection that is Griffin and Lim's; a CQT whose high bins are sampled too
    rarely for their width has none at hand, and this comes nearer. momentum: how far each step goes
    beyond, along the last one (Perraudin et al. 2013).
    """
    if iterations < 1 or momentum < 0:
        raise ValueError(f"iterations {iterations} and momentum {momentum}: expected ≥ 1 and ≥ 0")
    bank = FilterBank(spec, spectrum.shape[-1])
    wanted = spectrum.detach().cpu().contiguous()
    sound = further = bank.sound(random_phases(wanted, seed))
    for _ in range(iterations):
        found = bank.answers(further)
        corrected = further + bank.sound(ahead(found, found, wanted, 0.0) - found)
        sound, further = corrected, torch.lerp(sound, corrected, 1 + momentum)
    return sound.to(spectrum)


_SUPPORT = 0.01  # of a filter's largest response: below it counts as none
_LEAST = (
    0.05  # of the gain usual at a frequency: where filters reach less, they are not made up for
)


class FilterBank:
    """Between sounds (clips, samples), samples = hop · (frames − 1), and complex CQTs of them.

    Silence is before and behind a sound. The CQTs, (clips, bins, frames), are librosa.cqt's but
    for a hundredth or two, in which its resampling differs.
    """

    def __init__(self, spec: Spectrogram, frames: int):
        self.hop, self.frames, self.bins = spec.hop, frames, spec.n_bins
        self.filters = _filters(spec, frames)
        self.padded = spec.hop * self.filters.columns
        self.correction = torch.from_numpy(_correction(self.filters, spec.hop))

    def answers(self, sound: Tensor) -> Tensor:
        """(clips, samples) → (clips, bins, frames), complex."""
        padded = torch.nn.functional.pad(sound, (0, self.padded - sound.shape[-1]))
        spectrum = torch.fft.rfft(padded)
        folded = spectrum.new_zeros(len(sound), self.bins, self.filters.columns)
        _heed_threads()
        _fold(spectrum.numpy(), *self.filters.stretches, folded.numpy())
        return torch.fft.ifft(folded)[..., : self.frames].contiguous()

    def sound(self, answers: Tensor) -> Tensor:
        """(clips, bins, frames) → (clips, samples), a step towards a sound with these answers.

        What remains of the difference between `answers` and those of the sound is never more than
        before; nothing remains where filters are sampled often enough for their width.
        """
        folded = torch.fft.fft(answers, n=self.filters.columns)
        spectrum = folded.new_zeros(len(answers), self.padded // 2 + 1)
        _heed_threads()
        _unfold(folded.numpy(), *self.filters.stretches, spectrum.numpy())
        padded = torch.fft.irfft(spectrum.mul_(self.correction), n=self.padded)
        return padded[:, : self.hop * (self.frames - 1)]


class _Filters(NamedTuple):
    """Responses of all filters in one row; (bins + 1,) starts in it; (bins,) lowest frequencies.

    Frequencies count as in the spectrum of a padded clip, `columns` hops long.
    """

    responses: np.ndarray
    starts: np.ndarray
    lowest: np.ndarray
    columns: int

    @property
    def stretches(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.responses, self.starts, self.lowest


@lru_cache(maxsize=8)
def _filters(spec: Spectrogram, frames: int) -> _Filters:
    from scipy.fft import next_fast_len

    waves, lengths = _waves(spec)
    columns = next_fast_len(frames + -(-waves.shape[1] // (2 * spec.hop)))
    responses, lowest = [], []
    for wave, length in zip(waves, lengths, strict=True):
        response = _response(wave, columns * spec.hop) * (np.sqrt(length) / spec.hop)
        loud = np.flatnonzero(np.abs(response) > _SUPPORT * np.abs(response).max())
        responses.append(response[loud[0] : loud[-1] + 1].astype(np.complex64))
        lowest.append(loud[0])
    starts = np.cumsum([0, *map(len, responses)])
    return _Filters(np.concatenate(responses), starts, np.array(lowest), columns)


def _waves(spec: Spectrogram) -> tuple[np.ndarray, np.ndarray]:
    """Windowed complex tones, (bins, samples), each in the middle of its row, and their lengths."""
    import librosa

    pitches = spec.fmin * 2.0 ** (np.arange(spec.n_bins) / spec.per_octave)
    if pitches[-1] >= spec.sample_rate / 2:
        raise ValueError(
            f"{spec.n_bins} bins from {spec.fmin} Hz reach {pitches[-1]:.0f} Hz, beyond "
            f"{spec.sample_rate / 2} Hz, half the rate"
        )
    step = 4 ** (1 / spec.per_octave)
    width = np.full(spec.n_bins, (step - 1) / (step + 1))
    return librosa.filters.wavelet(
        freqs=pitches, sr=spec.sample_rate, window="hann", norm=1, alpha=width
    )


def _response(wave: np.ndarray, samples: int) -> np.ndarray:
    """What a correlation with a wave does to the frequencies 0 … samples / 2."""
    around_zero = np.zeros(samples, np.complex64)
    middle = len(wave) // 2
    around_zero[: len(wave) - middle], around_zero[-middle:] = wave[middle:], wave[:middle]
    return np.fft.fft(around_zero)[: samples // 2 + 1].conj()


def _correction(filters: _Filters, hop: int) -> np.ndarray:
    """(frequencies,): 1 / what goes from one frequency to all that it is folded together with.

    Where nothing is folded that is the gain of all filters, and the correction exact; elsewhere the
    sum of a row of absolute values bounds what the way there and back does.
    """
    gains = np.abs(filters.responses).astype(np.complex64)  # complex: for these the loops are there
    frequencies = np.arange(filters.columns * hop // 2 + 1)
    folded = np.zeros((1, len(filters.lowest), filters.columns), np.complex64)
    everything = np.ones((1, len(frequencies)), np.complex64)
    _fold(everything, gains, filters.starts, filters.lowest, folded)
    total = np.zeros_like(everything)
    _unfold(folded, gains, filters.starts, filters.lowest, total)
    total = total[0].real
    reached = total > 0
    usual = np.median((total * frequencies)[reached]) / np.maximum(frequencies, 1)
    bounded = 1 / np.maximum(total, _LEAST * usual)
    return np.where(reached, bounded, 0).astype(np.float32)


def _heed_threads() -> None:
    numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))


@numba.njit(parallel=True, cache=True)
def _fold(spectrum, responses, starts, lowest, folded):
    columns = folded.shape[2]
    for clip in prange(len(folded)):
        for bin in range(len(lowest)):
            for at in range(starts[bin], starts[bin + 1]):
                frequency = lowest[bin] + at - starts[bin]
                folded[clip, bin, frequency % columns] += spectrum[clip, frequency] * responses[at]


@numba.njit(parallel=True, cache=True)
def _unfold(folded, responses, starts, lowest, spectrum):
    """The adjoint of folding."""
    columns = folded.shape[2]
    for clip in prange(len(folded)):
        for bin in range(len(lowest)):
            for at in range(starts[bin], starts[bin + 1]):
                frequency = lowest[bin] + at - starts[bin]
                answer = folded[clip, bin, frequency % columns]
                spectrum[clip, frequency] += answer * np.conj(responses[at])
