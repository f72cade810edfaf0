"""Names for the parts of a map: what most of their sounds are, and what sets them apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

FEATURES = {"bright": "dark", "noisy": "tonal", "long": "short"}  # what a feature of 1 is, and of 0
MIXED = "mixed"
SURE = 0.4  # the least share of a region's sounds that names it
_APART = 0.15  # by so much a feature's mean must differ from that of its like to be worth a word
_DRAWN = 8000  # of more sounds, so many decide where the regions lie


def centres(points: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Middles of regions of a map, (points, 2) → (regions, 2): six of few sounds to 16 of many.

    They are those of k-means.
    """
    drawn = points[np.random.default_rng(seed).permutation(len(points))[:_DRAWN]]
    count = int(np.clip(len(points) ** 0.35, 6, 16))
    count = max(1, min(count, len(points) // 4, len(np.unique(drawn, axis=0))))
    with threadpool_limits(1):
        return KMeans(count, n_init=4, random_state=seed).fit(drawn).cluster_centers_


def names(sounds: pd.DataFrame, region: np.ndarray) -> list[str]:
    """A name for each region, such as "snare", "long kick", "bright, short" or "mixed".

    sounds: with the columns label, heard, bright, noisy, long. region: of each sound, 0 ….
    The first word is the label that two fifths of the sounds have, else the class that as many
    are heard as. A feature is named where its mean is away from that of all sounds with that
    word, by 0.15 of the range, and two of them where there is no word.
    """
    return [_name(sounds, region == number) for number in range(region.max() + 1)]


def _name(sounds: pd.DataFrame, inside: np.ndarray) -> str:
    word, like = _word(sounds, inside)
    away = sounds.loc[inside, list(FEATURES)].mean() - sounds.loc[like, list(FEATURES)].mean()
    clear = away[away.abs() >= _APART].sort_values(key=np.abs, ascending=False)
    said = [high if clear[high] > 0 else FEATURES[high] for high in clear.index]
    return f"{said[0]} {word}" if word and said else word or ", ".join(said[:2]) or MIXED


def _word(sounds: pd.DataFrame, inside: np.ndarray) -> tuple[str, np.ndarray]:
    """The word for a region, if there is one, and all sounds that it is true of, else all."""
    for column in ("label", "heard"):
        shares = sounds.loc[inside, column].value_counts(normalize=True)
        if len(shares) and shares.index[0] and shares.iloc[0] >= SURE:
            return shares.index[0], (sounds[column] == shares.index[0]).to_numpy()
    return "", np.ones(len(sounds), bool)
