"""The eleven model output variables of PEAQ's basic version: one number each for a pair of sounds.

BS.1387-1, annex 2, sections 4 and 5. Where the standard leaves something open, this does as GstPEAQ
0.6.1 does, with one exception: a mean over no frames is 0, as in the program peaqb-fast, not NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from samplevae_lib.metrics.peaq import ear
from samplevae_lib.metrics.peaq.perception import (
    adapted,
    detection,
    loudness,
    modulation,
    modulation_difference,
    noise_loudness,
    noise_to_mask,
)
from samplevae_lib.metrics.peaq.spectra import Spectra, spectra_of

_SETTLED = 24  # frames, half a second: so long running means still depend on how they began
_HEARD = 200 / 32768  # a sound begins and ends where five absolute samples add up to this
_WIDE = 346  # bins, 8.1 kHz: frames whose reference reaches no further do not count for bandwidth
_NOTICED = 10**0.15  # 1.5 dB: a frame counts as disturbed where error over mask is above this


@dataclass(frozen=True)
class Variables:
    """The variables under the standard's names and in its order (section 6.2).

    BandwidthRefB, BandwidthTestB: mean bandwidths, in bins of 23.4 Hz.
    TotalNMRB: energy of the error over what the reference masks, in dB.
    WinModDiff1B, AvgModDiff1B, AvgModDiff2B: how differently the envelopes move, in per cent.
    ADBB: how far the noticed frames differ, as log10 of just noticeable steps.
    EHSB: how regularly the error recurs along frequency, that is, whether it has a pitch.
    RmsNoiseLoudB: loudness of what the test has too much, in sone.
    MFPDB: the greatest chance that a difference is noticed, 0 … 1.
    RelDistFramesB: share of the frames in which an error stands out of the mask.
    """

    BandwidthRefB: float
    BandwidthTestB: float
    TotalNMRB: float
    WinModDiff1B: float
    ADBB: float
    EHSB: float
    AvgModDiff1B: float
    AvgModDiff2B: float
    RmsNoiseLoudB: float
    MFPDB: float
    RelDistFramesB: float


def variables_of(reference: np.ndarray, test: np.ndarray) -> Variables:
    """The variables of two signals at 48 kHz, (samples,) each, equally long, full scale at 1."""
    seen, counted = spectra_of(reference, test), counting(reference)
    heard, heard_test = ear.hear(seen.reference), ear.hear(seen.test)
    return Variables(
        **_of_bandwidth(seen, counted),
        **_of_masking(noise_to_mask(seen.error, heard.lasting)[counted]),
        **_of_modulation(heard, heard_test, counted),
        **_of_detection(*(v[counted] for v in detection(heard.lasting, heard_test.lasting))),
        EHSB=1000 * _mean(seen.harmonics[counted & ~np.isnan(seen.harmonics)]),
    )


def counting(reference: np.ndarray) -> np.ndarray:
    """Which frames count: from the first to the last in which the reference is heard, (frames,).

    Section 5.2, "data boundary". Where the reference is never heard all frames count, so that what
    the test adds to silence is measured, too.
    """
    level = np.abs(np.pad(reference, (0, 4)))
    sums = sum(level[start : start + len(reference)] for start in range(5))
    heard = np.flatnonzero(sums >= _HEARD)
    first, last = (heard[0], heard[-1]) if len(heard) else (0, len(reference))
    at = ear.HOP * np.arange(ear.frame_count(len(reference)))
    return (at + ear.SIZE - 5 >= first) & (at <= last)


def settled(counted: np.ndarray) -> np.ndarray:
    """Which frames count and lie behind the first half second of the clip. Section 5.2."""
    return counted & (np.arange(len(counted)) >= _SETTLED)


def _of_bandwidth(seen: Spectra, counted: np.ndarray) -> dict[str, float]:
    """Mean bandwidths over the frames whose reference reaches above 8.1 kHz. Section 4.4."""
    wide = counted & (seen.width > _WIDE)
    return {
        "BandwidthRefB": _mean(seen.width[wide]),
        "BandwidthTestB": _mean(seen.test_width[wide]),
    }


def _of_masking(ratio: np.ndarray) -> dict[str, float]:
    """From error over mask, a ratio of energies (frames, 109). Sections 4.5 and 4.6."""
    return {
        "TotalNMRB": float(10 * np.log10(ratio.mean())),
        "RelDistFramesB": _mean(ratio.max(1) > _NOTICED),
    }


def _of_modulation(
    heard: ear.Excitation, heard_test: ear.Excitation, counted: np.ndarray
) -> dict[str, float]:
    """Modulation differences and noise loudness. Sections 4.2 and 4.3.

    Over the frames behind the first half second; noise loudness also not before both sounds have
    once been loud enough (`_after_loud`).
    """
    late = settled(counted)
    moved, moved_test = modulation(heard.spread), modulation(heard_test.spread)
    even, uneven, weight = (v[late] for v in modulation_difference(moved, moved_test))
    noise = noise_loudness(*adapted(heard.lasting, heard_test.lasting), moved, moved_test)
    noise = noise[late & _after_loud(heard.lasting, heard_test.lasting)]
    return {
        "WinModDiff1B": _windowed(even),
        "AvgModDiff1B": _mean(even, weight),
        "AvgModDiff2B": _mean(uneven, weight),
        "RmsNoiseLoudB": _mean(np.square(noise)) ** 0.5,
    }


def _of_detection(chance: np.ndarray, steps: np.ndarray) -> dict[str, float]:
    """The greatest chance of detection, smoothed over time, and the block distortion. Section 4.7.

    chance, steps: (frames,), as `detection` gives them.
    """
    smooth = ear.follow(chance[:, None], np.array([0.9]), 0.1)
    return {"MFPDB": float(smooth.max()), "ADBB": _block_distortion(steps[chance > 0.5])}


def _block_distortion(steps: np.ndarray) -> float:
    """log10 of the mean number of just noticeable steps over the frames that were noticed.

    0 where no frame was noticed; −0.5 where frames were, but no band differs by a whole dB.
    """
    if not steps.any():
        return -0.5 if len(steps) else 0.0
    return float(np.log10(steps.mean()))


def _after_loud(reference: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Frames that come three or more after both sounds first reach 0.1 sone: (frames,).

    Section 5.2. reference, test: lasting excitations, (frames, 109).
    """
    loud = np.minimum(loudness(reference), loudness(test)) > 0.1
    return np.pad(np.logical_or.accumulate(loud), (3, 0))[: len(loud)]


def _windowed(values: np.ndarray) -> float:
    """Windowed average (section 5.2): the mean root of four frames, to the fourth power, averaged
    over all positions of that window; then the square root.
    """
    if len(values) < 4:
        return 0.0
    roots = np.lib.stride_tricks.sliding_window_view(np.sqrt(values), 4).mean(1)
    return float(np.sqrt((roots**4).mean()))


def _mean(values: np.ndarray, weights: np.ndarray | None = None) -> float:
    return float(np.average(values, weights=weights)) if len(values) else 0.0
