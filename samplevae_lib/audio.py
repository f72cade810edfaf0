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


def check(sound: np.ndarray, name: str = "audio", *, peak: float = np.inf) -> np.ndarray:
    """One sound that came in, (samples,) of finite real numbers, as an array; else a ValueError.

    name: what the message calls it. peak: the highest that is taken for a sound with full scale
    at 1; 16-bit samples that were never divided by 32768 lie far above it.
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
            "by 32768"
        )
    return sound


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


def cut_or_pad(audio: np.ndarray, samples: int, *, fade: int = 128) -> np.ndarray:
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


MP3_KBPS = (32, 320)  # least and greatest of MPEG-1 layer III
_MOST = 0.9999  # libsndfile takes a compression level of 1 for a mistake
_DELAY = 4096  # samples that a decoder is at most late by


def through_mp3(audio: np.ndarray, sample_rate: int, kbps: float) -> tuple[np.ndarray, int]:
    """(channels, samples) or (samples,), encoded at a constant bit rate and decoded again.

    Returned are the sound, lying on the original sample by sample, and the file's size in bytes.
    A file without a note of the encoder's delay comes back late: by how much is measured.
    """
    if not MP3_KBPS[0] <= kbps <= MP3_KBPS[1]:
        raise ValueError(f"kbps is {kbps}: expected {MP3_KBPS[0]} to {MP3_KBPS[1]}")
    if (peak := float(np.abs(audio).max(initial=0.0))) > 1:
        raise ValueError(f"a peak of {peak:.3g} would clip; use samplevae_lib.audio.match_peak")
    least, most = MP3_KBPS
    buffer = io.BytesIO()
    sf.write(
        buffer, audio.T, sample_rate, format="MP3", subtype="MPEG_LAYER_III",
        bitrate_mode="CONSTANT", compression_level=min((most - kbps) / (most - least), _MOST),
    )  # fmt: skip
    size = buffer.tell()
    buffer.seek(0)
    decoded = sf.read(buffer, dtype="float32")[0].T
    late = delay(np.atleast_2d(audio).mean(0), np.atleast_2d(decoded).mean(0))
    made = np.zeros(audio.shape, np.float32)
    kept = decoded[..., late : late + audio.shape[-1]]
    made[..., : kept.shape[-1]] = kept
    return made, size


def delay(reference: np.ndarray, test: np.ndarray) -> int:
    """By how many samples, 0 to 4096, a sound is late: where they correlate most. (samples,)."""
    from scipy.fft import irfft, next_fast_len, rfft

    length = next_fast_len(len(reference) + len(test))
    alike = irfft(np.conj(rfft(reference, length)) * rfft(test, length), length)
    return int(alike[: _DELAY + 1].argmax())
