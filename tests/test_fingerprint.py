"""Fingerprints against libchromaprint 1.5.1, closed forms, and a decoder of their compressed form.

tests/golden/fingerprints.csv holds Chromaprint's answers for six synthesised clips, one of which
lies beside it, and for a sweep at seven rates. Where SAMPLEVAE_GOLDEN names the folder with all ten
reference clips, all are compared.
"""

from __future__ import annotations

import base64
import csv
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from samplevae_lib.metrics import chromaprint
from samplevae_lib.metrics import fingerprints as door
from samplevae_lib.metrics.fingerprints import backend, fingerprint, fingerprint_similarity

HERE = Path(__file__).parent / "golden"
GOLDEN = os.environ.get("SAMPLEVAE_GOLDEN")
RATE = 11025

pytestmark = pytest.mark.filterwarnings("error")


def sweep(rate: int) -> np.ndarray:
    """Six seconds of a tone rising to 4000 Hz and dying away by 94 dB.

    Where one note sounds, what is left of the others tells one resampler from the next; the end is
    fainter than what counts as silence.
    """
    t = np.arange(6 * rate) / rate
    return np.rint(20000 * np.exp(-1.8 * t) * np.sin(2 * np.pi * 4000 * t**2 / 12)).astype(np.int16)


def melody(seconds: float = 5.0, rate: int = RATE) -> np.ndarray:
    """A scale of decaying notes, three a second, of five partials each."""
    t = np.arange(int(seconds * rate)) / rate
    hertz = 220 * 2 ** ((5 * np.floor(3 * t) % 17) / 12)
    partials = sum(np.sin(2 * np.pi * k * hertz * t) / k for k in range(1, 6))
    return 0.3 * partials * np.exp(-4 * (t % (1 / 3)))


def tone(hertz: float) -> np.ndarray:
    return np.rint(8000 * np.sin(2 * np.pi * hertz * np.arange(2 * RATE) / RATE)).astype(np.int16)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "fingerprints.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def told(rate: int) -> dict[str, str]:
    """What libchromaprint 1.5.1 answers to `sweep`."""
    return next(row for row in rows(HERE) if row["name"] == f"dying_sweep_{rate}")


def compare(row: dict[str, str], clip: Path) -> None:
    """Words, compressed form, and the door where the clip is long enough not to be repeated."""
    samples, rate = sf.read(clip, dtype="int16")
    words = chromaprint.subfingerprints(samples, rate)
    assert words.tolist() == [int(word) for word in row["fp_raw"].split(",")]
    assert chromaprint.compressed(words) == row["fp_compressed"]
    if len(samples) >= door.SECONDS * rate:
        assert fingerprint(sf.read(clip, dtype="float32")[0], rate) == row["fp_compressed"]


