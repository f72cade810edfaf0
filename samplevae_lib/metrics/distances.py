"""How far a sound is from the one it should be: by its magnitudes, and sample by sample."""

from __future__ import annotations

import numpy as np

from samplevae_lib.spectral import FLOOR_DB, Spectrogram, decibels

_TOGETHER = 8  # sounds whose spectra fit where memory is fast


def spectral_convergence(reference: np.ndarray, test: np.ndarray, spec: Spectrogram) -> np.ndarray:
    """Size of the difference between two magnitude spectrograms, in shares of the reference's.

    reference, test: sounds (…, samples) of one shape. spec: the spectrogram to compare them with.
    Returns (…,): 0 where the magnitudes are the same, 1 for silence in place of a sound. Where the
    reference is silent, 0 for silence and infinity for anything else. Sturmel and Daudet, DAFx
    2011, who give it in dB.

    >>> import numpy as np
    >>> from samplevae_lib.metrics import spectral_convergence
    >>> from samplevae_lib.spectral import Spectrogram
    >>> sound = np.sin(np.arange(8000, dtype=np.float32) / 9)
    >>> spec = Spectrogram("stft", sample_rate=8000, n_fft=512, hop=128)
    >>> print(spectral_convergence(sound, 0.75 * sound, spec).round(4))
    0.25
    """
    _refuse_unequal(reference=reference, test=test)
    return relative_distance(spec.forward(reference), spec.forward(test))


def relative_distance(wanted: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Spectral convergence of magnitudes that are at hand already: (…, bins, frames) → (…,)."""
    away, size = (np.linalg.norm(s, axis=(-2, -1)) for s in (made - wanted, wanted))
    of_silence = np.where(away > 0, np.inf, 0.0)
    return np.where(size > 0, away / np.where(size > 0, size, 1), of_silence)


def log_spectral_distance(
    reference: np.ndarray,
    test: np.ndarray,
    spec: Spectrogram,
    *,
    above: float = 0.0,
    floor: float = FLOOR_DB,
) -> np.ndarray:
    """Difference of two spectrograms in dB: root mean square over bins, mean over frames.

    reference, test: sounds (…, samples) of one shape. spec: the spectrogram to compare them with.
    above: only bins from this frequency in Hz upwards count (STFT alone).
    floor: in dB below the reference's loudest bin. What is softer counts as this loud in both
        sounds, so that inaudible differences between two kinds of silence do not count.
    Returns (…,), in dB.

    >>> import numpy as np
    >>> from samplevae_lib.metrics import log_spectral_distance
    >>> from samplevae_lib.spectral import Spectrogram
    >>> sound = np.random.default_rng(0).normal(size=8000).astype(np.float32)
    >>> spec = Spectrogram("stft", sample_rate=8000, n_fft=512, hop=128)
    >>> print(log_spectral_distance(sound, sound / 2, spec).round(2))
    6.02
    """
    _refuse_unequal(reference=reference, test=test)
    first = int(np.ceil(above * spec.n_fft / spec.sample_rate))
    shape, samples = np.shape(reference)[:-1], np.shape(reference)[-1]
    pairs = [np.reshape(sounds, (-1, samples)) for sounds in (reference, test)]
    parts = [np.split(each, range(_TOGETHER, len(each), _TOGETHER)) for each in pairs]
    found = [_away(*pair, spec, first, floor) for pair in zip(*parts, strict=True)]
    return np.concatenate(found).reshape(shape)[()]


def _away(
    reference: np.ndarray, test: np.ndarray, spec: Spectrogram, first: int, floor: float
) -> np.ndarray:
    """The same of a few pairs (pairs, samples), over the bins from the first on."""
    wanted = spec.forward(reference)
    known = decibels(wanted, power=spec.power, floor=floor)
    loudest = np.where(known.reference > 0, known.reference, 1.0)
    share = np.maximum(spec.forward(test) / loudest, 10 ** (floor * spec.power / 20))
    away = 20 / spec.power * np.log10(share) - known.level
    return np.sqrt(np.square(away[..., first:, :]).mean(-2)).mean(-1)


def multi_scale_distance(
    reference: np.ndarray, test: np.ndarray, sample_rate: int, *, floor: float = -60.0
) -> np.ndarray:
    """`log_spectral_distance` as a mean over windows of 2048 to 128 samples, each with a quarter's
    hop: long ones tell pitches apart, short ones moments.

    reference, test: sounds (…, samples) of one shape. floor: in dB below the loudest bin. Returns
    (…,), in dB. The scales are those of the losses after Yamamoto, Song and Kim (ICASSP 2020).
    """
    specs = [Spectrogram("stft", sample_rate, n, n // 4) for n in (2048, 1024, 512, 256, 128)]
    each = [log_spectral_distance(reference, test, spec, floor=floor) for spec in specs]
    return np.mean(each, axis=0)


def residual_db(signal: np.ndarray, estimate: np.ndarray) -> np.ndarray:
    """Energy of signal − estimate in dB, relative to the signal's: (…, samples) twice → (…,).

    At −10 dB a tenth of the energy is left over. An exact estimate gives −inf.
    """
    signal, estimate = np.asarray(signal, np.float64), np.asarray(estimate, np.float64)
    _refuse_unequal(signal=signal, estimate=estimate)
    energy = np.square(signal).sum(-1)
    if not np.all(energy > 0):
        raise ValueError(
            "signal is silent: there is no energy to relate a residual to; leave it out"
        )
    with np.errstate(divide="ignore"):
        return 10 * np.log10(np.square(signal - estimate).sum(-1) / energy)


def snr_db(clean: np.ndarray, noisy: np.ndarray) -> np.ndarray:
    """Signal-to-noise ratio in dB: (…, samples) twice → (…,); noisy − clean is the noise."""
    return -residual_db(clean, noisy)


def _refuse_unequal(**pair: np.ndarray) -> None:
    (one, first), (other, second) = pair.items()
    if first.shape != second.shape:
        raise ValueError(
            f"{one} has shape {first.shape} and {other} {second.shape}: expected the same; cut or "
            "pad one of them so that they lie on each other"
        )
