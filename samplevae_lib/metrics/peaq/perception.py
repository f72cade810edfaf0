"""What the brain makes of excitation: patterns adapted to each other, modulation, loudness.

BS.1387-1, section 3, read as in Kabal (2002), section 4. Excitations are energies relative to
0 dB SPL, (frames, 109); so are all other arrays unless another shape is stated.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import sparse

from samplevae_lib.metrics.peaq.ear import BANDS, HOP, RATE, STEP, bands, decays, follow

_AT_100_HZ = 0.050  # seconds
_BELOW, _ABOVE = 3, 4  # neighbours with which a band's correction is averaged


class Modulation(NamedTuple):
    """How fast each band's envelope moves for its size, and the envelope's leaky mean.

    The envelope is excitation to the power of 0.3.
    """

    degree: np.ndarray
    mean: np.ndarray


def adapted(reference: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both excitations without what differs slowly: their level and their colour.

    Section 3.1; Kabal, 4.1.
    """
    reference, test = _at_one_level(reference, test)
    decay = decays(_AT_100_HZ)
    together, alone = follow(test * reference, decay, 1.0), follow(np.square(reference), decay, 1.0)
    less = (_among_neighbours(np.minimum(r, 1)) for r in (together / alone, alone / together))
    slow, slow_test = (follow(share, decay, 1 - decay) for share in less)
    return reference * slow, test * slow_test


def modulation(spread: np.ndarray) -> Modulation:
    """Of excitation that does not last in time. Section 3.2; Kabal, 4.2."""
    envelope, decay = spread**0.3, decays(_AT_100_HZ)
    speed = RATE / HOP * np.abs(np.diff(envelope, axis=0, prepend=0))
    mean = follow(envelope, decay, 1 - decay)
    return Modulation(follow(speed, decay, 1 - decay) / (1 + mean / 0.3), mean)


def loudness(lasting: np.ndarray) -> np.ndarray:
    """Of each frame in sone, (frames,). Section 3.3."""
    threshold, index, scale = _hearing()
    sones = scale * ((1 - index + index * lasting / threshold) ** 0.23 - 1)
    return 24 / BANDS * np.maximum(sones, 0).sum(1)


def _at_one_level(reference: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The louder of both brought down to the other, in each frame."""
    decay = decays(_AT_100_HZ)
    slow, slow_test = (follow(e, decay, 1 - decay) for e in (reference, test))
    ratio = np.square(np.sqrt(slow * slow_test).sum(1) / slow_test.sum(1))[:, None]
    return reference / np.maximum(ratio, 1), test * np.minimum(ratio, 1)


def _among_neighbours(values: np.ndarray) -> np.ndarray:
    return (_neighbours() @ values.T).T


@cache
def _neighbours() -> sparse.csr_array:
    """(109, 109): averages each band with three below and four above, as far as there are any."""
    away = np.arange(BANDS) - np.arange(BANDS)[:, None]
    near = (away >= -_BELOW) & (away <= _ABOVE)
    return sparse.csr_array(near / near.sum(1, keepdims=True))


@cache
def _hearing() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Excitation at the threshold of hearing, its index, and the scale of sones; (109,) each."""
    hertz = bands().centre
    threshold = 10 ** (0.364 * (hertz / 1000) ** -0.8)
    level = -2 - 2.05 * np.arctan(hertz / 4000) - 0.75 * np.arctan((hertz / 1600) ** 2)
    index = 10 ** (level / 10)
    return threshold, index, 1.07664 * (threshold / (1e4 * index)) ** 0.23


def modulation_difference(
    reference: Modulation, test: Modulation
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """In per cent, even and with lost modulation counting a tenth; the frame's weight. (frames,)

    Section 4.2, equations 63 to 65.
    """
    away = np.abs(test.degree - reference.degree)
    part = np.where(test.degree >= reference.degree, 1, 0.1) * away / (0.01 + reference.degree)
    weight = reference.mean / (reference.mean + 100 * bands().noise ** 0.3)
    return 100 * (away / (1 + reference.degree)).mean(1), 100 * part.mean(1), weight.sum(1)


def noise_loudness(
    reference: np.ndarray, test: np.ndarray, moved: Modulation, moved_test: Modulation
) -> np.ndarray:
    """Loudness in sone of what adapted excitation the test has over the reference, (frames,).

    Partly masked by the reference, and heard the better the more it moves. Section 4.3, equations
    66 to 68.
    """
    scale, scale_test = (0.15 * m.degree + 0.5 for m in (moved, moved_test))
    heard = scale * reference
    masked = heard * np.exp(1.5 * (1 - test / reference))
    over = np.maximum(scale_test * test - heard, 0) / (bands().noise + masked)
    sones = (bands().noise / scale_test) ** 0.23 * ((1 + over) ** 0.23 - 1)
    return 24 * sones.mean(1)


def noise_to_mask(error: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Energy of the error over what the reference masks: (frames, 109). Sections 2.1.9 and 4.5."""
    return error / reference * _masking()


def detection(reference: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Chance that a difference is noticed, and steps just noticeable it makes up: (frames,) each.

    Section 4.7, equations 73 to 78, for one ear.
    """
    level, level_test = 10 * np.log10(reference), 10 * np.log10(test)
    away = level - level_test
    step = _just_noticeable(0.3 * np.maximum(level, level_test) + 0.7 * level_test)
    square = np.square(away / step)
    # A loss (to the fourth power) is noticed sooner than a gain (to the sixth).
    missed = 0.5 ** (square * square * np.where(away > 0, 1, square))
    return 1 - missed.prod(1), (np.abs(np.trunc(away)) / step).sum(1)


def _just_noticeable(level: np.ndarray) -> np.ndarray:
    """Step in dB at a level in dB; at 0 dB and below there is nothing to notice. Equation 74."""
    heard = np.maximum(level, 1e-3)
    slow = 9.01033e-11 * heard + 5.05622e-6
    slow = ((slow * heard - 0.00102438) * heard + 0.0550197) * heard - 0.198719
    return np.where(level > 0, 5.95072 * (6.39468 / heard) ** 1.71332 + slow, 1e30)


@cache
def _masking() -> np.ndarray:
    """By how much masking lies below excitation, as a ratio of energies, (109,). Equation 25."""
    bark = STEP * np.arange(BANDS)
    return 10 ** (np.where(bark <= 12, 3, 0.25 * bark) / 10)
