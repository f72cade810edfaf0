"""What PEAQ reads off two excitations: adapted patterns, modulation, loudness, and differences.

The first half prepares the excitations (BS.1387-1, annex 2, section 3, read as in Kabal (2002),
section 4); the second half compares them (annex 2, section 4). Excitations are energies relative
to 0 dB SPL, (frames, 109), and so is every array whose shape is not stated.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import sparse

from samplevae_lib.metrics.peaq.ear import BANDS, HOP, RATE, STEP, bands, decays, follow

_AT_100_HZ = 0.050  # seconds: time constant of all running means here, in a band at 100 Hz
_BELOW, _ABOVE = 3, 4  # how many bands below and above a band's correction is averaged with


class Modulation(NamedTuple):
    """How each band's envelope moves; the envelope is excitation to the power of 0.3.

    degree: how fast it moves in relation to its size. mean: its running mean.
    """

    degree: np.ndarray
    mean: np.ndarray


def adapted(reference: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both excitations freed of slow differences, which the ear gets used to: level and colour.

    reference, test: lasting excitations. The louder one is brought down to the level of the other,
    first as a whole, then band by band. Section 3.1; Kabal, 4.1.
    """
    reference, test = _at_one_level(reference, test)
    decay = decays(_AT_100_HZ)
    together, alone = follow(test * reference, decay, 1.0), follow(np.square(reference), decay, 1.0)
    less = (_among_neighbours(np.minimum(r, 1)) for r in (together / alone, alone / together))
    slow, slow_test = (follow(share, decay, 1 - decay) for share in less)
    return reference * slow, test * slow_test


def modulation(spread: np.ndarray) -> Modulation:
    """How the envelopes of a spread (not lasting) excitation move. Section 3.2; Kabal, 4.2."""
    envelope, decay = spread**0.3, decays(_AT_100_HZ)
    speed = RATE / HOP * np.abs(np.diff(envelope, axis=0, prepend=0))
    mean = follow(envelope, decay, 1 - decay)
    return Modulation(follow(speed, decay, 1 - decay) / (1 + mean / 0.3), mean)


def loudness(lasting: np.ndarray) -> np.ndarray:
    """Loudness of each frame of a lasting excitation in sone, (frames,). Section 3.3."""
    threshold, index, scale = _hearing()
    sones = scale * ((1 - index + index * lasting / threshold) ** 0.23 - 1)
    return 24 / BANDS * np.maximum(sones, 0).sum(1)


def modulation_difference(
    reference: Modulation, test: Modulation
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How differently the envelopes of both sounds move: three times (frames,).

    The mean difference in per cent; the same where modulation that the test has lost counts a
    tenth of what it has gained; and how much a frame weighs in the mean over time, since the motion
    of a very soft frame is not noticed. Section 4.2, equations 63 to 65.
    """
    away = np.abs(test.degree - reference.degree)
    part = np.where(test.degree >= reference.degree, 1, 0.1) * away / (0.01 + reference.degree)
    weight = reference.mean / (reference.mean + 100 * bands().noise ** 0.3)
    return 100 * (away / (1 + reference.degree)).mean(1), 100 * part.mean(1), weight.sum(1)


def noise_loudness(
    reference: np.ndarray, test: np.ndarray, moved: Modulation, moved_test: Modulation
) -> np.ndarray:
    """Loudness of what the test has more than the reference, in sone, (frames,).

    reference, test: excitations as `adapted` returns them. moved, moved_test: their modulation; the
    more a sound moves, the better the addition is heard. The reference masks a part of it. Section
    4.3, equations 66 to 68.
    """
    scale, scale_test = (0.15 * m.degree + 0.5 for m in (moved, moved_test))
    heard = scale * reference
    masked = heard * np.exp(1.5 * (1 - test / reference))
    over = np.maximum(scale_test * test - heard, 0) / (bands().noise + masked)
    sones = (bands().noise / scale_test) ** 0.23 * ((1 + over) ** 0.23 - 1)
    return 24 * sones.mean(1)


def noise_to_mask(error: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Energy of the error over the energy that the reference masks. Sections 2.1.9 and 4.5.

    error: energies in bands. reference: its lasting excitation.
    """
    return error / reference * _masking()


def detection(reference: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Chance that a difference is noticed, and its size in just noticeable steps: (frames,) each.

    reference, test: lasting excitations. The bands' chances are combined as if they were
    independent. Section 4.7, equations 73 to 78, for one ear.
    """
    level, level_test = 10 * np.log10(reference), 10 * np.log10(test)
    away = level - level_test
    step = _just_noticeable(0.3 * np.maximum(level, level_test) + 0.7 * level_test)
    square = np.square(away / step)
    # A loss (to the fourth power) is noticed sooner than a gain (to the sixth).
    missed = 0.5 ** (square * square * np.where(away > 0, 1, square))
    return 1 - missed.prod(1), (np.abs(np.trunc(away)) / step).sum(1)


def _at_one_level(reference: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both excitations at one level: in each frame the louder one is brought down to the other."""
    decay = decays(_AT_100_HZ)
    slow, slow_test = (follow(e, decay, 1 - decay) for e in (reference, test))
    ratio = np.square(np.sqrt(slow * slow_test).sum(1) / slow_test.sum(1))[:, None]
    return reference / np.maximum(ratio, 1), test * np.minimum(ratio, 1)


def _among_neighbours(values: np.ndarray) -> np.ndarray:
    """Each band's value averaged with those of its neighbours."""
    return (_neighbours() @ values.T).T


@cache
def _neighbours() -> sparse.csr_array:
    """Weights (109, 109) of a mean over a band, three below and four above, where there are any."""
    away = np.arange(BANDS) - np.arange(BANDS)[:, None]
    near = (away >= -_BELOW) & (away <= _ABOVE)
    return sparse.csr_array(near / near.sum(1, keepdims=True))


@cache
def _hearing() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What loudness is computed with, (109,) each. Section 3.3.

    The excitation at the threshold of hearing, the threshold index, and the factor to sone.
    """
    hertz = bands().centre
    threshold = 10 ** (0.364 * (hertz / 1000) ** -0.8)
    level = -2 - 2.05 * np.arctan(hertz / 4000) - 0.75 * np.arctan((hertz / 1600) ** 2)
    index = 10 ** (level / 10)
    return threshold, index, 1.07664 * (threshold / (1e4 * index)) ** 0.23


@cache
def _masking() -> np.ndarray:
    """How far below the excitation the mask lies, as a ratio of energies, (109,). Equation 25."""
    bark = STEP * np.arange(BANDS)
    return 10 ** (np.where(bark <= 12, 3, 0.25 * bark) / 10)


def _just_noticeable(level: np.ndarray) -> np.ndarray:
    """The smallest step in dB that is noticed at a level in dB. Equation 74.

    At 0 dB and below it is so large that nothing is ever noticed.
    """
    heard = np.maximum(level, 1e-3)
    slow = 9.01033e-11 * heard + 5.05622e-6
    slow = ((slow * heard - 0.00102438) * heard + 0.0550197) * heard - 0.198719
    return np.where(level > 0, 5.95072 * (6.39468 / heard) ** 1.71332 + slow, 1e30)
