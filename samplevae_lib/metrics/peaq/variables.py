"""The eleven model output variables of PEAQ's basic version.

BS.1387-1, sections 4 and 5; where the standard leaves it open, as GstPEAQ 0.6.1 does, but that a
mean over nothing is 0 (peaqb-fast's rule) and not NaN.
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

_SETTLED = 24  # frames, half a second: until then leaky means are not worth counting
_HEARD = 200 / 32768  # sum of five absolute samples, from which on a frame is heard
_WIDE = 346  # bins, 8.1 kHz: a reference that reaches no further says nothing on bandwidth
_NOTICED = 10**0.15  # 1.5 dB: error over mask from which on a frame counts as disturbed


@dataclass(frozen=True)
class Variables:
    """Under the standard's names and in its order (section 6.2).

    Bandwidths in bins of 23.4 Hz, noise to mask in dB, modulation differences in per cent, noise
    loudness in sone, block distortion (ADB) as log10 of steps just noticeable.
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
    """Of two signals at 48 kHz of one length, (samples,) each, full scale at 1."""
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
    """Frames from the first to the last in which the reference is heard, (frames,) of bool.

    Section 5.2, data boundary; from the reference alone. One that is never heard counts as a
    whole: what the test adds to silence is then measured all the same.
    """
    level = np.abs(np.pad(reference, (0, 4)))
    sums = sum(level[start : start + len(reference)] for start in range(5))
    heard = np.flatnonzero(sums >= _HEARD)
    first, last = (heard[0], heard[-1]) if len(heard) else (0, len(reference))
    at = ear.HOP * np.arange(ear.frame_count(len(reference)))
    return (at + ear.SIZE - 5 >= first) & (at <= last)


def settled(counted: np.ndarray) -> np.ndarray:
    """Those of the frames that count after the clip's first half second. Section 5.2."""
    return counted & (np.arange(len(counted)) >= _SETTLED)


def _of_bandwidth(seen: Spectra, counted: np.ndarray) -> dict[str, float]:
    """Section 4.4: over the frames in which the reference has bandwidth at all."""
    wide = counted & (seen.width > _WIDE)
    return {
        "BandwidthRefB": _mean(seen.width[wide]),
        "BandwidthTestB": _mean(seen.test_width[wide]),
    }


def _of_masking(ratio: np.ndarray) -> dict[str, float]:
    """Sections 4.5 and 4.6, from error over mask, (frames, 109)."""
    return {
        "TotalNMRB": float(10 * np.log10(ratio.mean())),
        "RelDistFramesB": _mean(ratio.max(1) > _NOTICED),
    }


def _of_modulation(
    heard: ear.Excitation, heard_test: ear.Excitation, counted: np.ndarray
) -> dict[str, float]:
    """Sections 4.2 and 4.3, over frames that are settled; noise only once both were loud."""
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
    """Section 4.7: the greatest chance, smoothed, and the steps in frames with a difference."""
    smooth = ear.follow(chance[:, None], np.array([0.9]), 0.1)
    return {"MFPDB": float(smooth.max()), "ADBB": _block_distortion(steps[chance > 0.5])}


def _block_distortion(steps: np.ndarray) -> float:
    """log10 of the mean; 0 without a noticed frame, −0.5 where no band is off by 1 dB."""
    if not steps.any():
        return -0.5 if len(steps) else 0.0
    return float(np.log10(steps.mean()))


def _after_loud(reference: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Frames three and more after both first reach 0.1 sone: (frames,). Section 5.2."""
    loud = np.minimum(loudness(reference), loudness(test)) > 0.1
    return np.pad(np.logical_or.accumulate(loud), (3, 0))[: len(loud)]


def _windowed(values: np.ndarray) -> float:
    """Root mean square over windows of four frames of their mean root squared. Section 5.2."""
    if len(values) < 4:
        return 0.0
    roots = np.lib.stride_tricks.sliding_window_view(np.sqrt(values), 4).mean(1)
    return float(np.sqrt((roots**4).mean()))


def _mean(values: np.ndarray, weights: np.ndarray | None = None) -> float:
    return float(np.average(values, weights=weights)) if len(values) else 0.0
