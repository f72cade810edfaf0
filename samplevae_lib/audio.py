"""Sound files in and out: read, resample, mix down, fit to length, match levels, write.

Anything wrong with a file is an `AudioError` that names the file and the reason, so that a
folder of a thousand samples can be loaded around the three that are broken.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr

from samplevae_lib import headers
from samplevae_lib.files import replacing

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif")
MAX_SECONDS = 600.0  # ten minutes: longer is a track, not a sample
SILENCE = 1e-4  # peak of −80 dB full scale: under it nothing is heard, and scaling it up is noise
_FORMATS = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".aiff": ("AIFF", "PCM_16"),
    ".aif": ("AIFF", "PCM_16"),
}
_UNSTATED = 2**62  # libsndfile claims more samples than that where a FLAC is left without a length


class AudioError(ValueError):
    """A sound file that can't be used: says which, and why."""

    def __init__(self, path: str | os.PathLike, reason: str):
        super().__init__(f"{os.fspath(path)}: {reason}")
        self.path = Path(path)
        self.reason = reason


def read(
    path: str | os.PathLike,
    *,
    sample_rate: int | None = None,
    mono: bool = True,
    max_seconds: float = MAX_SECONDS,
) -> tuple[np.ndarray, int]:
    """Read a WAV, FLAC, OGG, MP3 or AIFF file of any rate, depth and number of channels.

    Returns float32 audio and its rate in Hz: shape (samples,), or (channels, samples) with
    `mono=False`. `sample_rate` resamples; without it the file's own rate is kept.
    """
    frames, rate = _decode(path, max_seconds=max_seconds)
    audio = mix_down(frames) if mono else np.stack([mix_down(frames[:, [c]]) for c in _all(frames)])
    _refuse_unusable(path, audio, frames)
    if sample_rate is not None and sample_rate != rate:
        audio, rate = resample(audio, rate, sample_rate), sample_rate
    return audio, rate


def mix_down(frames: np.ndarray) -> np.ndarray:
    """The mean of all channels: (samples, channels), float or integer → (samples,) float32."""
    full_scale = 1 if frames.dtype.kind == "f" else 2 ** (8 * frames.dtype.itemsize - 1)
    floats = frames.astype(np.float32, copy=False)
    mixed = floats[:, 0].copy()
    # One channel after the other: numpy's mean over a short last axis is thirty times slower.
    for channel in _all(frames)[1:]:
        mixed += floats[:, channel]
    mixed *= np.float32(1 / (full_scale * frames.shape[1]))
    return mixed


