"""Rebuilt sounds beside their originals, a row for each: heard, recognised, and by magnitudes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import NamedTuple

import numpy as np
import pandas as pd

from samplevae_lib.metrics.distances import log_spectral_distance, spectral_convergence
from samplevae_lib.metrics.fingerprints import fingerprint_similarity
from samplevae_lib.metrics.peaq.grade import odg
from samplevae_lib.progress import track
from samplevae_lib.spectral import Spectrogram

HEARD, ALIKE = "ODG", "fingerprint similarity"
_TINY = 1e-20  # energy: silence has a level, too


def rate(originals: np.ndarray, rebuilt: np.ndarray, spec: Spectrogram) -> pd.DataFrame:
    """(clips, samples) twice, on each other, and the STFT that magnitudes are compared with.

    Columns: ODG; fingerprint similarity, 0 … 100; spectral convergence; log-spectral distance in
    dB; level in dB over the original's, since PEAQ is kind to what is too soft.
    """
    pairs = list(zip(originals, rebuilt, strict=True))
    energies = [np.square(sounds).sum(1) + _TINY for sounds in (rebuilt, originals)]
    return pd.DataFrame(
        {
            HEARD: grades(originals, rebuilt, spec.sample_rate)[HEARD],
            ALIKE: [fingerprint_similarity(*pair, spec.sample_rate) for pair in pairs],
            "convergence": spectral_convergence(originals, rebuilt, spec),
            "distance dB": log_spectral_distance(originals, rebuilt, spec),
            "level dB": 10 * np.log10(energies[0] / energies[1]),
        }
    )


def grades(originals: np.ndarray, rebuilt: np.ndarray, sample_rate: int) -> pd.DataFrame:
    """ODG of each pair and, under the standard's names, the variables behind it."""
    pairs = zip(originals, rebuilt, strict=True)
    found = [
        odg(one, other, sample_rate, details=True)
        for one, other in track(pairs, "grading", total=len(originals))
    ]
    return pd.DataFrame([asdict(each) for each in found]).rename(columns={"odg": HEARD})


def summary(rated: pd.DataFrame) -> dict[str, float]:
    """The mean of every column over the clips and its 95 % limits, each under its own name."""
    means = {}
    for column in rated:
        found = interval(rated[column])
        means |= {f"{column} mean": found.mean, f"{column} low": found.low}
        means[f"{column} high"] = found.high
    return means


class Interval(NamedTuple):
    """A mean between two limits; prints as "0.94 (0.91 to 0.97)"."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3g} ({self.low:.3g} to {self.high:.3g})"


def interval(values: Sequence[float], *, confidence: float = 0.95) -> Interval:
    """Student's interval for the mean of independent values, such as one a seed.

    A single value has no interval: both limits are NaN, which no comparison holds for.
    """
    from scipy import stats

    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"values have shape {values.shape}: expected (values,), at least one")
    mean = float(values.mean())
    if len(values) == 1:
        return Interval(mean, float("nan"), float("nan"))
    error = values.std(ddof=1) / np.sqrt(len(values))
    reach = float(stats.t.ppf(0.5 + confidence / 2, len(values) - 1) * error)
    return Interval(mean, mean - reach, mean + reach)
