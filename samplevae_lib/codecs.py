"""What a lossy codec leaves of a sound: MP3, by the encoder and decoder in libsndfile."""

from __future__ import annotations

import io

import numpy as np
import soundfile as sf

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