def resample(audio: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """Resample the last axis with soxr at high quality; rates in Hz.

    The same samples as librosa.resample gives, which calls soxr too, but does so holding the
    interpreter's lock for longer, so that two threads are no faster than one.
    """
    if from_rate == to_rate:
        return audio
    out = soxr.resample(audio.T, from_rate, to_rate, quality="HQ").T
    length = -(-audio.shape[-1] * to_rate // from_rate)
    gap = max(0, length - out.shape[-1])
    padded = np.pad(out, [(0, 0)] * (out.ndim - 1) + [(0, gap)]) if gap else out
    return padded[..., :length].astype(np.float32, copy=False)


def fit(audio: np.ndarray, samples: int, *, fade: int = 128) -> np.ndarray:
    """Pad with silence or cut to `samples`; a cut end fades out over `fade` samples."""
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
    """Peak in dB full scale; −inf for digital silence."""
    return _decibels(float(np.abs(audio).max(initial=0.0)))


def loudness_db(audio: np.ndarray, *, frame: int = 512, gate: float = 40.0) -> float:
    """RMS in dB over the part that sounds: frames within `gate` dB of the loudest.

    Without the gate a short drum hit padded with silence would count as quiet.
    """
    padded = np.pad(audio.astype(np.float64), (0, -len(audio) % frame))
    power = np.square(padded.reshape(-1, frame)).mean(axis=1)
    sounding = power[power >= power.max(initial=0.0) * 10 ** (-gate / 10)]
    return _decibels(float(np.sqrt(sounding.mean())) if sounding.size else 0.0)


def match_peak(audio: np.ndarray, db: float = -1.0) -> np.ndarray:
    """Scale so that the peak is at `db` full scale; silence stays silence."""
    peak = float(np.abs(audio).max(initial=0.0))
    # Divided first: the factor alone would overflow float32 for a peak of 1e-39.
    return audio if peak == 0.0 else (audio / peak * 10 ** (db / 20)).astype(np.float32)


def match_levels(clips: Sequence[np.ndarray], *, peak: float = -1.0) -> list[np.ndarray]:
    """Bring clips to one loudness, as loud as possible with no peak above `peak` dB."""
    loudness = np.array([loudness_db(clip) for clip in clips])
    headroom = np.array([peak - peak_db(clip) for clip in clips])
    audible = np.isfinite(loudness)
    if not audible.any():
        return list(clips)
    target = float((loudness[audible] + headroom[audible]).min())
    gains = np.where(audible, 10 ** ((target - np.where(audible, loudness, 0.0)) / 20), 1.0)
    return [(clip * gain).astype(np.float32) for clip, gain in zip(clips, gains, strict=True)]


def write(path: str | os.PathLike, audio: np.ndarray, sample_rate: int, **options) -> Path:
    """Write (samples,) or (channels, samples); the suffix chooses the format.

    `subtype=` is soundfile's ("PCM_24", "FLOAT", …). What would clip is refused, not clipped.
    """
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise AudioError(path, f"unknown suffix; known are {', '.join(_FORMATS)}")
    _refuse_unwritable(path, audio, options.get("subtype", ""))
    try:
        content = encode(audio, sample_rate, suffix=path.suffix.lower(), **options)
    except (sf.LibsndfileError, ValueError) as error:
        raise AudioError(path, f"not written: {getattr(error, 'error_string', error)}") from error
    with replacing(path) as partial:
        partial.write_bytes(content)
    return path


def encode(
    audio: np.ndarray, sample_rate: int, *, suffix: str = ".wav", subtype: str | None = None
) -> bytes:
    """The bytes of a sound file, for a player in a page or a file on disk."""
    container, usual = _FORMATS[suffix]
    buffer = io.BytesIO()
    sf.write(buffer, audio.T, sample_rate, format=container, subtype=subtype or usual)
    return buffer.getvalue()


def _decode(path: str | os.PathLike, *, max_seconds: float) -> tuple[np.ndarray, int]:
    """All frames (samples, channels) as float32, int16 or int32, or an `AudioError`."""
    size = _size(path)
    file = os.open(path, os.O_RDONLY)
    try:
        if wav := headers.plain_wav(file, size):
            _refuse_long(path, wav.frames, wav.rate, max_seconds)
            frames, rate = wav.read(file), wav.rate
        else:
            frames, rate = _by_libsndfile(path, max_seconds)
            if lost := headers.shortfall(file, size):
                raise AudioError(path, f"is truncated: {lost}")
    finally:
        os.close(file)
    if len(frames) == 0:
        raise AudioError(path, "holds no samples")
    return frames, rate


def _by_libsndfile(path: str | os.PathLike, max_seconds: float) -> tuple[np.ndarray, int]:
    try:
        with sf.SoundFile(os.fsencode(path)) as file:  # bytes: a name need not be valid UTF-8
            _refuse_long(path, file.frames, file.samplerate, max_seconds)
            frames, declared = file.read(dtype="float32", always_2d=True), file.frames
            rate = file.samplerate
    except (sf.LibsndfileError, TypeError) as error:  # TypeError: named .raw, so without a header
        raise AudioError(path, f"is not audio that can be read{_detail(error)}") from error
    if len(frames) < declared:
        raise AudioError(path, f"is truncated: {len(frames)} of {declared} samples could be read")
    return frames, rate


def _size(path: str | os.PathLike) -> int:
    """The file's size in bytes; missing, empty and folders are refused."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise AudioError(path, "does not exist") from None
    if stat.S_ISDIR(found.st_mode):
        raise AudioError(path, "is a folder, not a sound file")
    if found.st_size == 0:
        raise AudioError(path, "is empty (0 bytes)")
    return found.st_size


def _refuse_long(path: str | os.PathLike, frames: int, rate: int, max_seconds: float) -> None:
    if frames > _UNSTATED:
        raise AudioError(path, "does not state its length, as a FLAC from a pipe; encode it anew")
    if frames / rate > max_seconds:
        raise AudioError(
            path, f"is {frames / rate:.1f} s long; the limit is max_seconds={max_seconds:g}"
        )


def _detail(error: Exception) -> str:
    """libsndfile's own words, but for those that mislead: the file does exist."""
    words = getattr(error, "error_string", "it has no header")
    return "" if words.startswith(("File does not exist", "Unspecified")) else f" ({words})"


def _refuse_unusable(path: str | os.PathLike, audio: np.ndarray, frames: np.ndarray) -> None:
    """Refuse what can't be computed with (NaN) or heard (silence)."""
    peak = max(float(audio.max()), -float(audio.min()))
    if not np.isfinite(peak):
        bad = int(np.count_nonzero(~np.isfinite(frames)))
        raise AudioError(path, f"holds {bad} values that are not numbers (NaN or infinite)")
    if peak < SILENCE:
        loudest = max(float(np.abs(mix_down(frames[:, [c]])).max()) for c in _all(frames))
        if loudest < SILENCE:
            reason = f"is silent: its peak is {_decibels(loudest):.0f} dB, under −80 dB"
            raise AudioError(path, reason)
        raise AudioError(path, "is silent once its channels are mixed: they cancel out")


def _all(frames: np.ndarray) -> range:
    return range(frames.shape[1])


def _refuse_unwritable(path: Path, audio: np.ndarray, subtype: str) -> None:
    if not np.isfinite(audio).all():
        raise AudioError(path, "not written: the audio holds NaN or infinite values")
    peak = float(np.abs(audio).max(initial=0.0))
    if peak > 1.0 and subtype not in ("FLOAT", "DOUBLE"):
        raise AudioError(
            path, f"not written: a peak of {peak:.3g} would clip; use match_peak first"
        )


def _decibels(amplitude: float) -> float:
    return 20 * float(np.log10(amplitude)) if amplitude > 0 else float("-inf")
