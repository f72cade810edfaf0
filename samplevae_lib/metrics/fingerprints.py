"""How alike the Chromaprint fingerprints of two sounds are, compared as strings as in the theses.

A fingerprint tells which notes sound when. AcoustID recognises songs by it, through noise and
codecs, so a high score says little about quality. It is computed by libchromaprint where
pyacoustid finds that library (Debian and Ubuntu: `apt install libchromaprint1`; macOS: `brew
install chromaprint`), otherwise by `chromaprint.py`, which gives the same strings.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType

import numpy as np
from rapidfuzz import fuzz

from samplevae_lib.audio import check
from samplevae_lib.metrics import chromaprint

SECONDS = 4.0  # a clip is repeated to at least this length: Chromaprint finds nothing under 2.73 s
_FULL_SCALE = 2**15


def backend() -> str:
    """What makes the fingerprints: "libchromaprint", or "numpy" where that can't be loaded."""
    return "libchromaprint" if _library() else "numpy"


def fingerprint(audio: np.ndarray, sample_rate: int) -> str:
    """The compressed fingerprint of a sound, as the command `fpcalc` prints it.

    audio: (samples,) with full scale at 1; one with a higher peak is scaled down to 1, since a
        fingerprint depends little on level. Silence has a fingerprint, too.
    sample_rate: in Hz.

    A clip under 4 s is repeated, as a whole, until it is at least 4 s long.
    """
    _refuse_rate(sample_rate)
    samples, rate = _repeated(_sixteen_bit(audio), int(sample_rate)), int(sample_rate)
    if rate < chromaprint.RATE:
        # Where the library has to resample upwards, its buffer overflows and the end is lost.
        samples, rate = chromaprint.resampled(samples, rate), chromaprint.RATE
    if library := _library():
        return _by_library(library, samples, rate)
    return chromaprint.compressed(chromaprint.subfingerprints(samples, rate))


def fingerprint_similarity(a: np.ndarray, b: np.ndarray, sample_rate: int) -> float:
    """How alike the compressed fingerprints of two sounds are, from 0 to 100 (the same).

    a, b: (samples,) each and equally long, with full scale at 1. sample_rate: in Hz.

    The score is 200 · common / (characters of a's fingerprint + of b's), where `common` is the
    length of the longest sequence of characters that both hold in this order. Rounded to a whole
    number it is `fuzz.ratio` of the package FuzzyWuzzy.

    >>> import numpy as np
    >>> from samplevae_lib.metrics import fingerprint_similarity
    >>> second = np.arange(11025) / 11025
    >>> note, fifth = (0.5 * np.sin(2 * np.pi * hertz * second) for hertz in (440, 660))
    >>> fingerprint_similarity(note, note, 11025)
    100.0
    >>> fingerprint_similarity(note, fifth, 11025) < 100
    True
    """
    if np.shape(a) != np.shape(b):
        raise ValueError(
            f"sounds of shapes {np.shape(a)} and {np.shape(b)}: expected one length, as of a sound "
            "and its reconstruction; cut or pad them first (samplevae_lib.audio.cut_or_pad)"
        )
    return float(fuzz.ratio(fingerprint(a, sample_rate), fingerprint(b, sample_rate)))


@cache
def _library() -> ModuleType | None:
    """Pyacoustid's module `chromaprint`, which can't be imported where libchromaprint is absent."""
    try:
        import chromaprint as library
    except ImportError:
        return None
    return library


def _by_library(library: ModuleType, samples: np.ndarray, sample_rate: int) -> str:
    # The function acoustid.fingerprint would do, but it leaves out all behind two minutes.
    printer = library.Fingerprinter(library.Fingerprinter.ALGORITHM_TEST2)
    printer.start(sample_rate, 1)
    printer.feed(samples.tobytes())
    return printer.finish().decode()


def _sixteen_bit(audio: np.ndarray) -> np.ndarray:
    """A sound (samples,) with full scale at 1 as int16, scaled down where its peak is above 1."""
    signal = check(audio, "audio").astype(np.float64)
    signal /= max(1.0, float(np.abs(signal).max()))
    return np.rint(signal * _FULL_SCALE).clip(-_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)


def _repeated(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    return np.tile(samples, int(np.ceil(SECONDS * sample_rate / len(samples))))


def _refuse_rate(sample_rate: int) -> None:
    least, most = chromaprint.RATES
    if not (least <= sample_rate <= most and sample_rate == int(sample_rate)):
        raise ValueError(
            f"sample_rate is {sample_rate}: expected a whole number of Hz, {least} … {most}; "
            "resample the sound first (samplevae_lib.audio.resample)"
        )
