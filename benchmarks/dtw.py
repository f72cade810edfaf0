"""Dynamic time warping of all pairs of recordings, beside a loop of librosa's.

`python -m benchmarks.dtw` prints the table.
"""

from __future__ import annotations

import librosa
import numpy as np

from benchmarks.medians import medians
from samplevae_lib.metrics.cepstra import htk_mfcc, pairwise_dtw

RATE, SAMPLES = 8000, 4096  # as in thesis L


def run(*, rounds: int = 3, recordings: int = 33) -> str:
    """The table: seconds for all pairs, how often that is faster, and how far both differ.

    rounds: how often each is timed; the median counts. recordings: how many are compared.
    """
    cepstra = list(htk_mfcc(sounds(recordings), RATE))
    made: dict[str, np.ndarray] = {}
    ways = {
        "loop of librosa.sequence.dtw": lambda: made.update(theirs=plain(cepstra)),
        "samplevae pairwise_dtw": lambda: made.update(ours=pairwise_dtw(cepstra)),
    }
    taken = medians(ways, rounds=rounds)
    slowest = max(taken.values())
    pairs = recordings * (recordings - 1) // 2
    away = np.abs(made["ours"] - made["theirs"]).max()
    return "\n".join(
        [
            f"{pairs} pairs of {' × '.join(map(str, cepstra[0].shape))} coefficients × frames, "
            f"medians of {rounds} rounds",
            *(f"{name:30} {s:8.4f} s {slowest / s:7.1f} ×" for name, s in taken.items()),
            f"largest difference {away:.1e} of costs about {made['theirs'].max():.0f}",
        ]
    )


def sounds(recordings: int) -> np.ndarray:
    """Rising tones in noise, as loud as speech: (recordings, samples)."""
    rng, time = np.random.default_rng(0), np.arange(SAMPLES) / RATE
    turns = np.cumsum(rng.uniform(200, 1200, (recordings, 1)) * (1 + time), 1) / RATE
    return 0.3 * np.sin(2 * np.pi * turns) + 0.05 * rng.normal(size=turns.shape)


def plain(cepstra: list[np.ndarray]) -> np.ndarray:
    """What `pairwise_dtw` returns, by librosa for one pair and one coefficient after the other."""
    made = np.zeros((len(cepstra), len(cepstra)))
    for i, one in enumerate(cepstra):
        for j, other in enumerate(cepstra[:i]):
            costs = [librosa.sequence.dtw(a[None], b[None], backtrack=False)[-1, -1]
                     for a, b in zip(one, other, strict=True)]  # fmt: skip
            made[i, j] = made[j, i] = np.mean(costs)
    return made


if __name__ == "__main__":
    print(run())
