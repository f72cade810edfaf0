"""Spoken stand-ins: what is yielded, that chance repeats, and that the digits can be told apart."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from samplevae_lib.datasets.stand_ins import digits
from samplevae_lib.datasets.stand_ins.digits import SPEAKERS, StandInUnavailable, digit_clips

ROOT = Path(__file__).resolve().parent.parent
RATE = 8000
needs_espeak = pytest.mark.skipif(
    find_spec("espeakng_loader") is None,
    reason='speaking needs eSpeak NG: pip install "samplevae[speech]"',
)


@pytest.fixture(scope="module")
def clips():
    return list(digit_clips(per_digit=4, sample_rate=RATE, seed=3))


def run_python(code):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )


def digest(clips):
    return hashlib.sha256(b"".join(clip.audio.tobytes() for clip in clips)).hexdigest()


@needs_espeak
def test_every_speaker_says_every_digit_equally_often(clips):
    said = [(clip.group, clip.label, clip.attributes["index"]) for clip in clips]
    wanted = [(s, str(d), i) for s in SPEAKERS for d in range(10) for i in range(4)]
    assert said == wanted
    assert len(SPEAKERS) == 6
    assert all(clip.attributes == {"index": i % 4} for i, clip in enumerate(clips))


@needs_espeak
def test_names_tell_digit_speaker_and_index(clips):
    assert clips[3 * 4 + 2].name == "3_espeak-m1_02"
    assert len({clip.name for clip in clips}) == len(clips)


@needs_espeak
def test_no_two_clips_are_alike(clips):
    shapes = {(clip.audio / np.abs(clip.audio).max()).round(4).tobytes() for clip in clips}
    assert len(shapes) == len(clips)


@needs_espeak
def test_sound_is_clean(clips):
    for clip in clips:
        peak = np.abs(clip.audio).max()
        assert clip.audio.dtype == np.float32
        assert clip.audio.ndim == 1
        assert np.isfinite(clip.audio).all()
        assert 0.2 < peak < 0.9
        assert clip.audio.std() > 0.05 * peak


@needs_espeak
def test_there_is_no_offset_in_the_whole_or_in_any_part(clips):
    for clip in clips:
        peak = np.abs(clip.audio).max()
        parts = [part.mean() for part in np.array_split(clip.audio, len(clip.audio) // 400)]
        assert abs(clip.audio.mean()) < 0.001 * peak
        assert np.abs(parts).max() < 0.03 * peak


@needs_espeak
def test_clips_begin_and_end_softly_but_without_long_silence(clips):
    for clip in clips:
        level = np.abs(clip.audio)
        heard = np.flatnonzero(level > 0.004 * level.max())
        assert level[0] == 0
        assert level[-1] == 0
        assert heard[0] <= 0.02 * RATE
        assert len(level) - heard[-1] <= 0.02 * RATE


@needs_espeak
@pytest.mark.parametrize("rate", [8000, 22050, 44100])
def test_durations_are_those_of_spoken_digits_at_any_rate(rate):
    clips = digit_clips(per_digit=2, sample_rate=rate, seed=5)
    seconds = np.array([len(clip.audio) / rate for clip in clips])
    assert seconds.min() > 0.2
    assert seconds.max() < 0.8
    assert 0.38 < seconds.mean() < 0.48


@needs_espeak
def test_same_seed_repeats_and_another_differs():
    first, again, other = (
        digest(digit_clips(per_digit=1, sample_rate=RATE, seed=seed)) for seed in (7, 7, 8)
    )
    assert first == again
    assert first != other


@needs_espeak
def test_a_clip_does_not_depend_on_what_was_said_before(clips):
    alone = digit_clips(per_digit=2, sample_rate=RATE, seed=3, speakers=("espeak-f3", "espeak-m1"))
    known = {clip.name: clip.audio for clip in clips}
    for clip in alone:
        np.testing.assert_array_equal(clip.audio, known[clip.name])


@needs_espeak
def test_two_streams_can_be_drawn_in_turns():
    def stream(speaker):
        return digit_clips(per_digit=1, sample_rate=RATE, seed=1, speakers=[speaker])

    apart = list(stream("espeak-m2")), list(stream("espeak-f2"))
    in_turns = zip(*zip(stream("espeak-m2"), stream("espeak-f2"), strict=True), strict=True)
    assert [digest(clips) for clips in in_turns] == [digest(clips) for clips in apart]


@needs_espeak
def test_another_process_hears_the_same():
    code = (
        "import hashlib\n"
        "from samplevae_lib.datasets.stand_ins.digits import digit_clips\n"
        "clips = digit_clips(per_digit=2, sample_rate=22050, seed=11)\n"
        "print(hashlib.sha256(b''.join(c.audio.tobytes() for c in clips)).hexdigest())\n"
    )
    here = digest(digit_clips(per_digit=2, sample_rate=22050, seed=11))
    assert run_python(code).stdout.strip() == here


@needs_espeak
@pytest.mark.parametrize("speaker", SPEAKERS)
def test_nearest_neighbour_recognises_a_speakers_digits(clips, speaker):
    features = np.array([mean_spectra(clip.audio) for clip in clips if clip.group == speaker])
    labels = np.array([clip.label for clip in clips if clip.group == speaker])
    distances = np.linalg.norm(features[:, None] - features, axis=-1)
    np.fill_diagonal(distances, np.inf)
    assert (labels[distances.argmin(axis=1)] == labels).mean() > 0.8


def mean_spectra(sound, *, parts=4, bands=20):
    """Log energy in bands of 200 Hz, one spectrum for each quarter of the word."""
    spectra = [np.abs(np.fft.rfft(part, 1024))[:512] for part in np.array_split(sound, parts)]
    energy = np.square(spectra)[:, : bands * 25].reshape(parts, bands, 25).sum(axis=2)
    return np.log(energy / energy.max() + 1e-4).ravel()


def test_unknown_speaker_is_named_beside_the_known():
    with pytest.raises(ValueError, match=r"unknown speaker jackson; known are espeak-m1, .*-f3"):
        digit_clips(per_digit=1, sample_rate=RATE, seed=0, speakers=["espeak-m1", "jackson"])


def test_missing_package_is_said_when_the_first_clip_is_drawn(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    monkeypatch.setattr(digits, "installed", digits.installed.__wrapped__)  # not the one kept
    clips = digit_clips(per_digit=1, sample_rate=RATE, seed=0)
    with pytest.raises(StandInUnavailable, match=r'eSpeak NG.*pip install "samplevae\[speech\]"'):
        next(clips)


def test_missing_library_is_named(tmp_path):
    with pytest.raises(StandInUnavailable, match=r"nowhere\.so\) can't be loaded"):
        digits.Espeak(tmp_path / "nowhere.so", tmp_path)


@needs_espeak
def test_unusable_data_is_named_with_the_return_code(tmp_path):
    # In a process of its own: a failed start would leave the library of this one unusable.
    done = run_python(
        "import espeakng_loader\n"
        "from samplevae_lib.datasets.stand_ins.digits import Espeak\n"
        f"Espeak(espeakng_loader.get_library_path(), {str(tmp_path)!r})\n"
    )
    assert "StandInUnavailable" in done.stderr
    assert f"can't start with the data from {tmp_path}: espeak_Initialize returned" in done.stderr
