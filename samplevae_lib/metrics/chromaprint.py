"""The Chromaprint fingerprint of 16-bit samples: which notes sound when, 32 bits every 0.12 s.

The default algorithm ("TEST2") of Chromaprint 1.5.1, by L. Lalinský (https://acoustid.org), after
Ke, Hoiem and Sukthankar, "Computer vision for music identification", CVPR 2005. The steps: the
sound is resampled to 11025 Hz; its energy is summed by note (the chroma, 12 values a frame); the
chroma over time is taken for an image, and 16 rectangular filters, which its authors found by
learning, are laid over it; each filter's answer becomes one of four levels, that is two bits.
"""

from __future__ import annotations

import base64
import math
from functools import cache, lru_cache

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view

RATE = 11025  # Hz
FRAME = 4096
HOP = FRAME // 3
NOTES = 12
RATES = (1001, 8_388_607)  # Hz: the least that Chromaprint takes, the most its counters hold

_BAND = (28, 3520)  # Hz
_BASE = 440 / 16  # Hz: the A that note 0 begins at
_SMOOTHING = (0.25, 0.75, 1.0, 0.75, 0.25)
_FAINT = 0.01  # a frame of chroma whose norm is below this counts as silence
_WIDTH = 16  # chroma frames under a filter
_ALGORITHM = 1  # the number of "TEST2" in a compressed fingerprint

# The resampler: taps of its filter before it is stretched to the lower of both rates, cutoff as a
# share of that rate's band, shape of the Kaiser window, and positions between two samples.
_TAPS, _CUTOFF, _KAISER, _PHASES = 16, 0.8, 9, 256
_ONE = 2**15  # filters and samples alike are 16-bit fractions

# Each filter: its shape (see `_shape`), first note, notes, frames, and the three limits between
# the four levels.
_CLASSIFIERS = (
    (0, 4, 3, 15, 1.98215, 2.35817, 2.63523),
    (4, 4, 6, 15, -1.03809, -0.651211, -0.282167),
    (1, 0, 4, 16, -0.298702, 0.119262, 0.558497),
    (3, 8, 2, 12, -0.105439, 0.0153946, 0.135898),
    (3, 4, 4, 8, -0.142891, 0.0258736, 0.200632),
    (4, 0, 3, 5, -0.826319, -0.590612, -0.368214),
    (1, 2, 2, 9, -0.557409, -0.233035, 0.0534525),
    (2, 7, 3, 4, -0.0646826, 0.00620476, 0.0784847),
    (2, 6, 2, 16, -0.192387, -0.029699, 0.215855),
    (2, 1, 3, 2, -0.0397818, -0.00568076, 0.0292026),
    (5, 10, 1, 15, -0.53823, -0.369934, -0.190235),
    (3, 6, 2, 10, -0.124877, 0.0296483, 0.139239),
    (2, 1, 1, 14, -0.101475, 0.0225617, 0.231971),
    (3, 5, 6, 4, -0.0799915, -0.00729616, 0.063262),
    (1, 9, 2, 12, -0.272556, 0.019424, 0.302559),
    (3, 4, 2, 14, -0.164292, -0.0321188, 0.0846339),
)


