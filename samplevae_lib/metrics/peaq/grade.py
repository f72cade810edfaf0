"""The objective difference grade of PEAQ: from a pair of sounds, or their variables, to a grade.

ITU-R BS.1387-1, basic version; the neural network is that of annex 2, section 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass

import numpy as np
from scipy.special import expit

from samplevae_lib import audio
from samplevae_lib.metrics.peaq import ear
from samplevae_lib.metrics.peaq.variables import Variables, counting, settled, variables_of

SHORT = 3 * ear.RATE  # a pair of fewer samples is repeated …
LONG_ENOUGH = 4 * ear.RATE  # … until it has this many
FEW = 24  # frames (half a second): a pair of which fewer count is repeated, however long it is
LOUDEST = 100.0  # 40 dB above full scale: a higher peak means that full scale is not at 1
# Least and greatest value of each variable, weights and offsets of the network: section 6.2,
# tables 15 to 17.
_LEAST = np.array(
    [393.916656, 361.965332, -24.045116, 1.110661, -0.206623, 0.074318, 1.113683, 0.950345,
     0.029985, 0.000101, 0.0]
)  # fmt: skip
_GREATEST = np.array(
    [921, 881.131226, 16.212030, 107.137772, 2.886017, 13.933351, 63.257874, 1145.018555,
     14.819740, 1, 1]
)  # fmt: skip
_INNER = np.array(
    [
        [-0.502657, 0.436333, 1.219602],
        [4.307481, 3.246017, 1.123743],
        [4.984241, -2.211189, -0.192096],
        [0.051056, -1.762424, 4.331315],
        [2.321580, 1.789971, -0.754560],
        [-5.303901, -3.452257, -10.814982],
        [2.730991, -6.111805, 1.519223],
        [0.624950, -1.331523, -5.955151],
        [3.102889, 0.871260, -5.922878],
        [-1.051468, -0.939882, -0.142913],
        [-1.804679, -0.503610, -0.620456],
    ]
)
_INNER_OFFSET = np.array([-2.518254, 0.654841, -2.207228])
_OUTER, _OUTER_OFFSET = np.array([-3.817048, 4.107138, 4.629582]), -0.307594
_WORST, _BEST = -3.98, 0.22

Sound = np.ndarray | Sequence[float]


@dataclass(frozen=True)
class Details(Variables):
    """The eleven variables of a pair, the distortion index they give (`di`), and its grade."""

    di: float
    odg: float


def odg(
    reference: Sound, test: Sound, sample_rate: int, *, details: bool = False
) -> float | Details:
    """Objective difference grade: how much worse than `reference` `test` is heard to be.

    reference, test: (samples,) each and equally long, with full scale at 1, which PEAQ takes for 92
        dB SPL, so that the level matters. They must lie on each other sample by sample: a shift
        counts as a difference.
    sample_rate: of both, in Hz. Both are resampled to 48 kHz in one call.
    details: return a `Details` with the distortion index and the eleven variables, too.

    The grade is about 0.2 for equal sounds; 0 stands for a difference that is not heard, −1 for
    one that is not annoying, −2 slightly annoying, −3 annoying; the lowest is −3.98.

    Short sounds are repeated, since the standard is made for longer clips: only frames between the
    first and the last in which the reference is heard count, and for four of the variables none of
    the first half second. Of a single drum sound little or nothing would count, and never its
    attack. So a pair under 3 s is repeated, both in step, until it lasts 4 s; a longer one of which
    less than half a second counts is played twice; from the second copy on all of it counts. (Of 17
    pairs cut to 0.3 s, some got 2 grades too many without repetition. With it all were within 0.1
    of their grade after sixteen seconds of copies.)

    Where the reference is silent, all frames count: noise in place of silence is a difference. But
    silence in place of a sound is an error: PEAQ hears what was added, hardly what is gone, and
    would grade it as slightly annoying.

    >>> import numpy as np
    >>> from samplevae_lib.metrics import odg
    >>> time = np.arange(48000) / 48000
    >>> tone = 0.5 * np.sin(2 * np.pi * 440 * time) * np.exp(-5 * time)
    >>> noise = np.random.default_rng(0).normal(size=48000)
    >>> round(odg(tone, tone, 48000), 1)
    0.2
    >>> round(odg(tone, tone + 1e-4 * noise, 48000), 1)
    -2.3
    """
    pair, rate = _checked(reference, test, sample_rate)
    at_48_khz = audio.resample(pair, rate, ear.RATE).astype(np.float64, copy=False)
    found = variables_of(*_repeated(at_48_khz))
    index, grade = graded(found)
    return Details(**asdict(found), di=index, odg=grade) if details else grade


def graded(found: Variables) -> tuple[float, float]:
    """Distortion index and grade of a pair by its variables: the network of section 6.

    Variables beyond the range that the network was trained on are not limited to it: the standard
    does not ask for that, and an identical copy of a dull sound would get −0.07 instead of 0.13.
    """
    scaled = (np.array(astuple(found)) - _LEAST) / (_GREATEST - _LEAST)
    index = _OUTER_OFFSET + _OUTER @ expit(_INNER_OFFSET + scaled @ _INNER)
    return float(index), float(_WORST + (_BEST - _WORST) * expit(index))


def _checked(reference: Sound, test: Sound, sample_rate: int) -> tuple[np.ndarray, int]:
    """Both as one array (2, samples), and the rate; or a ValueError that says what is wrong."""
    if not (0 < sample_rate < np.inf and sample_rate == int(sample_rate)):
        raise ValueError(f"sample_rate is {sample_rate}: expected a whole number of Hz above 0")
    reference = audio.check(reference, "reference", peak=LOUDEST)
    test = audio.check(test, "test", peak=LOUDEST)
    if len(reference) != len(test):
        raise ValueError(
            f"reference has {len(reference)} samples and test {len(test)}: expected equally many; "
            "cut or pad one of them so that they lie on each other"
        )
    pair = np.stack([reference, test]).astype(np.float64)
    peak, peak_of_test = np.abs(pair).max(1)
    if peak_of_test < audio.SILENCE <= peak:
        raise ValueError(
            f"test is silent (peak {peak_of_test:.3g}) and reference is not (peak {peak:.3g}): "
            "PEAQ hears what was added, not what is gone; count such a pair apart"
        )
    return pair, int(sample_rate)


def _repeated(pair: np.ndarray) -> np.ndarray:
    """A pair (2, samples) at 48 kHz, repeated where it is too short to grade; see `odg`."""
    length = pair.shape[1]
    if length >= SHORT and settled(counting(pair[0])).sum() >= FEW:
        return pair
    return np.tile(pair, max(2, -(-LONG_ENOUGH // length)))
