"""Spoken digits by six imaginary speakers of eSpeak NG, in place of recorded ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from scipy.signal import butter, sosfiltfilt

from samplevae_lib import audio
from samplevae_lib.datasets.clip import Clip
from samplevae_lib.datasets.stand_ins.espeak import Espeak, Voice

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# Paces are chosen so that digits last as long as in the Free Spoken Digit Dataset, where the
# speakers' means lie between 0.35 s and 0.57 s and the mean of all is 0.44 s.
SPEAKERS = {
    "espeak-m1": Voice("en-us", (84, 122), (97, 97, 97), treble=100, width=100, pace=165),
    "espeak-m2": Voice("en", (70, 102), (94, 92, 94), treble=80, width=85, pace=140),
    "espeak-m3": Voice("en-gb-x-gbclan", (98, 140), (103, 102, 101), treble=95, width=95, pace=152),
    "espeak-f1": Voice("en-us", (165, 225), (112, 110, 112), treble=80, width=130, pace=180),
    "espeak-f2": Voice("en-gb-x-rp", (190, 265), (118, 116, 118), treble=75, width=140, pace=155),
    "espeak-f3": Voice("en-029", (150, 205), (108, 112, 110), treble=90, width=120, pace=136),
}
_TEMPO = (0.86, 1.16)  # a factor on the speaker's pace
_PITCH = (38, 63)  # eSpeak's scale: ±3 semitones around 50
_MELODY = (20, 90)  # eSpeak's scale: from nearly level to lively
_PEAK = (-10.0, -2.0)  # dB full scale
_LOWEST = 30  # Hz: what is below is not speech
_SILENCE = 10 ** (-45 / 20)  # of the peak: what is softer at the ends is cut off
_MARGIN = 0.010  # seconds of near-silence left at either end
_FADE = 0.005  # seconds


class StandInUnavailable(RuntimeError):
    """Stand-in sounds can't be made on this machine; the message says what is missing."""


def digit_clips(
    *, per_digit: int, sample_rate: int, seed: int, speakers: Sequence[str] | None = None
) -> Iterator[Clip]:
    """Each digit `per_digit` times by every speaker, or only by those in `speakers`.

    A clip depends on seed, speaker, digit and index alone, so fewer speakers or takes are a
    part of more. sample_rate in Hz. eSpeak NG is first looked for when the first clip is drawn.
    """
    chosen = tuple(SPEAKERS if speakers is None else speakers)
    unknown = [name for name in chosen if name not in SPEAKERS]
    if unknown:
        raise ValueError(f"unknown speaker {', '.join(unknown)}; known are {', '.join(SPEAKERS)}")
    return (
        _clip(digit, speaker, index, sample_rate=sample_rate, seed=seed)
        for speaker in chosen
        for digit in range(len(WORDS))
        for index in range(per_digit)
    )


def _clip(digit: int, speaker: str, index: int, *, sample_rate: int, seed: int) -> Clip:
    rng = np.random.default_rng((seed, list(SPEAKERS).index(speaker), digit, index))
    espeak = _espeak(*_installed())
    speech = espeak.say(
        WORDS[digit],
        voice=speaker,
        tempo=rng.uniform(*_TEMPO),
        pitch=int(rng.integers(*_PITCH, endpoint=True)),
        melody=int(rng.integers(*_MELODY, endpoint=True)),
    )
    steady = _steady(audio.resample(speech, espeak.sample_rate, sample_rate), sample_rate)
    sound = _fade(_trim(steady, sample_rate), sample_rate)
    return Clip(
        audio=audio.match_peak(sound, rng.uniform(*_PEAK)),
        name=f"{digit}_{speaker}_{index:02d}",
        label=str(digit),
        group=speaker,
        attributes={"index": index},
    )


def _steady(speech: np.ndarray, rate: int) -> np.ndarray:
    """Without offset. A filter, not the mean: it is eSpeak's recorded consonants that have one."""
    return sosfiltfilt(butter(2, _LOWEST, "highpass", fs=rate, output="sos"), speech)


def _trim(speech: np.ndarray, rate: int) -> np.ndarray:
    """Without the silence before and after, but for a margin."""
    level = np.abs(speech)
    heard = np.flatnonzero(level > _SILENCE * level.max())
    margin = round(_MARGIN * rate)
    return speech[max(0, heard[0] - margin) : heard[-1] + 1 + margin]


def _fade(speech: np.ndarray, rate: int) -> np.ndarray:
    """From zero and back to zero."""
    ramp = np.linspace(0, 1, round(_FADE * rate), endpoint=False)
    gain = np.ones(len(speech))
    gain[: len(ramp)] = ramp
    gain[-len(ramp) :] = ramp[::-1]
    return speech * gain


def _installed() -> tuple[Path, Path]:
    """Where the package that brings eSpeak NG keeps its library and its data."""
    try:
        import espeakng_loader
    except ImportError as error:
        raise StandInUnavailable(
            "spoken stand-ins need eSpeak NG, which is not installed; get it with "
            'pip install "samplevae[speech]"'
        ) from error
    return Path(espeakng_loader.get_library_path()), Path(espeakng_loader.get_data_path())


@cache
def _espeak(library: Path, data: Path) -> Espeak:
    """One per process: the library's state is global."""
    return Espeak(library, data, SPEAKERS)
