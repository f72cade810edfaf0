"""How much worse than a reference a sound is heard to be: PEAQ, basic version (ITU-R BS.1387-1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass

import numpy as np
from scipy.special import expit

from samplevae_lib import audio
from samplevae_lib.metrics.peaq import ear
from samplevae_lib.metrics.peaq.variables import Variables, counting, settled, variables_of

SHORT = 3 * ear.RATE  # samples under which a pair is repeated
LONG_ENOUGH = 4 * ear.RATE  # samples it is repeated to
FEW = 24  # frames (half a second): with fewer that count a pair is repeated, however long
LOUDEST = 100.0  # 40 dB over full scale: beyond it the scale must be another
# Least and greatest values, weights and offsets of section 6.2, tables 15 to 17.
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
    """A grade, the distortion index behind it, and the eleven variables behind that."""

    di: float
    odg: float


def odg(
    reference: Sound, test: Sound, sample_rate: int, *, details: bool = False
) -> float | Details:
    """Objective difference grade of `test` against `reference`, (samples,) each, rate in Hz.

    From about +0.2 (no difference, which is not 0) by 0 (not heard), −1 (not annoying), −2
    (slightly annoying) and −3 (annoying) down to −3.98. The samples of both must lie on each
    other: a shift is a difference. Full scale is 1 and taken for 92 dB SPL, so the level matters.
    Both are resampled to 48 kHz in one call, since the resampler matters too.

    Short pairs: a pair under 3 s is repeated, end to end and both in step, until it lasts 4 s; a
    longer one of which less than half a second would count is played twice. What counts lies
    between the first and the last frame in which the reference is heard, for four variables after
    the first half second only: of a single drum sound little or nothing, never its attack, and
    silence put behind it changes none of that. From the second copy on all of it counts. Of 17
    pairs cut to 0.3 s some came out 2 grades too well without that, and all within 0.1 of where
    sixteen seconds of copies put them with it.

    Where the reference is never heard, everything counts, so that noise in place of silence is a
    difference. Silence in place of a sound is refused: PEAQ hears what was added, hardly that
    something is gone, and would call it slightly annoying. A mean over nothing is 0, as the
    bandwidths where no frame of the reference reaches 8.1 kHz.

    details: return the distortion index and the eleven variables, too.
    """
    pair = _repeated(_at_48_khz(*_checked(reference, test, sample_rate)))
    found = variables_of(*pair)
    index, grade = graded(found)
    return Details(**asdict(found), di=index, odg=grade) if details else grade


def graded(found: Variables) -> tuple[float, float]:
    """Distortion index and grade by the network of section 6.

    Variables beyond the range that it was trained on stay as they are: the standard asks for no
    limits, and with them an identical copy of a dull sound would get −0.07 and not 0.13.
    """
    scaled = (np.array(astuple(found)) - _LEAST) / (_GREATEST - _LEAST)
    index = _OUTER_OFFSET + _OUTER @ expit(_INNER_OFFSET + scaled @ _INNER)
    return float(index), float(_WORST + (_BEST - _WORST) * expit(index))


def _checked(reference: Sound, test: Sound, sample_rate: int) -> tuple[np.ndarray, int]:
    """Both as one array (2, samples), and the rate; or a ValueError that says what is wrong."""
    if not (0 < sample_rate < np.inf and sample_rate == int(sample_rate)):
        raise ValueError(f"sample_rate is {sample_rate}: expected a whole number of Hz above 0")
    named = {"reference": np.asarray(reference), "test": np.asarray(test)}
    for name, sound in named.items():
        _refuse_unfit(name, sound)
    lengths = [len(sound) for sound in named.values()]
    if lengths[0] != lengths[1]:
        raise ValueError(
            f"reference has {lengths[0]} samples and test {lengths[1]}: expected equally many; "
            "cut or pad one of them so that they lie on each other"
        )
    pair = np.stack([sound.astype(np.float64) for sound in named.values()])
    peak, peak_of_test = np.abs(pair).max(1)
    if peak_of_test < audio.SILENCE <= peak:
        raise ValueError(
            f"test is silent (peak {peak_of_test:.3g}) and reference is not (peak {peak:.3g}): "
            "PEAQ hears what was added, not what is gone; count such a pair apart"
        )
    return pair, int(sample_rate)


def _refuse_unfit(name: str, sound: np.ndarray) -> None:
    if sound.ndim != 1:
        raise ValueError(
            f"{name} has shape {sound.shape}: expected (samples,); mix channels down or grade each"
        )
    if not len(sound):
        raise ValueError(f"{name} is empty: expected at least one sample")
    if sound.dtype.kind not in "fiu":
        raise ValueError(f"{name} is of type {sound.dtype}: expected real numbers")
    if bad := int(np.count_nonzero(~np.isfinite(sound))):
        raise ValueError(f"{name} holds {bad} values that are NaN or infinite: repair them first")
    if (peak := float(np.abs(sound.astype(np.float64)).max())) > LOUDEST:
        raise ValueError(
            f"{name} has a peak of {peak:.6g}: expected full scale at 1; divide 16-bit samples "
            "by 32768"
        )


def _at_48_khz(pair: np.ndarray, rate: int) -> np.ndarray:
    return audio.resample(pair, rate, ear.RATE).astype(np.float64, copy=False)


def _repeated(pair: np.ndarray) -> np.ndarray:
    """(2, samples) at 48 kHz, again and again where it is too short to grade; see `odg`."""
    length = pair.shape[1]
    if length >= SHORT and settled(counting(pair[0])).sum() >= FEW:
        return pair
    return np.tile(pair, max(2, -(-LONG_ENOUGH // length)))
