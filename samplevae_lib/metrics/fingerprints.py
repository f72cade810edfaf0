"""Do two sounds have one fingerprint? Chromaprint's, compared as strings, as the theses did.

The fingerprint is libchromaprint's where pyacoustid finds that library (Debian and Ubuntu:
`apt install libchromaprint1`; macOS: `brew install chromaprint`), otherwise our own, which gives
the same strings; `backend` says which. A fingerprint tells which notes sound when, as AcoustID
needs it to recognise a song through noise and codecs: a high score says little about quality.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType

import numpy as np
from rapidfuzz import fuzz

from samplevae_lib.metrics import chromaprint

SECONDS = 4.0  # a clip is repeated to at least this length: Chromaprint finds nothing under 2.73 s
_FULL_SCALE = 2**15


def backend() -> str:
    """What makes the fingerprints: "libchromaprint", or "numpy" where that can't be loaded."""
    return "libchromaprint" if _library() else "numpy"


def fingerprint(audio: np.ndarray, sample_rate: int) -> str:
    """The compressed fingerprint of (samples,) of −1 … 1 at `sample_rate` Hz, as fpcalc gives it.

    A clip under 4 s is repeated, as a whole, until it is at least 4 s long. A sound with a peak
    above 1 is scaled down to 1: a fingerprint depends little on level. Silence has one too.
    """
    _refuse_rate(sample_rate)
    samples, rate = _repeated(_sixteen_bit(audio), int(sample_rate)), int(sample_rate)
    if rate < chromaprint.RATE:
        # The library resamples upwards through a buffer that overflows, and loses the end.
        samples, rate = chromaprint.resampled(samples, rate), chromaprint.RATE
    if library := _library():
        return _by_library(library, samples, rate)
    return chromaprint.compressed(chromaprint.subfingerprints(samples, rate))


def fingerprint_similarity(a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
    """How alike the compressed fingerprints of two sounds of one length are: 0 … 100, 100 the same.

    The Levenshtein ratio, 200 · common / (characters of a + of b), where common counts the longest
    string that both hold in order. FuzzyWuzzy's simple ratio is this, rounded to a whole number.
    """
    if np.shape(a) != np.shape(b):
        raise ValueError(
            f"sounds of shapes {np.shape(a)} and {np.shape(b)}: expected one length, as of a sound "
            "and its reconstruction; cut or pad them first (samplevae_lib.audio.cut_or_pad)"
        )
    return float(fuzz.ratio(fingerprint(a, sample_rate), fingerprint(b, sample_rate)))


@cache
def _library() -> ModuleType | None:
    """Pyacoustid's module over libchromaprint: it can't be imported where the library is absent."""
    try:
        import chromaprint as library
    except ImportError:
        return None
    return library


def _by_library(library: ModuleType, samples: np.ndarray, sample_rate: int) -> str:
    # Not acoustid.fingerprint, which stops listening after two minutes.
    printer = library.Fingerprinter(library.Fingerprinter.ALGORITHM_TEST2)
    printer.start(sample_rate, 1)
    printer.feed(samples.tobytes())
    return printer.finish().decode()


def _sixteen_bit(audio: np.ndarray) -> np.ndarray:
    """(samples,) of −1 … 1 as int16, scaled down where the peak is above 1."""
    audio = np.asarray(audio)
    _refuse_audio(audio)
    signal = audio.astype(np.float64)
    signal /= max(1.0, float(np.abs(signal).max()))
    return np.rint(signal * _FULL_SCALE).clip(-_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)


def _repeated(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    return np.tile(samples, int(np.ceil(SECONDS * sample_rate / len(samples))))


def _refuse_audio(audio: np.ndarray) -> None:
    if audio.ndim != 1:
        raise ValueError(
            f"audio has shape {audio.shape}: expected (samples,); mix the channels down or take "
            "one clip of a batch at a time"
        )
    if not len(audio):
        raise ValueError("audio has shape (0,): expected at least one sample; leave it out")
    if audio.dtype.kind not in "fiu":
        raise ValueError(
            f"audio is of type {audio.dtype}: expected real numbers of −1 … 1; convert it first"
        )
    bad = np.flatnonzero(~np.isfinite(audio))
    if len(bad):
        raise ValueError(
            f"audio holds {len(bad)} values that are NaN or infinite, the first at sample "
            f"{bad[0]}: expected finite ones; replace them or leave the sound out"
        )


def _refuse_rate(sample_rate: int) -> None:
    least, most = chromaprint.RATES
    if not (least <= sample_rate <= most and sample_rate == int(sample_rate)):
        raise ValueError(
            f"sample_rate is {sample_rate}: expected a whole number of Hz, {least} … {most}; "
            "resample the sound first (samplevae_lib.audio.resample)"
        )