def subfingerprints(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """A fingerprint's words of 32 bits: int16 (samples,) at `sample_rate` Hz → uint32 (n,).

    A sound under 2.73 s has none. From 11025 Hz up the words are those of libchromaprint. Below
    that libchromaprint loses up to 1.1 s of the end, since the buffer it resamples into is full;
    here nothing is lost.
    """
    if samples.dtype != np.int16 or samples.ndim != 1:
        raise ValueError(
            f"samples of type {samples.dtype} and shape {samples.shape}: expected int16 and "
            "(samples,); samplevae_lib.metrics.fingerprint takes floats"
        )
    image = normalised(smoothed(chroma(resampled(samples, sample_rate))))
    if len(image) < _WIDTH:
        return np.zeros(0, dtype=np.uint32)
    return coded(_levels(image))


def compressed(words: np.ndarray) -> str:
    """Words, uint32 (n,), as the string that fpcalc and AcoustID give.

    Each word is stored by the bits that differ from the word before: the distances from one such
    bit to the next, in 3 bits each, with a 0 at the end of a word. A distance above 6 is stored as
    7, and what is above 7 in 5 bits more, behind all the others. Bytes become text as in base64
    with the letters allowed in URLs.
    """
    words = np.asarray(words, dtype="<u4")
    changes = words ^ np.concatenate((np.zeros(1, "<u4"), words))[:-1]
    bits = np.unpackbits(changes.view(np.uint8).reshape(-1, 4), axis=1, bitorder="little")
    rows, columns = np.nonzero(np.pad(bits, ((0, 0), (0, 1)), constant_values=1))
    begins = np.diff(rows, prepend=-1) > 0
    distances = np.where(begins, columns + 1, np.diff(columns, prepend=0))
    distances = np.where(columns == 32, 0, distances)
    header = bytes([_ALGORITHM]) + len(words).to_bytes(3, "big")
    content = _packed(np.minimum(distances, 7), 3) + _packed(distances[distances >= 7] - 7, 5)
    return base64.urlsafe_b64encode(header + content).rstrip(b"=").decode()


def resampled(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """The sound at 11025 Hz, equal to Chromaprint's bit by bit: int16 (samples,) → int16.

    Chromaprint uses the resampler that libavcodec had in 2004: a windowed sinc in 16-bit integers,
    at 256 positions between two samples. Before its beginning the sound is mirrored; the last
    value is the last one for which the filter does not reach beyond the end.
    """
    if sample_rate == RATE:
        return samples
    filters = _filters(sample_rate)
    length = filters.shape[1]
    if len(samples) < length:
        return samples[:0]
    mirror = samples[(length - 1) // 2 : 0 : -1]
    windows = sliding_window_view(np.concatenate((mirror, samples)).astype(np.float64), length)
    first, phases, step = _round(sample_rate, length)
    parts = [windows[i::step] @ filters[j] for i, j in zip(first, phases, strict=True)]
    out = np.empty(sum(map(len, parts)))
    for phase, part in enumerate(parts):
        out[phase :: len(parts)] = part
    # Products and sums of integers this small are exact in doubles.
    return np.floor(out / _ONE + 0.5).clip(-_ONE, _ONE - 1).astype(np.int16)


def chroma(samples: np.ndarray) -> np.ndarray:
    """Energy of the twelve notes in each frame: int16 (samples,) at 11025 Hz → (frames, 12).

    The first note is A. Frames are 4096 samples long and 1365 apart.
    """
    if len(samples) < FRAME:
        return np.zeros((0, NOTES))
    frames = sliding_window_view(samples, FRAME)[::HOP]
    spectrum = scipy.fft.rfft(frames * (np.hamming(FRAME) / (_ONE - 1)))
    lowest, notes = _notes()
    heard = spectrum[:, lowest : lowest + len(notes)]
    return (np.square(heard.real) + np.square(heard.imag)) @ notes


def smoothed(image: np.ndarray) -> np.ndarray:
    """A weighted sum over five frames of chroma: (frames, 12) → (frames − 4, 12)."""
    if len(image) < len(_SMOOTHING):
        return image[:0]
    return sliding_window_view(image, len(_SMOOTHING), axis=0) @ np.array(_SMOOTHING)


def normalised(image: np.ndarray) -> np.ndarray:
    """Every frame scaled to a Euclidean norm of 1, nearly silent ones to 0: (frames, 12)."""
    norm = np.linalg.norm(image, axis=1, keepdims=True)
    return image / np.where(norm < _FAINT, np.inf, norm)


def coded(levels: np.ndarray) -> np.ndarray:
    """Levels 0 … 3 of 16 filters, (n, 16), as words of two bits each, uint32 (n,).

    In a Gray code, so that levels next to each other differ in one bit.
    """
    gray = levels ^ (levels >> 1)
    return (gray << np.arange(30, -1, -2)).sum(1).astype(np.uint32)


def _levels(image: np.ndarray) -> np.ndarray:
    """Which of four levels each filter answers from each frame on: (frames, 12) → (n, 16)."""
    plus, minus, limits = _masks()
    patches = sliding_window_view(image, _WIDTH, axis=0).reshape(-1, NOTES * _WIDTH)
    seen = np.log1p(patches @ plus.T) - np.log1p(patches @ minus.T)
    return (seen[..., None] >= limits).sum(-1)


def _packed(values: np.ndarray, width: int) -> bytes:
    """Numbers of `width` bits one behind the other, lowest bit first, in whole bytes."""
    bits = (values[:, None] >> np.arange(width)) & 1
    return np.packbits(bits.astype(np.uint8), bitorder="little").tobytes()


@cache
def _masks() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each filter adds and where it subtracts, (16, 12 · 16) each; its limits, (16, 3)."""
    signs = np.zeros((len(_CLASSIFIERS), NOTES, _WIDTH))
    for sign, (shape, note, notes, frames, *_) in zip(signs, _CLASSIFIERS, strict=True):
        sign[note : note + notes, :frames] = _shape(shape, notes, frames)
    flat = signs.reshape(len(signs), -1)
    limits = np.array([classifier[4:] for classifier in _CLASSIFIERS])
    return (flat > 0).astype(float), (flat < 0).astype(float), limits


def _shape(shape: int, notes: int, frames: int) -> np.ndarray:
    """+1 where a filter adds and −1 where it subtracts, (notes, frames).

    shape: 0 adds everywhere; 1 and 2 compare the halves along notes and along frames; 3 is
    chequered; 4 and 5 compare the middle third with the rest, along notes and along frames.
    """
    even_notes, even_frames = np.ones(notes), np.ones(frames)
    later_notes, later_frames = _later(notes), _later(frames)
    patterns = (
        (even_notes, even_frames),
        (later_notes, even_frames),
        (even_notes, later_frames),
        (-later_notes, later_frames),
        (_middle(notes), even_frames),
        (even_notes, _middle(frames)),
    )
    return np.outer(*patterns[shape])


def _later(size: int) -> np.ndarray:
    """−1 in the first half, +1 in the second."""
    return np.where(np.arange(size) < size // 2, -1, 1)


def _middle(size: int) -> np.ndarray:
    """+1 in the second third, −1 before and after."""
    third = max(size // 3, 1)
    return np.where(np.arange(size) // third == 1, 1, -1)


@cache
def _notes() -> tuple[int, np.ndarray]:
    """The spectrum's first bin that counts, and (bins, 12): 1 where a bin belongs to a note."""
    lowest, end = (round(hertz * FRAME / RATE) for hertz in _BAND)
    octaves = np.log2(np.arange(lowest, end) * RATE / FRAME / _BASE)
    return lowest, np.eye(NOTES)[(NOTES * (octaves % 1)).astype(int)]


@lru_cache(maxsize=8)
def _filters(sample_rate: int) -> np.ndarray:
    """(256, taps): the resampler's filter at each position between two samples."""
    factor = min(RATE * _CUTOFF / sample_rate, 1.0)
    length = math.ceil(_TAPS / factor)
    at = np.arange(length) - (length - 1) // 2 - np.arange(_PHASES)[:, None] / _PHASES
    window = np.i0(_KAISER * np.sqrt(np.maximum(1 - np.square(2 * at / length), 0)))
    taps = np.sinc(at * factor) * window
    scaled = (taps * _ONE / taps.sum(1, keepdims=True)).astype(np.float32)
    return np.rint(scaled).clip(-_ONE, _ONE - 1).astype(np.float64)


def _round(sample_rate: int, length: int) -> tuple[np.ndarray, np.ndarray, int]:
    """For each output value the first sample under its filter, and the filter's position.

    Both rates have a common multiple, so this repeats after `step` samples, the third value that
    is returned. The step is made at least as long as a filter: windows that far apart do not
    overlap and form a matrix that BLAS multiplies without a copy.
    """
    common = math.gcd(RATE, sample_rate)
    repeats = -(-length * common // sample_rate)
    turns = np.arange(repeats * RATE // common) * sample_rate * _PHASES // RATE
    return *np.divmod(turns, _PHASES), repeats * sample_rate // common
