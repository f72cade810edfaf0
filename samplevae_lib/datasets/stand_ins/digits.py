"""Spoken digits by six imaginary speakers of eSpeak NG, in place of recorded ones."""

from __future__ import annotations

import atexit
import ctypes
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock

import numpy as np
from scipy.signal import butter, sosfiltfilt

from samplevae_lib import audio
from samplevae_lib.datasets.dataset import Clip

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: espeak_Synth returns when all is said
_BUFFER = 200  # milliseconds per call of the callback
_DONT_EXIT = 0x8000  # without it the library ends the process when it can't read its data
_FROM_CHARACTER = 1  # POS_CHARACTER: a start position counts characters
_UTF8 = 1  # espeakCHARS_UTF8
_RATE, _VOLUME, _PITCH_OF, _RANGE = 1, 2, 3, 4  # espeak_PARAMETER
_HALF_VOLUME = 50  # at full volume loud vowels set off the gain control, whose state lasts
_FILES = ("phontab", "phonindex", "phondata", "intonations", "en_dict")
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class EspeakError(RuntimeError):
    """eSpeak NG did not do what it was asked for."""


@dataclass(frozen=True)
class Voice:
    """A speaker in eSpeak's terms.

    accent: one of eSpeak's Englishes ("en-us", "en-gb-x-rp", …).
    pitch: Hz, the low and high end of a sentence.
    formants: the first, the second, and all higher resonances in percent of eSpeak's own, a man's.
    treble: strength of the higher resonances in percent.
    width: bandwidth of all resonances in percent; wide ones sound softer.
    pace: words per minute.
    """

    accent: str
    pitch: tuple[int, int]
    formants: tuple[int, int, int]
    treble: int
    width: int
    pace: int

    def definition(self, name: str) -> str:
        """The text of an eSpeak voice variant."""
        first, second, higher = self.formants
        resonances = [(100, 100), (first, 100), (second, 100), *[(higher, self.treble)] * 6]
        lines = [
            f"formant {number} {frequency} {strength} {self.width}"
            for number, (frequency, strength) in enumerate(resonances)
        ]
        low, high = self.pitch
        head = ["language variant", f"name {name}", f"pitch {low} {high}"]
        return "\n".join([*head, "flutter 0", "roughness 0", *lines, ""])


class Espeak:
    """The library with voices of ours; rates in Hz, audio as float32 (samples,).

    voices: by name. Accent and name together must stay under 30 characters: eSpeak copies them
    to short buffers, and the process is aborted where they don't fit.
    """

    def __init__(self, library: Path, data: Path, voices: Mapping[str, Voice]):
        self._voices = dict(voices)
        self._lock = Lock()
        self._heard: list[bytes] = []
        self._callback = _CALLBACK(self._collect)  # the library does not keep it alive
        self._library = _open(library)
        home = _home(data, self._voices)
        rate = self._library.espeak_Initialize(
            _SYNCHRONOUS, _BUFFER, str(home).encode(), _DONT_EXIT
        )
        if rate <= 0:
            raise EspeakError(
                f"eSpeak NG ({library}) can't start with the data from {data}, "
                f"copied to {home}: espeak_Initialize returned {rate}"
            )
        self.sample_rate: int = rate
        self._library.espeak_SetSynthCallback(self._callback)

    def say(
        self, text: str, *, voice: str, tempo: float = 1.0, pitch: int = 50, melody: int = 50
    ) -> np.ndarray:
        """Speak `text`, with whatever silence eSpeak puts around it.

        tempo: a factor on the voice's pace. pitch: 0–99, one octave down to one up, 50 is
        the voice's own. melody: 0–99, how far the pitch moves, 0 is monotonous.
        """
        rate = round(self._voices[voice].pace * tempo)
        parameters = {_RATE: rate, _VOLUME: _HALF_VOLUME, _PITCH_OF: pitch, _RANGE: melody}
        with self._lock:
            self._call("SetVoiceByName", f"{self._voices[voice].accent}+{voice}".encode())
            for parameter, value in parameters.items():
                self._call("SetParameter", parameter, int(value), 0)
            self._heard.clear()
            words = text.encode()
            self._call("Synth", words, len(words) + 1, 0, _FROM_CHARACTER, 0, _UTF8, None, None)
            samples = np.frombuffer(b"".join(self._heard), dtype=np.int16)
        return samples.astype(np.float32) / 32768

    def _call(self, name: str, *arguments: bytes | int | None) -> None:
        """Call a function of the library that returns 0 when all went well."""
        code = getattr(self._library, f"espeak_{name}")(*arguments)
        if code != 0:
            raise EspeakError(f"espeak_{name}{arguments} returned {code}")

    def _collect(self, samples: ctypes._Pointer, count: int, _events: int | None) -> int:
        if samples and count > 0:
            self._heard.append(ctypes.string_at(samples, 2 * count))
        return 0  # go on


def _open(library: Path) -> ctypes.CDLL:
    """The shared library, told the types that are not plain ints."""
    try:
        opened = ctypes.CDLL(str(library))
    except OSError as error:
        raise EspeakError(f"eSpeak NG ({library}) can't be loaded: {error}") from error
    number, pointer = ctypes.c_uint, ctypes.c_void_p
    text = (ctypes.c_char_p, ctypes.c_size_t, number, ctypes.c_int)
    opened.espeak_Synth.argtypes = (*text, number, number, pointer, pointer)
    return opened


def _home(data: Path, voices: Mapping[str, Voice]) -> Path:
    """A copy of eSpeak's English (1 MB) with our voices in it, for as long as the process runs.

    A copy, because eSpeak takes voices only from its data folder, which may be read-only.
    """
    home = Path(tempfile.mkdtemp(prefix="espeak-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    copy = home / "espeak-ng-data"
    languages, variants = copy / "lang" / "gmw", copy / "voices" / "!v"
    languages.mkdir(parents=True)
    variants.mkdir(parents=True)
    for name in _FILES:
        shutil.copyfile(data / name, copy / name)
    for language in data.glob("lang/gmw/en*"):
        shutil.copyfile(language, languages / language.name)
    for name, voice in voices.items():
        (variants / name).write_text(voice.definition(name), encoding="utf-8")
    return home


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