def decompressed(text: str) -> list[int]:
    """The words of a compressed fingerprint, read bit by bit."""
    content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert content[0] == 1
    bits = "".join(f"{byte:08b}"[::-1] for byte in content[4:])
    words, read = [0] * int.from_bytes(content[1:4], "big"), 0
    gaps: list[list[int]] = []
    for _ in words:
        gaps.append([])
        while gap := int(bits[read : read + 3][::-1], 2):
            gaps[-1].append(gap)
            read += 3
        read += 3
    read = -(-read // 8) * 8
    before = 0
    for index, steps in enumerate(gaps):
        place = -1
        for step in steps:
            place += step
            if step == 7:
                place += int(bits[read : read + 5][::-1], 2)
                read += 5
            before ^= 1 << place
        words[index] = before
    return words


# Against Chromaprint.


@pytest.mark.skipif(not GOLDEN, reason="SAMPLEVAE_GOLDEN names no folder with reference scores")
def test_every_golden_clip_has_chromaprints_fingerprint_to_the_bit():
    golden = rows(Path(str(GOLDEN)))
    assert len(golden) == 10
    for row in golden:
        compare(row, Path(str(GOLDEN), "pairs", f"{row['name']}.flac"))


def test_the_committed_clip_has_chromaprints_fingerprint_to_the_bit():
    found = [row for row in rows(HERE) if (HERE / f"{row['name']}.flac").exists()]
    assert "syn_harm_ident_ref" in {row["name"] for row in found}
    for row in found:
        compare(row, HERE / f"{row['name']}.flac")


@pytest.mark.parametrize("row", rows(HERE), ids=lambda row: row["name"])
def test_chromaprints_words_are_compressed_as_chromaprint_does(row):
    words = [int(word) for word in row["fp_raw"].split(",")]
    assert chromaprint.compressed(np.array(words)) == row["fp_compressed"]
    assert decompressed(row["fp_compressed"]) == words


@pytest.mark.parametrize("rate", [11025, 16000, 22050, 32000, 44100, 48000, 96000])
def test_a_dying_sweep_has_chromaprints_fingerprint_at_every_rate(rate):
    samples = sweep(rate)
    words = chromaprint.subfingerprints(samples, rate)
    assert words.tolist() == [int(word) for word in told(rate)["fp_raw"].split(",")]
    assert fingerprint(samples / 2**15, rate) == told(rate)["fp_compressed"]


# What makes the fingerprints.


@pytest.fixture
def anew():
    """Whether there is a library is found out anew, and forgotten after the test."""
    door._library.cache_clear()
    yield
    door._library.cache_clear()


def test_without_the_library_it_is_our_own(anew, monkeypatch):
    monkeypatch.setitem(sys.modules, "chromaprint", None)  # makes its import fail
    assert backend() == "numpy"
    assert fingerprint(sweep(RATE) / 2**15, RATE) == told(RATE)["fp_compressed"]


def test_only_a_failed_import_counts_as_no_library(anew, monkeypatch, tmp_path):
    (tmp_path / "chromaprint.py").write_text("raise OSError('a broken library')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "chromaprint", raising=False)
    with pytest.raises(OSError, match="a broken library"):
        backend()


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_the_library_gets_sixteen_bits_of_at_least_four_seconds(anew, monkeypatch, rate):
    heard = []

    class Fingerprinter:
        ALGORITHM_TEST2 = 1

        def __init__(self, algorithm):
            heard.append(algorithm)

        def start(self, sample_rate, channels):
            heard.extend((sample_rate, channels))

        def feed(self, data):
            heard.append(np.frombuffer(data, np.int16))

        def finish(self):
            return b"AQ-told"

    fake = SimpleNamespace(Fingerprinter=Fingerprinter)
    monkeypatch.setitem(sys.modules, "chromaprint", fake)
    assert backend() == "libchromaprint"
    assert fingerprint(np.array([0.5, -1.0, 1.0]), rate) == "AQ-told"
    assert heard[:3] == [1, max(rate, RATE), 1]
    assert len(heard[3]) >= 3.99 * max(rate, RATE)
    if rate >= RATE:
        assert heard[3][:4].tolist() == [16384, -32768, 32767, 16384]


@pytest.mark.skipif(backend() == "numpy", reason="libchromaprint is not installed")
@pytest.mark.parametrize("rate", [1001, 8000, 16000, 44100, 48000])
def test_the_library_and_our_own_agree(monkeypatch, rate):
    audio = melody(rate=rate) + 0.05 * np.random.default_rng(rate).standard_normal(5 * rate)
    theirs = fingerprint(audio, rate)
    with monkeypatch.context() as without:
        without.setattr(door, "_library", lambda: None)
        assert fingerprint(audio, rate) == theirs


# The parts.


@pytest.mark.parametrize("semitone", range(12))
def test_a_tone_falls_into_its_note_in_every_octave(semitone):
    # A quarter of a tone up: a note's bins begin at its nominal frequency.
    for octave in (1, 2, 3):
        image = chromaprint.chroma(tone(440 * 2 ** (octave - 1 + (semitone + 0.5) / 12 - 1)))
        assert (image.argmax(1) == semitone).all()
        assert (image.max(1) > 0.9 * image.sum(1)).all()


def test_frames_are_4096_long_and_1365_apart():
    lengths = (0, 1, 4095, 4096, 4096 + 1364, 4096 + 1365)
    frames = [len(chromaprint.chroma(np.ones(n, np.int16))) for n in lengths]
    assert frames == [0, 0, 0, 1, 1, 2]


def test_smoothing_weighs_five_frames():
    image = np.zeros((9, 12))
    image[4, 3] = 1
    assert chromaprint.smoothed(image)[:, 3].tolist() == [0.25, 0.75, 1, 0.75, 0.25]
    assert chromaprint.smoothed(image[:4]).shape == (0, 12)


def test_frames_have_a_norm_of_one_but_faint_ones_are_silence():
    image = np.zeros((3, 12))
    image[0, :2], image[1, 5] = (30, 40), 0.0099
    assert chromaprint.normalised(image)[0, :2] == pytest.approx([0.6, 0.8])
    assert not chromaprint.normalised(image)[1:].any()


def test_levels_next_to_each_other_differ_in_one_bit():
    levels = np.zeros((4, 16), dtype=int)
    levels[:, 0], levels[:, 15] = range(4), range(4)
    top, bottom = 2**30, 1
    codes = np.array([0, 1, 3, 2])
    assert chromaprint.coded(levels).tolist() == (codes * (top + bottom)).tolist()
    assert {int(step).bit_count() for step in codes[1:] ^ codes[:-1]} == {1}


@pytest.mark.parametrize("rate", [1001, 8000, 16000, 22050, 44099, 48000, 192000])
def test_resampling_keeps_length_level_and_pitch(rate):
    samples = np.rint(8000 * np.sin(2 * np.pi * 300 * np.arange(rate) / rate)).astype(np.int16)
    made = chromaprint.resampled(samples, rate)
    assert made.dtype == np.int16
    assert 0.98 * RATE < len(made) <= RATE
    assert np.abs(np.fft.rfft(made, RATE)).argmax() == 300
    wanted = 8000 * np.sin(2 * np.pi * 300 * np.arange(len(made)) / RATE)
    # It takes one of 256 positions between two samples, so comes late by up to that share of one.
    late = 8000 * 2 * np.pi * 300 / rate / 256
    assert np.abs(made - wanted)[1000:].max() < late + 3
    level = chromaprint.resampled(np.full(rate, 1000, np.int16), rate)
    assert np.abs(level - 1000).max() <= 1


def test_resampling_leaves_what_is_at_the_rate_and_drops_what_is_shorter_than_a_filter():
    samples = tone(440)
    assert chromaprint.resampled(samples, RATE) is samples
    assert len(chromaprint.resampled(samples[:87], 48000)) == 0
    assert len(chromaprint.resampled(samples[:88], 48000)) == 11
    assert len(chromaprint.resampled(samples[:0], 48000)) == 0


@given(st.lists(st.one_of(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 2**31, 2**32 - 1]))))
def test_compressing_loses_nothing(words):
    assert decompressed(chromaprint.compressed(np.array(words, dtype=np.uint32))) == words


