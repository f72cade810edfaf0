"""Many ways from a spectrogram to sound, rated on the same clips: what is heard, how far the
magnitudes are, how fast it was.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from samplevae_lib.inversion.griffin_lim import linear
from samplevae_lib.inversion.methods import invert
from samplevae_lib.metrics.ratings import Interval, interval, rate, summary
from samplevae_lib.spectral import Spectrogram

_DISTANCES = ("convergence", "distance dB", "level dB")  # columns that tell of magnitudes
_WARM_UP = 64  # frames of a first clip, which is not timed: it compiles what has to be


class Way(NamedTuple):
    """One row of a comparison.

    method: of `inversion.METHODS`. spec: of the spectrograms it gets. options: of the method.
    from_mel: if given, the linear magnitudes that the method gets are not the sound's own but
    solved for from such mel bands.
    """

    method: str
    spec: Spectrogram
    options: Mapping[str, Any] = MappingProxyType({})
    from_mel: Spectrogram | None = None


@dataclass(frozen=True)
class Comparison:
    """What `compare` found, each by the name of a way.

    ratings: a row for each clip, with the columns of `metrics.ratings.rate`; the index counts the
    clips that went in. rebuilt: sounds (clips, samples). speed: seconds of sound made in a second.
    """

    ratings: dict[str, pd.DataFrame]
    rebuilt: dict[str, np.ndarray]
    speed: dict[str, float]

    def table(self) -> pd.DataFrame:
        """A row for each way: what is heard (means and 95 % limits), its speed, clips rated."""
        heard = self._means().drop(columns=self.distances().columns)
        clips = {name: len(rated) for name, rated in self.ratings.items()}
        return heard.assign(
            **{"seconds per second": pd.Series(self.speed), "clips": pd.Series(clips)}
        )

    def distances(self) -> pd.DataFrame:
        """A row for each way: how far the magnitudes are, means and 95 % limits."""
        means = self._means()
        return means[[column for column in means if column.startswith(_DISTANCES)]]

    def intervals(self, column: str) -> dict[str, Interval]:
        """The mean of a rating with its 95 % limits, for each way."""
        return {name: interval(rated[column]) for name, rated in self.ratings.items()}

    def _means(self) -> pd.DataFrame:
        return pd.DataFrame({name: summary(rated) for name, rated in self.ratings.items()}).T


def compare(
    sounds: np.ndarray,
    ways: Mapping[str, Way],
    *,
    stft: Spectrogram,
    seed: int = 0,
    at_most: Mapping[str, int] = MappingProxyType({}),
) -> Comparison:
    """Rebuild sounds (clips, samples) from their spectrograms in every way, and rate the results.

    stft: by which magnitudes are compared, the same for all ways. seed: of every way. at_most: for
    slow methods, by name, about how many clips to rate; they are evenly spread, from the first on.

    >>> import numpy as np
    >>> from samplevae_lib.spectral import Spectrogram
    >>> spec = Spectrogram(kind="stft", sample_rate=16000, n_fft=512, hop=128)
    >>> sounds = np.random.default_rng(0).normal(size=(2, 8000)).astype(np.float32)
    >>> ways = {"none": Way("no_phase", spec), "GLA": Way("griffin_lim", spec)}
    >>> compared = compare(sounds, ways, stft=spec)
    >>> list(compared.table().columns)[:3]
    ['ODG mean', 'ODG low', 'ODG high']
    >>> far = compared.distances()["convergence mean"]
    >>> bool(far["GLA"] < far["none"])
    True
    """
    found = Comparison({}, {}, {})
    for name, way in ways.items():
        step = max(1, len(sounds) // at_most.get(way.method, len(sounds)))
        some = np.array(sounds[::step])
        found.rebuilt[name], found.speed[name] = _rebuilt(way, some, seed)
        rated = rate(some, found.rebuilt[name], stft)
        found.ratings[name] = rated.set_axis(range(0, len(sounds), step))
    return found


def _rebuilt(way: Way, sounds: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
    """The sounds again, and how many seconds of them are made in one."""
    if way.from_mel:
        bands = torch.from_numpy(way.from_mel.forward(sounds))
        given = linear(bands, way.from_mel).numpy()
    else:
        given = way.spec.forward(sounds)
    options = {"method": way.method, "seed": seed, **way.options}
    invert(given[:1, :, :_WARM_UP], way.spec, **options)
    started = time.perf_counter()
    made = invert(given, way.spec, length=sounds.shape[1], **options)
    return made, sounds.size / way.spec.sample_rate / (time.perf_counter() - started)
