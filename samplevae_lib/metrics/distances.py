"""How far rebuilt sounds are from their originals, by their magnitudes."""

from __future__ import annotations

import numpy as np

from samplevae_lib.spectral import FLOOR_DB, Spectrogram, decibels


def spectral_convergence(reference: np.ndarray, test: np.ndarray, spec: Spectrogram) -> np.ndarray:
    """Distance of magnitudes over the size of the reference's: sounds (…, samples) → (…,).

    0 for the same magnitudes, 1 for silence in place of a sound (Sturmel and Daudet, DAFx 2011,
    who give it in dB). Silence has none: silence for it counts 0, a sound infinity.
    """
    _refuse_unequal(reference, test)
    return relative_distance(spec.forward(reference), spec.forward(test))


def relative_distance(wanted: np.ndarray, made: np.ndarray) -> np.ndarray:
    """The same of magnitudes, (…, bins, frames) → (…,)."""
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
    """Root mean square over bins, mean over frames, of the difference in dB: (…, samples) → (…,).

    above: only bins from this frequency in Hz up (STFT alone). Levels lower than `floor` dB below
    the reference's loudest bin count as that, so that silence is not told from less silence.
    """
    _refuse_unequal(reference, test)
    wanted = spec.forward(reference)
    known = decibels(wanted, power=spec.power, floor=floor)
    loudest = np.where(known.reference > 0, known.reference, 1.0)
    share = np.maximum(spec.forward(test) / loudest, 10 ** (floor * spec.power / 20))
    away = 20 / spec.power * np.log10(share) - known.level
    first = int(np.ceil(above * spec.n_fft / spec.sample_rate))
    return np.sqrt(np.square(away[..., first:, :]).mean(-2)).mean(-1)


def _refuse_unequal(reference: np.ndarray, test: np.ndarray) -> None:
    if reference.shape != test.shape:
        raise ValueError(
            f"reference has shape {reference.shape} and test {test.shape}: expected the same; cut "
            "or pad one of them so that they lie on each other"
        )


def residual_db(signal: np.ndarray, estimate: np.ndarray) -> np.ndarray:
    """Energy of signal − estimate in dB relative to that of the signal, over the last axis.

    −10 dB: a tenth of the energy is left over. An exact estimate gives −inf.
    """
    signal, estimate = np.asarray(signal, np.float64), np.asarray(estimate, np.float64)
    if signal.shape != estimate.shape:
        raise ValueError(f"signal {signal.shape} and estimate {estimate.shape} differ in shape")
    energy = np.square(signal).sum(-1)
    if not np.all(energy > 0):
        raise ValueError("a silent signal has no energy to relate a residual to")
    with np.errstate(divide="ignore"):
        return 10 * np.log10(np.square(signal - estimate).sum(-1) / energy)


def snr_db(clean: np.ndarray, noisy: np.ndarray) -> np.ndarray:
    """Signal-to-noise ratio in dB over the last axis: the residual's level turned round."""
    return -residual_db(clean, noisy)
