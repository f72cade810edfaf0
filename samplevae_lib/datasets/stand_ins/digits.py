"""Spoken digits by six imaginary speakers of eSpeak NG, in place of recorded ones."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy.signal import butter, sosfiltfilt

from samplevae_lib import audio
from samplevae_lib.datasets.dataset import Clip, refuse_unknown
from samplevae_lib.datasets.stand_ins.synthesis import finish, generator


@dataclass(frozen=True)
class Speaker:
    """A speaker in eSpeak's terms.

    voice: one of its Englishes, + one of the few voices that say a word twice in the same way.
    size: a factor on pitch and all resonances; above 1 the speaker is smaller than eSpeak's.
    pitch: 0–99, one octave below the voice's own (50) to one above.
    pace: words per minute.
    """

    voice: str
    size: float
    pitch: int
    pace: int


WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# Paces are chosen so that digits last as long as in the Free Spoken Digit Dataset, where the
# speakers' means lie between 0.35 s and 0.57 s and the mean of all is 0.44 s.
SPEAKERS = {
    "espeak-m1": Speaker("en-us+adam", size=1.0, pitch=50, pace=152),
    "espeak-m2": Speaker("en+david", size=0.98, pitch=68, pace=142),
    "espeak-m3": Speaker("en-gb-x-gbclan+miguel", size=1.03, pitch=58, pace=152),
    "espeak-f1": Speaker("en-us+shelby", size=1.06, pitch=55, pace=160),
    "espeak-f2": Speaker("en-gb-x-rp+adam", size=1.22, pitch=84, pace=142),
    "espeak-f3": Speaker("en-029+miguel", size=1.18, pitch=86, pace=152),
}
_TEMPO = (0.86, 1.16)  # a factor on the speaker's pace
_PITCH = (-12, 12)  # eSpeak's scale: ±3 semitones around the speaker's own
_MELODY = (20, 90)  # eSpeak's scale: from nearly level to lively
_PEAK = (-10.0, -2.0)  # dB full scale
_LOWEST = 50  # Hz: what is below is not speech
_SILENCE = 10 ** (-45 / 20)  # of the peak: what is softer at the ends is cut off
_MARGIN = 0.010  # seconds of near-silence left at either end
_FADE = 0.005  # seconds

# Numbers that the header speak_lib.h of eSpeak NG gives a name.
_SYNCHRONOUS, _FROM_CHARACTER, _UTF8 = 2, 1, 1
_DONT_EXIT = 0x8000  # without it the library ends the process when it can't read its data
_RATE, _VOLUME, _PITCH_BASE, _PITCH_RANGE = 1, 2, 3, 4
_HALF_VOLUME = 50  # at full volume loud vowels set off the gain control, whose state lasts
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class StandInUnavailable(RuntimeError):
    """Stand-in sounds can't be made on this machine; the message says what is missing."""


def digit_clips(
    *, per_digit: int, sample_rate: int, seed: int, speakers: Sequence[str] | None = None
) -> Iterator[Clip]:
    """Each digit `per_digit` times by every speaker, or only by those in `speakers`.

    A clip depends on seed, speaker, digit and index alone, so fewer speakers or takes are a
    part of more. sample_rate in Hz. eSpeak NG is first looked for when the first clip is drawn.
    """
    refuse_unknown("speaker", speakers, SPEAKERS)
    return (
        _clip(digit, name, index, sample_rate=sample_rate, seed=seed)
        for name in speakers or SPEAKERS
        for digit in range(len(WORDS))
        for index in range(per_digit)
    )


