"""Sound files in and out: read, resample, mix down, fit to length, match levels, write.

Anything wrong with a file is an `AudioError` that names the file and the reason, so that a
folder of a thousand samples can be loaded around the three that are broken.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr

from samplevae_lib.files import replacing

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif")
MAX_SECONDS = 600.0  # ten minutes: longer is a track, not a sample
SILENCE = 1e-4  # peak of −80 dB full scale: under it nothing is heard, and scaling it up is noise
_FORMATS = {
    ".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"), ".aiff": ("AIFF", "PCM_16"), ".aif": ("AIFF", "PCM_16"),
}  # fmt: skip
_UNSTATED = 2**62  # libsndfile claims more samples than that where a FLAC is left without a length
# What libsndfile notes in its log about the sound of a WAV or AIFF that was cut off, in bytes.
_CUT = re.compile(r"(?:data|SSND) : (?P<promised>\d+) \(should be (?P<found>\d+)\)")
# A program that writes to a pipe can't know the length yet and leaves one of these in the header.
_FROM_A_PIPE = {size - header for size in (2**32 - 1, 2**31 - 1) for header in (0, 36)}
MP3_KBPS = (32, 320)  # least and greatest bit rate of MPEG-1 layer III
_MPEG_1, _MP3_KBPS_BELOW = 32000, (8, 160)  # Hz from which that is used, and MPEG-2's bit rates
_LOWEST_BIT_RATE = 0.9999  # libsndfile's compression level; 1 it takes for a mistake
_LATEST = 4096  # samples: no MP3 decoder is later than that


class AudioError(ValueError):
    """A sound file that can't be used: says which, and why."""

    def __init__(self, path: str | os.PathLike, reason: str):
        super().__init__(f"{os.fspath(path)}: {reason}")
        self.path = Path(path)
        self.reason = reason


def read(
    path: str | os.PathLike, *, sample_rate: int | None = None, mono: bool = True,
    max_seconds: float = MAX_SECONDS,
) -> tuple[np.ndarray, int]:  # fmt: skip
    """Read a WAV, FLAC, OGG, MP3 or AIFF file of any rate, depth and number of channels.

    sample_rate: Hz to resample to; None keeps the file's own rate.
    mono: mix to (samples,), else the channels are kept, (channels, samples).
    max_seconds: longer files are refused.
    Returns float32 audio within about ±1 and its rate in Hz.
    """
    frames, rate = _decode(path, max_seconds=max_seconds)
    audio = mix_down(frames) if mono else np.ascontiguousarray(frames.T)
    _refuse_unusable(path, audio, frames)
    if sample_rate is not None and sample_rate != rate:
        audio, rate = resample(audio, rate, sample_rate), sample_rate
    return audio, rate


def check(sound: np.ndarray, name: str = "audio", *, peak: float = np.inf) -> np.ndarray:
    """Return one sound as an array (samples,), or raise a ValueError that says what is wrong.

    A sound has one axis, at least one sample, and finite real numbers only.
    name: what the message calls the sound.
    peak: the highest absolute value allowed, by default any; full scale is 1.0.

    >>> check([0.0, 0.5, -1.0], peak=1.0)
    array([ 0. ,  0.5, -1. ])
    >>> check([0.1, float("nan")], "the reference")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: the reference holds 1 values that are NaN or infinite, the first at sample 1: ...
    """
    sound = np.asarray(sound)
    if sound.ndim != 1:
        raise ValueError(
            f"{name} has shape {sound.shape}: expected (samples,); mix the channels down or take "
            "one sound of a batch at a time"
        )
    if not len(sound):
        raise ValueError(f"{name} is empty: expected at least one sample; leave it out")
    if sound.dtype.kind not in "fiu":
        raise ValueError(f"{name} is of type {sound.dtype}: expected real numbers within ±1")
    bad = np.flatnonzero(~np.isfinite(sound))
    if len(bad):
        raise ValueError(
            f"{name} holds {len(bad)} values that are NaN or infinite, the first at sample "
            f"{bad[0]}: expected finite ones; replace them or leave the sound out"
        )
    if (found := float(np.abs(sound.astype(np.float64)).max())) > peak:
        raise ValueError(
            f"{name} has a peak of {found:.6g}: expected full scale at 1; divide 16-bit samples "
            "by 32768, scale any other sound with samplevae_lib.audio.match_peak"
        )
    return sound


