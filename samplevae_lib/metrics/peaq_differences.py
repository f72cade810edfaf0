"""How far two heard patterns are apart, frame by frame: modulation, noise, chance of detection.

BS.1387-1, sections 4.2, 4.3, 4.5 and 4.7. Excitations and energies are relative to 0 dB SPL,
(frames, 109).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from samplevae_lib.metrics.ear import BANDS, STEP, bands
from samplevae_lib.metrics.patterns import Modulation


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