def test_nothing_compresses_to_a_header_alone():
    assert chromaprint.compressed(np.zeros(0, np.uint32)) == "AQAAAA"


@pytest.mark.parametrize("samples", [np.zeros(9), np.zeros((2, 9), np.int16)])
def test_words_are_of_sixteen_bit_samples_only(samples):
    with pytest.raises(ValueError, match=r"samples of type .* and shape .*: expected int16"):
        chromaprint.subfingerprints(samples, RATE)


# The whole.


def test_a_word_comes_every_1365_samples_from_twenty_frames_on_even_after_two_minutes():
    least = 4096 + 19 * 1365
    lengths = (0, 1, 5000, least - 1, least, least + 1364, least + 1365, 130 * RATE)
    noise = np.random.default_rng(0).integers(-9999, 9999, lengths[-1]).astype(np.int16)
    words = [len(chromaprint.subfingerprints(noise[:n], RATE)) for n in lengths]
    assert words == [0, 0, 0, 0, 1, 1, 2, 1 + (130 * RATE - least) // 1365]


@settings(max_examples=40)
@given(length=st.integers(1, 6000), rate=st.sampled_from([1001, 8000, RATE, 16000]))
def test_a_short_clip_is_repeated_as_a_whole_to_four_seconds(length, rate):
    audio = melody(rate=rate)[:length]
    copies = -(-4 * rate // length)
    made = fingerprint(audio, rate)
    assert made == fingerprint(np.tile(audio, copies), rate)
    assert len(decompressed(made)) >= 9


def test_four_seconds_are_not_repeated():
    audio = melody()
    exact = fingerprint(audio[: 4 * RATE], RATE)
    assert len(decompressed(exact)) == 1 + (4 * RATE - 4096 - 19 * 1365) // 1365
    assert len(decompressed(fingerprint(audio[: 4 * RATE - 1], RATE))) > 30


def test_the_same_sound_has_the_same_fingerprint_and_is_left_as_it_was():
    audio = 4 * melody(1.0)
    before = audio.copy()
    assert fingerprint(audio, RATE) == fingerprint(audio, RATE)
    assert (audio == before).all()


@pytest.mark.parametrize("length", [1, 11025, 50000])
def test_silence_has_a_fingerprint_of_equal_words(length):
    words = decompressed(fingerprint(np.zeros(length), RATE))
    assert len(words) >= 10
    assert len(set(words)) == 1
    assert fingerprint_similarity(np.zeros(length), np.zeros(length), RATE) == 100


def test_too_loud_a_sound_is_scaled_to_full_scale():
    audio = melody()
    at_one = fingerprint(audio / np.abs(audio).max(), RATE)
    for loud in (5 * audio, 1e300 * audio, np.float32(1e30) * audio.astype(np.float32)):
        assert fingerprint(loud, RATE) == at_one
    assert fingerprint(np.rint(1e6 * audio).astype(np.int32), RATE) == at_one


def test_a_sound_fainter_than_half_a_step_of_sixteen_bits_is_silence():
    faint = 1e-5 * melody()
    assert fingerprint(faint, RATE) == fingerprint(0 * faint, RATE)
    assert fingerprint(1e3 * faint, RATE) != fingerprint(0 * faint, RATE)


def test_similarity_is_a_hundred_for_the_same_and_falls_with_noise():
    audio = melody()
    noise = np.random.default_rng(1).standard_normal(len(audio)) * audio.std()
    scores = [fingerprint_similarity(audio, audio + k * noise, RATE) for k in (0, 0.3, 1, 30)]
    assert scores[0] == 100
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 4
    assert all(0 <= score <= 100 for score in scores)


def test_similarity_is_twice_the_longest_common_subsequence():
    a, b = melody(), np.random.default_rng(2).uniform(-1, 1, 5 * RATE)
    left, right = fingerprint(a, RATE), fingerprint(b, RATE)
    common = np.zeros(len(right) + 1, dtype=int)
    for letter in left:
        before = common.copy()
        for column, other in enumerate(right, 1):
            longer = max(common[column], common[column - 1])
            common[column] = before[column - 1] + 1 if letter == other else longer
    score = fingerprint_similarity(a, b, RATE)
    assert score == pytest.approx(200 * common[-1] / (len(left) + len(right)))
    assert score == pytest.approx(fingerprint_similarity(b, a, RATE))


# What can't be done.


@pytest.mark.parametrize(
    ("audio", "rate", "message"),
    [
        (np.zeros(0), RATE, "audio is empty: expected at least one sample; leave it out"),
        (np.zeros((2, 9)), RATE, r"shape \(2, 9\): expected \(samples,\); mix the channels down"),
        (np.float64(1), RATE, r"shape \(\): expected \(samples,\)"),
        (
            np.zeros(9, complex),
            RATE,
            "audio is of type complex128: expected real numbers within ±1",
        ),
        (np.array([0, np.nan, np.inf]), RATE, "2 values .* sample 1: expected finite .* replace"),
        (np.zeros(9), 0, "sample_rate is 0: expected a whole number of Hz, 1001 … 8388607; res"),
        (np.zeros(9), -44100, "sample_rate is -44100"),
        (np.zeros(9), 1000, "sample_rate is 1000"),
        (np.zeros(9), 2**23, "sample_rate is 8388608"),
        (np.zeros(9), 44100.5, r"sample_rate is 44100\.5"),
        (np.zeros(9), float("nan"), "sample_rate is nan"),
    ],
)
def test_what_has_no_fingerprint_is_refused(audio, rate, message):
    with pytest.raises(ValueError, match=message):
        fingerprint(audio, rate)
    with pytest.raises(ValueError, match=message):
        fingerprint_similarity(audio, audio, rate)


def test_sounds_of_different_lengths_are_not_compared():
    with pytest.raises(ValueError, match=r"\(100,\) and \(101,\): expected one length.*cut or pad"):
        fingerprint_similarity(np.zeros(100), np.zeros(101), RATE)