def mix_down(frames: np.ndarray) -> np.ndarray:
    """The mean of all channels: float32 (samples, channels) → (samples,)."""
    if frames.shape[1] == 1:
        return frames[:, 0]
    # A product of matrices: numpy's mean over a short last axis is thirty times slower.
    return frames @ np.full(frames.shape[1], 1 / frames.shape[1], dtype=np.float32)


def resample(audio: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """Resample the last axis from one rate in Hz to another, with soxr at high quality: float32.

    As librosa.resample does, but without holding Python's lock, so that threads don't wait.
    """
    if from_rate == to_rate:
        return audio
    out = soxr.resample(audio.T, from_rate, to_rate, quality="HQ").T
    length = -(-audio.shape[-1] * to_rate // from_rate)
    gap = max(0, length - out.shape[-1])
    padded = np.pad(out, [(0, 0)] * (out.ndim - 1) + [(0, gap)]) if gap else out
    return padded[..., :length].astype(np.float32, copy=False)


def cut_or_pad(audio: np.ndarray, samples: int, *, fade: int = 128) -> np.ndarray:
    """Pad (samples,) with silence or cut it to `samples`, float32.

    fade: over how many samples a cut end fades out.
    """
    if samples < 1:
        raise ValueError(f"samples must be at least 1, not {samples}")
    fitted = np.zeros(samples, dtype=np.float32)
    kept = min(samples, audio.shape[-1])
    fitted[:kept] = audio[:kept]
    if audio.shape[-1] > samples:
        fade = min(fade, samples)
        fitted[samples - fade :] *= np.cos(np.linspace(0, np.pi / 2, fade)) ** 2
    return fitted


def peak_db(audio: np.ndarray) -> float:
    """The highest absolute value in dB full scale; −inf for digital silence."""
    return _decibels(float(np.abs(audio).max(initial=0.0)))


def loudness_db(audio: np.ndarray, *, frame: int = 512, gate: float = 40.0) -> float:
    """RMS in dB full scale of a sound (samples,) where it is heard; −inf for digital silence.

    frame: samples that are judged together.
    gate: frames softer than the loudest by more than so many dB don't count; without it, a short
    drum hit padded with silence would count as quiet.
    """
    padded = np.pad(audio.astype(np.float64), (0, -len(audio) % frame))
    power = np.square(padded.reshape(-1, frame)).mean(axis=1)
    sounding = power[power >= power.max(initial=0.0) * 10 ** (-gate / 10)]
    return _decibels(float(np.sqrt(sounding.mean())) if sounding.size else 0.0)


def match_peak(audio: np.ndarray, db: float = -1.0) -> np.ndarray:
    """Scale a sound of any shape so that its peak is at `db` dB full scale; silence stays silence.

    >>> match_peak(np.array([0.0, 0.1, -0.2]), db=0.0)
    array([ 0. ,  0.5, -1. ], dtype=float32)
    """
    peak = float(np.abs(audio).max(initial=0.0))
    # Divided first: the factor alone would overflow float32 for a peak of 1e-39.
    return audio if peak == 0.0 else (audio / peak * 10 ** (db / 20)).astype(np.float32)


def match_levels(clips: Sequence[np.ndarray], *, peak: float = -1.0) -> list[np.ndarray]:
    """Scale sounds (samples,) to one loudness, as loud as possible.

    peak: dB full scale, reached by the spikiest of them and exceeded by none.

    >>> soft, loud = 0.01 * np.ones(512), np.ones(512)
    >>> [round(float(clip.max()), 3) for clip in match_levels([soft, loud], peak=0.0)]
    [1.0, 1.0]
    """
    loudness, peaks = (np.array([f(clip) for clip in clips]) for f in (loudness_db, peak_db))
    audible = np.isfinite(loudness)
    if not audible.any():
        return list(clips)
    target = peak + float((loudness[audible] - peaks[audible]).min())
    gains = np.where(audible, 10 ** ((target - np.where(audible, loudness, 0.0)) / 20), 1.0)
    return [(clip * gain).astype(np.float32) for clip, gain in zip(clips, gains, strict=True)]


def write(path: str | os.PathLike, audio: np.ndarray, sample_rate: int, **options) -> Path:
    """Write (samples,) or (channels, samples) at `sample_rate` Hz; the suffix chooses the format.

    subtype: soundfile's name of the coding ("PCM_24", "FLOAT", …); by default the usual one.
    What would be clipped, or holds NaN, is refused with an `AudioError`.
    """
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise AudioError(path, f"unknown suffix; known are {', '.join(_FORMATS)}")
    peak = np.inf if options.get("subtype") in ("FLOAT", "DOUBLE") else 1.0
    try:
        _check_channels(audio, peak=peak)
        content = encode(audio, sample_rate, suffix=path.suffix.lower(), **options)
    except (sf.LibsndfileError, ValueError) as error:
        raise AudioError(path, f"not written: {getattr(error, 'error_string', error)}") from error
    with replacing(path) as partial:
        partial.write_bytes(content)
    return path


def _check_channels(audio: np.ndarray, *, peak: float) -> None:
    for channel in np.atleast_2d(audio):
        check(channel, peak=peak)


def encode(
    audio: np.ndarray, sample_rate: int, *, suffix: str = ".wav", subtype: str | None = None,
    kbps: float | None = None,
) -> bytes:  # fmt: skip
    """The bytes of a sound file, for a player in a page or a file on disk.

    audio: (samples,) or (channels, samples). suffix, subtype: format and coding, as in `write`.
    kbps: the constant bit rate of an MP3, 32 to 320 kbit/s, and 8 to 160 below 32000 Hz.
    """
    (container, usual), options = _FORMATS[suffix], {}
    if kbps is not None:
        least, most = MP3_KBPS if sample_rate >= _MPEG_1 else _MP3_KBPS_BELOW
        level = min((most - kbps) / (most - least), _LOWEST_BIT_RATE)
        options = {"bitrate_mode": "CONSTANT", "compression_level": level}
    buffer = io.BytesIO()
    sf.write(buffer, audio.T, sample_rate, format=container, subtype=subtype or usual, **options)
    return buffer.getvalue()


def through_mp3(audio: np.ndarray, sample_rate: int, kbps: float) -> tuple[np.ndarray, int]:
    """Encode (samples,) or (channels, samples) as MP3 and decode it again.

    kbps: the constant bit rate, 32 to 320 kbit/s.
    Returns the sound as float32 of the shape that came in, without the delay of encoder and
    decoder, and the size of the MP3 in bytes.
    """
    least, most = MP3_KBPS
    if not least <= kbps <= most:
        raise ValueError(f"kbps is {kbps}: expected {least} to {most}")
    _check_channels(audio, peak=1.0)
    content = encode(audio, sample_rate, suffix=".mp3", kbps=kbps)
    decoded = sf.read(io.BytesIO(content), dtype="float32")[0].T
    # Not every MP3 notes how late its encoder made it, so that is measured.
    late = delay(np.atleast_2d(audio).mean(0), np.atleast_2d(decoded).mean(0))
    kept = decoded[..., late : late + audio.shape[-1]]
    aligned = np.zeros(audio.shape, np.float32)
    aligned[..., : kept.shape[-1]] = kept
    return aligned, len(content)


def delay(reference: np.ndarray, test: np.ndarray) -> int:
    """By how many samples, 0 to 4096, `test` is late: where the two correlate most."""
    from scipy.fft import irfft, next_fast_len, rfft

    length = next_fast_len(len(reference) + len(test))
    correlation = irfft(np.conj(rfft(reference, length)) * rfft(test, length), length)
    return int(correlation[: _LATEST + 1].argmax())


def _decode(path: str | os.PathLike, *, max_seconds: float) -> tuple[np.ndarray, int]:
    """All frames of a file, float32 (samples, channels), and its rate in Hz; or an `AudioError`."""
    try:
        with sf.SoundFile(os.fsencode(path)) as file:  # bytes: a name need not be valid UTF-8
            _refuse_long(path, file.frames, file.samplerate, max_seconds)
            frames = file.read(dtype="float32", always_2d=True)
            lost = _missing(path, file, len(frames))
    except (sf.LibsndfileError, TypeError) as error:  # TypeError: named .raw, so without a header
        raise AudioError(path, _why_unread(Path(path), error)) from error
    if lost:
        raise AudioError(path, f"is truncated: {lost}")
    if len(frames) == 0:
        raise AudioError(path, "holds no samples")
    return frames, file.samplerate


def _missing(path: str | os.PathLike, file: sf.SoundFile, frames: int) -> str:
    """What a cut file lacks; empty where nothing is missing or no length was promised."""
    # libsndfile reads what is left of a WAV or AIFF and notes what is missing only in its log.
    if cut := _CUT.search(file.extra_info):
        promised, found = int(cut["promised"]), int(cut["found"])
        gap = 0 if promised in _FROM_A_PIPE else promised - found
        return f"{gap} bytes of its sound are missing" if gap else ""
    if file.format == "OGG":
        return _missing_page(path)
    short = frames < file.frames and (file.format != "MP3" or _says_its_length(path))
    return f"{frames} of {file.frames} samples could be read" if short else ""


def _says_its_length(path: str | os.PathLike) -> bool:
    """Whether an MP3 begins with a Xing or Info frame, behind its ID3v2 tag; where there is none,
    libsndfile infers its length from its size, tags and pictures included.
    """
    with Path(path).open("rb") as file:
        head = file.read(10)
        sizes = head[6:10] if head.startswith(b"ID3") else b""
        file.seek(10 + sum(size << 7 * (3 - i) for i, size in enumerate(sizes)) if sizes else 0)
        first = file.read(256)
    return b"Xing" in first or b"Info" in first


def _missing_page(path: str | os.PathLike) -> str:
    """Whether the last Ogg page is whole and has the end-of-stream flag (RFC 3533, section 6)."""
    content = Path(path).read_bytes()
    page = content[content.rfind(b"OggS") :]
    if len(page) < 27 or not page[5] & 0x04:
        return "the last page of the stream is missing"
    gap = 27 + page[26] + sum(page[27 : 27 + page[26]]) - len(page)  # header, table, segments
    return f"{gap} bytes of its last page are missing" if gap > 0 else ""


def _refuse_long(path: str | os.PathLike, frames: int, rate: int, max_seconds: float) -> None:
    if frames > _UNSTATED:
        raise AudioError(path, "does not state its length, as a FLAC from a pipe; encode it anew")
    if frames / rate > max_seconds:
        limit = f"the limit is max_seconds={max_seconds:g}"
        raise AudioError(path, f"is {frames / rate:.1f} s long; {limit}")


def _why_unread(path: Path, error: Exception) -> str:
    """Why libsndfile couldn't open a file, in words that never mislead."""
    if not path.exists():
        return "does not exist"
    if path.is_dir():
        return "is a folder, not a sound file"
    if path.stat().st_size == 0:
        return "is empty (0 bytes)"
    words = getattr(error, "error_string", "it has no header")
    # It says that a file doesn't exist where it is an MP3 that holds no sound.
    detail = "" if words.startswith(("File does not exist", "Unspecified")) else f" ({words})"
    return f"is not audio that can be read{detail}"


def _refuse_unusable(path: str | os.PathLike, audio: np.ndarray, frames: np.ndarray) -> None:
    peak = max(float(audio.max()), -float(audio.min()))
    if not np.isfinite(peak):
        bad = int(np.count_nonzero(~np.isfinite(frames)))
        raise AudioError(path, f"holds {bad} values that are not numbers (NaN or infinite)")
    if peak < SILENCE:
        loudest = float(np.abs(frames).max())
        if loudest < SILENCE:
            at = f"{_decibels(loudest):.0f} dB"
            raise AudioError(path, f"is silent: its peak is {at}, under −80 dB")
        raise AudioError(path, "is silent once its channels are mixed: they cancel out")


def _decibels(amplitude: float) -> float:
    return 20 * float(np.log10(amplitude)) if amplitude > 0 else float("-inf")
