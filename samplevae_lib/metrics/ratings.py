"""Tables of ratings, means with their intervals, and the words in which both become evidence."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields
from typing import NamedTuple

import numpy as np
import pandas as pd

from samplevae_lib.audio import SILENCE
from samplevae_lib.metrics.distances import log_spectral_distance, spectral_convergence
from samplevae_lib.metrics.fingerprints import fingerprint_similarity
from samplevae_lib.metrics.peaq.grade import Details, odg
from samplevae_lib.progress import track
from samplevae_lib.spectral import Spectrogram, one_thread_each

HEARD, ALIKE = "ODG", "fingerprint similarity"
_TINY = 1e-20  # added to energies, so that silence has a level as well


class Interval(NamedTuple):
    """A mean between two limits; prints as "0.94 (0.91 to 0.97)".

    A format applies to all three numbers: f"{Interval(0.9, 0.8, 1):.0%}" is "90% (80% to 100%)".
    """

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return format(self, ".3g")

    def __format__(self, form: str) -> str:
        mean, low, high = (format(value, form or ".3g") for value in self)
        return f"{mean} ({low} to {high})"


def rate(originals: np.ndarray, rebuilt: np.ndarray, spec: Spectrogram) -> pd.DataFrame:
    """Rate sounds that were rebuilt against their originals, a row for each pair.

    originals, rebuilt: (clips, samples), of which each pair lies on each other sample by sample.
    spec: the STFT with which magnitudes are compared; its rate is that of the sounds.

    Columns: "ODG", the grade by PEAQ; "fingerprint similarity", 0 … 100; "convergence", spectral
    convergence; "distance dB", log-spectral distance; "level dB", how much louder than the
    original it is (PEAQ is kind to what is too soft).
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
    """The grade of each pair of sounds, "ODG", and what PEAQ has computed it from.

    originals, rebuilt: (clips, samples) at `sample_rate` Hz. The other columns are the eleven
    variables of BS.1387-1 under the standard's names, and its distortion index, "di". Silence in
    place of a sound has no grade, NaN: PEAQ hears what was added, not what is gone.
    """
    pairs = zip(originals, rebuilt, strict=True)

    def graded(pair: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
        peak, of_rebuilt = (np.abs(sound).max() for sound in pair)
        gone = of_rebuilt < SILENCE <= peak
        return {} if gone else asdict(odg(*pair, sample_rate, details=True))

    with one_thread_each(), ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(track(pool.map(graded, pairs), "grading", total=len(originals)))
    names = [field.name for field in fields(Details)]
    return pd.DataFrame(found, columns=names).rename(columns={"odg": HEARD})


def summary(rated: pd.DataFrame) -> dict[str, float]:
    """Mean and 95 % interval of each column over the rows (the clips).

    A column X gives three values: "X mean", "X low" and "X high".
    """
    means = {}
    for column in rated:
        found = interval(rated[column])
        means |= {f"{column} mean": found.mean, f"{column} low": found.low}
        means[f"{column} high"] = found.high
    return means


def interval(values: Sequence[float], *, confidence: float = 0.95) -> Interval:
    """Student's interval for the mean of independent values, such as one for each seed.

    confidence: how often such an interval holds the true mean, 0 … 1. A single value has no
    interval: both limits are NaN, so that no comparison with them holds.

    >>> from samplevae_lib.metrics import interval
    >>> print(interval([0.90, 0.94, 0.95, 0.91, 0.96]))
    0.932 (0.9 to 0.964)
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


def listed(values: Mapping[str, object] | pd.Series, *, form: str = ".2f", unit: str = "") -> str:
    """Named values in a row, as the evidence of a claim states them.

    values: a dict or a pandas Series of numbers or intervals. Whole numbers and text appear as
        they are.
    form: how a number is written, as in an f-string: ".2f", ".0%", ".3g".
    unit: what is written behind each value, such as "dB".

    >>> from samplevae_lib.metrics import Interval, listed
    >>> listed({"convolutional": 0.93, "hybrid": Interval(0.9, 0.86, 0.94)})
    'convolutional 0.93, hybrid 0.90 (0.86 to 0.94)'
    >>> listed({"sine": 0.126, "sawtooth": 1.0}, form=".0%")
    'sine 13%, sawtooth 100%'
    >>> listed({"hybrid": -14.27, "dilated": -9.98}, form=".1f", unit="dB")
    'hybrid -14.3 dB, dilated -10.0 dB'
    """
    behind = f" {unit}" if unit else ""
    return ", ".join(f"{name} {_written(value, form)}{behind}" for name, value in values.items())


def _written(value: object, form: str) -> str:
    return format(value, form) if isinstance(value, float | np.floating | Interval) else str(value)