def _clip(digit: int, name: str, index: int, *, sample_rate: int, seed: int) -> Clip:
    rng, speaker = generator(seed, list(SPEAKERS).index(name), digit, index), SPEAKERS[name]
    espeak = installed()
    # Played faster, a voice is that of a smaller speaker; so it has to speak slower first.
    pace = speaker.pace * rng.uniform(*_TEMPO) / speaker.size
    pitch, melody = speaker.pitch + rng.uniform(*_PITCH), rng.uniform(*_MELODY)
    speech = espeak.say(WORDS[digit], speaker.voice, pace=pace, pitch=pitch, melody=melody)
    sound = audio.resample(speech, round(espeak.sample_rate * speaker.size), sample_rate)
    # A filter, not the mean: it is eSpeak's recorded consonants that have an offset.
    steady = sosfiltfilt(butter(2, _LOWEST, "highpass", fs=sample_rate, output="sos"), sound)
    peak = 10 ** (rng.uniform(*_PEAK) / 20)
    return Clip(
        audio=finish(_trim(steady, sample_rate), peak=peak, fade=_FADE, rate=sample_rate),
        name=f"{digit}_{name}_{index:02d}",
        label=str(digit),
        group=name,
        attributes={"index": index},
    )


def _trim(speech: np.ndarray, rate: int) -> np.ndarray:
    """Without the silence before and after, but for a margin."""
    level = np.abs(speech)
    heard = np.flatnonzero(level > _SILENCE * level.max())
    margin = round(_MARGIN * rate)
    return speech[max(0, heard[0] - margin) : heard[-1] + 1 + margin]


class Espeak:
    """The library of eSpeak NG; its state is global, so one for the whole process.

    library, data: where its shared library and the folder espeak-ng-data lie.
    """

    def __init__(self, library: Path, data: Path):
        self._heard: list[bytes] = []
        self._callback = _CALLBACK(self._collect)  # the library does not keep it alive
        try:
            self._library = ctypes.CDLL(str(library))
        except OSError as error:
            raise StandInUnavailable(f"eSpeak NG ({library}) can't be loaded: {error}") from error
        self.sample_rate: int = self._library.espeak_Initialize(
            _SYNCHRONOUS, 0, str(data).encode(), _DONT_EXIT
        )
        if self.sample_rate <= 0:
            raise StandInUnavailable(
                f"eSpeak NG ({library}) can't start with the data from {data}: "
                f"espeak_Initialize returned {self.sample_rate}"
            )
        self._library.espeak_SetSynthCallback(self._callback)

    def say(self, text: str, voice: str, *, pace: float, pitch: float, melody: float) -> np.ndarray:
        """Speak `text`, float32 (samples,), with whatever silence eSpeak puts around it.

        voice, pace, pitch: see `Speaker`. melody: 0–99, how far the pitch moves; 0 is monotonous.
        """
        self._call("SetVoiceByName", voice.encode())
        settings = {_RATE: pace, _VOLUME: _HALF_VOLUME, _PITCH_BASE: pitch, _PITCH_RANGE: melody}
        for setting, value in settings.items():
            self._call("SetParameter", setting, round(value), 0)
        self._heard.clear()
        words = text.encode()
        length = ctypes.c_size_t(len(words) + 1)
        self._call("Synth", words, length, 0, _FROM_CHARACTER, 0, _UTF8, None, None)
        return np.frombuffer(b"".join(self._heard), dtype=np.int16).astype(np.float32) / 32768

    def _call(self, name: str, *arguments: bytes | int | ctypes.c_size_t | None) -> None:
        """Call a function of the library that returns 0 when all went well."""
        if code := getattr(self._library, f"espeak_{name}")(*arguments):
            raise RuntimeError(f"espeak_{name}{arguments} returned {code}")

    def _collect(self, samples: ctypes._Pointer, count: int, _events: int | None) -> int:
        if samples and count > 0:
            self._heard.append(ctypes.string_at(samples, 2 * count))
        return 0  # go on


@cache
def installed() -> Espeak:
    """eSpeak NG as the package espeakng-loader brings it."""
    try:
        import espeakng_loader
    except ImportError as error:
        raise StandInUnavailable(
            "spoken stand-ins need eSpeak NG, which is not installed; get it with "
            'pip install "samplevae[speech]"'
        ) from error
    return Espeak(Path(espeakng_loader.get_library_path()), Path(espeakng_loader.get_data_path()))
