"""eSpeak NG through ctypes: a word and a voice in, speech out.

The library is one machine with global state, so there is one `Espeak` per process. Between
utterances it keeps two counters that nothing sets back, neither another voice nor a new
`espeak_Initialize`: the place in its pitch flutter, and the glottal cycle that roughness counts.
With its usual voices a word therefore sounds a little different each time. The voices here
have neither, nor breath (noise seeded with the time of day) nor echo, and stay clear of the
automatic gain control: what `say` returns depends on its arguments alone. The one exception
found is the accent "en-gb-scotland", whose rolled r counts glottal cycles too.
"""

from __future__ import annotations

import atexit
import ctypes
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: espeak_Synth returns when all is said
_BUFFER = 200  # milliseconds per call of the callback
_DONT_EXIT = 0x8000  # without it the library ends the process when it can't read its data
_FROM_CHARACTER = 1  # POS_CHARACTER: a start position counts characters
_UTF8 = 1  # espeakCHARS_UTF8
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4  # espeak_PARAMETER
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
        parameters = {_RATE: rate, _VOLUME: _HALF_VOLUME, _PITCH: pitch, _RANGE: melody}
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
