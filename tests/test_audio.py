"""Sound files: what is written comes back, levels and lengths are exact, bad files say why."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from samplevae_lib import audio
from samplevae_lib.audio import AudioError

RATE = 16000
FEW = settings(max_examples=30, deadline=None)
# What a stored value may differ by: one step of the quantiser, or none where float32 fits.
QUANTISED = [
    (".wav", "PCM_U8", 2**-7), (".wav", "PCM_16", 2**-15), (".wav", "PCM_24", 2**-23),
    (".wav", "PCM_32", 2**-23), (".wav", "FLOAT", 0.0), (".wav", "DOUBLE", 0.0),
    (".flac", "PCM_S8", 2**-7), (".flac", "PCM_16", 2**-15), (".flac", "PCM_24", 2**-23),
    (".aiff", "PCM_S8", 2**-7), (".aiff", "PCM_U8", 2**-7), (".aiff", "PCM_16", 2**-15),
    (".aiff", "PCM_24", 2**-23), (".aiff", "PCM_32", 2**-23), (".aiff", "FLOAT", 0.0),
    (".aiff", "DOUBLE", 0.0), (".aif", "PCM_16", 2**-15),
]  # fmt: skip
# Lossy codecs: how far the error lies below a sine, in dB.
LOSSY = [
    (".wav", "ULAW", 35), (".wav", "ALAW", 35), (".wav", "IMA_ADPCM", 25),
    (".wav", "MS_ADPCM", 25), (".ogg", "VORBIS", 25), (".ogg", "OPUS", 25),
    (".mp3", "MPEG_LAYER_III", 25),
]  # fmt: skip
FORMATS = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif")


def tone(hertz=440.0, *, seconds=0.5, rate=RATE, level=0.5):
    time = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def noise(seed, samples, level=0.5):
    rng = np.random.default_rng(seed)
    return (level * rng.uniform(-1, 1, samples)).astype(np.float32)


def decibels(ratio):
    return 20 * np.log10(ratio)


def rms(values):
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def stored(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def refusal(path, **options):
    """The reason for which a file is refused; its message must name the file."""
    with pytest.raises(AudioError) as caught:
        audio.read(path, **options)
    assert caught.value.path == Path(path)
    assert str(caught.value) == f"{path}: {caught.value.reason}"
    return caught.value.reason


# ── what is written comes back ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("suffix", "subtype", "step"), QUANTISED)
def test_a_file_comes_back_within_a_step_of_its_quantiser(tmp_path, suffix, subtype, step):
    sound = noise(1, 4000, level=0.9)
    path = audio.write(tmp_path / f"a{suffix}", sound, RATE, subtype=subtype)
    back, rate = audio.read(path)
    assert (back.shape, back.dtype, rate) == (sound.shape, np.float32, RATE)
    assert sf.info(path).subtype == subtype
    assert np.abs(back - sound).max() <= step


@pytest.mark.parametrize(("suffix", "subtype", "below"), LOSSY)
def test_a_lossy_codec_keeps_a_sine_at_its_place_and_level(tmp_path, suffix, subtype, below):
    sound = tone(rate=48000)
    path = audio.write(tmp_path / f"a{suffix}", sound, 48000, subtype=subtype)
    back, rate = audio.read(path)
    assert rate == 48000
    assert 0 <= len(back) - len(sound) < 1024  # block codecs fill their last block
    inside = slice(2400, 21600)  # codecs ring at the ends
    assert decibels(rms(back[inside] - sound[inside]) / rms(sound[inside])) < -below


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_suffix_has_a_usual_subtype_and_may_be_written_in_capitals(tmp_path, suffix):
    path = audio.write(tmp_path / "new" / f"A{suffix.upper()}", tone(), RATE)
    back, rate = audio.read(path)
    assert (len(back), rate) == (8000, RATE)
    assert abs(audio.peak_db(back) - decibels(0.5)) < 1


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000, 192000, 12345])
def test_any_rate_is_read_as_it_is(tmp_path, rate):
    path = audio.write(tmp_path / "a.wav", tone(rate=rate), rate)
    assert audio.read(path)[1] == rate


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8])
@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [(".wav", "PCM_16"), (".wav", "FLOAT"), (".flac", "PCM_24"), (".aiff", "PCM_16")],
)
def test_channels_are_kept_or_mixed_to_their_mean(tmp_path, channels, suffix, subtype):
    sound = np.stack([noise(seed, 500) for seed in range(channels)])
    path = audio.write(tmp_path / f"a{suffix}", sound, RATE, subtype=subtype)
    apart, _ = audio.read(path, mono=False)
    mixed, _ = audio.read(path)
    assert apart.shape == (channels, 500)
    assert apart.dtype == mixed.dtype == np.float32
    np.testing.assert_allclose(apart, sound, atol=2**-15)
    np.testing.assert_allclose(mixed, sound.mean(axis=0), atol=2**-15)


def test_full_scale_comes_back_as_full_scale(tmp_path):
    for subtype in ("PCM_16", "PCM_24"):
        path = tmp_path / f"{subtype}.wav"
        sf.write(path, np.array([-1.0, 0.0, 0.5]), RATE, subtype=subtype)
        assert audio.read(path)[0].tolist() == [-1.0, 0.0, 0.5]


def test_a_float_file_may_be_louder_than_full_scale(tmp_path):
    path = audio.write(tmp_path / "a.wav", tone(level=3.0), RATE, subtype="FLOAT")
    assert np.array_equal(audio.read(path)[0], tone(level=3.0))


@pytest.mark.skipif(sys.platform == "darwin", reason="its names are valid UTF-8")
def test_a_name_that_is_not_valid_utf_8_can_be_read(tmp_path):
    path = tmp_path / b"caf\xe9.wav".decode("utf-8", "surrogateescape")
    path.write_bytes(audio.encode(tone(), RATE))
    assert audio.read(path)[0].shape == (8000,)


def test_encode_gives_the_bytes_that_write_puts_on_disk(tmp_path):
    path = audio.write(tmp_path / "a.wav", tone(), RATE)
    assert path.read_bytes() == audio.encode(tone(), RATE)
    assert audio.encode(tone(), RATE)[:4] == b"RIFF"


# ── resampling ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("source", "target"),
    [(44100, 22050), (48000, 22050), (8000, 16000), (96000, 16000), (22255, 22050)],
)
def test_a_resampled_sine_is_the_same_sine(source, target):
    out = audio.resample(tone(1000, seconds=0.5, rate=source), source, target)
    assert out.dtype == np.float32
    exact = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(len(out)) / target)
    inside = slice(target // 20, -target // 20)  # the filter's ends see the silence around
    assert np.abs(out - exact)[inside].max() < 5e-4


@FEW
@given(
    samples=st.integers(1, 5000),
    source=st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000, 96000]),
    target=st.sampled_from([8000, 16000, 22050, 44100, 48000]),
)
@example(samples=441, source=11025, target=48000)
def test_the_resampled_length_is_the_exact_ceiling(samples, source, target):
    exact = -(-samples * target // source)
    assert audio.resample(noise(0, samples), source, target).shape == (exact,)


def test_channels_are_resampled_each_on_its_own():
    both = np.stack([tone(500), tone(900)])
    out = audio.resample(both, RATE, 22050)
    assert np.array_equal(out[0], audio.resample(both[0], RATE, 22050))
    assert np.array_equal(out[1], audio.resample(both[1], RATE, 22050))


def test_what_lies_above_half_the_new_rate_is_filtered_out():
    out = audio.resample(tone(6000, seconds=1), RATE, 8000)
    assert decibels(rms(out[400:-400]) / rms(tone())) < -80


def test_read_resamples_after_mixing(tmp_path):
    stereo = np.stack([tone(500), tone(900)])
    path = audio.write(tmp_path / "a.wav", stereo, RATE, subtype="FLOAT")
    sound, rate = audio.read(path, sample_rate=8000)
    assert rate == 8000
    np.testing.assert_array_equal(sound, audio.resample(stereo.mean(axis=0), RATE, 8000))
    assert np.array_equal(audio.read(path, sample_rate=RATE)[0], audio.read(path)[0])


# ── fitting to a length ───────────────────────────────────────────────────────────────────────


def test_a_short_sound_is_padded_with_silence_and_otherwise_untouched():
    sound = noise(1, 300)
    fitted = audio.cut_or_pad(sound, 1000)
    assert np.array_equal(fitted[:300], sound)
    assert not fitted[300:].any()


def test_a_sound_of_the_right_length_is_not_faded():
    assert np.array_equal(audio.cut_or_pad(noise(1, 300), 300), noise(1, 300))


def test_a_cut_end_fades_monotonically_to_zero_without_a_click():
    fitted = audio.cut_or_pad(np.ones(5000, dtype=np.float32), 1000, fade=128)
    assert np.array_equal(fitted[:872], np.ones(872))
    steps = np.diff(fitted[871:])
    assert (steps <= 0).all()
    assert np.abs(steps).max() < 1.01 * np.pi / 2 / 127  # the steepest slope of cos²
    assert np.abs(steps[[1, -1]]).max() < 1e-3  # level at both ends: no corner to be heard
    assert abs(fitted[-1]) < 1e-12


@FEW
@given(length=st.integers(0, 400), samples=st.integers(1, 400), fade=st.integers(0, 500))
def test_fitting_only_pads_cuts_and_quietens(length, samples, fade):
    sound = noise(0, length)
    kept = sound.copy()
    fitted = audio.cut_or_pad(sound, samples, fade=fade)
    assert (fitted.shape, fitted.dtype) == ((samples,), np.float32)
    assert np.array_equal(sound, kept)
    overlap = min(length, samples)
    assert (np.abs(fitted[:overlap]) <= np.abs(sound[:overlap])).all()
    unfaded = overlap if length <= samples else max(0, samples - fade)
    assert np.array_equal(fitted[:unfaded], sound[:unfaded])


def test_a_length_of_no_samples_is_refused():
    with pytest.raises(ValueError, match="samples must be at least 1, not 0"):
        audio.cut_or_pad(tone(), 0)


# ── levels ────────────────────────────────────────────────────────────────────────────────────


def test_peak_and_loudness_of_a_sine_have_closed_forms():
    sine = tone(1000, seconds=512 * 10 / RATE, level=0.25)  # whole frames, whole periods
    assert audio.peak_db(sine) == pytest.approx(decibels(0.25), abs=1e-4)
    assert audio.loudness_db(sine) == pytest.approx(decibels(0.25 / np.sqrt(2)), abs=1e-4)


def test_silence_and_nothing_have_no_level():
    for nothing in (np.zeros(1000), np.zeros(0)):
        assert audio.peak_db(nothing) == audio.loudness_db(nothing) == float("-inf")


def test_silence_around_a_hit_does_not_count_as_quiet():
    hit = noise(1, 2048)
    padded = np.concatenate([np.zeros(5120), hit, np.zeros(51200)])
    assert audio.loudness_db(padded) == pytest.approx(audio.loudness_db(hit), abs=1e-9)


def test_only_frames_within_the_gate_of_the_loudest_count():
    loud, soft, lost = (np.full(512, level) for level in (1.0, 0.1, 0.001))
    sounding = decibels(np.sqrt((1 + 0.01) / 2))
    assert audio.loudness_db(np.concatenate([loud, soft, lost])) == pytest.approx(sounding)
    assert audio.loudness_db(np.concatenate([loud, soft]), gate=10) == pytest.approx(0)


@FEW
@given(exponent=st.floats(-44, 30), db=st.floats(-60, 0), seed=st.integers(0, 9))
@example(exponent=-40, db=-1.0, seed=0)
def test_a_matched_peak_is_at_its_level_however_soft_the_sound_was(exponent, db, seed):
    sound = (np.array([1.0, -0.5, 0.25]) * 10.0**exponent).astype(np.float32)
    matched = audio.match_peak(sound, db)
    assert matched.dtype == np.float32
    assert audio.peak_db(matched) == pytest.approx(db, abs=1e-4)


def test_matching_the_peak_of_silence_leaves_silence():
    assert not audio.match_peak(np.zeros(100, dtype=np.float32)).any()


clips = st.lists(
    st.tuples(st.integers(0, 99), st.integers(1, 3000), st.floats(-60, 20)), min_size=1, max_size=6
).map(lambda made: [noise(seed, samples, 10 ** (db / 20)) for seed, samples, db in made])


@FEW
@given(clips=clips, peak=st.floats(-20, 0))
def test_matched_clips_are_equally_loud_and_one_of_them_reaches_the_peak(clips, peak):
    matched = audio.match_levels(clips, peak=peak)
    loudness = [audio.loudness_db(clip) for clip in matched]
    assert max(loudness) - min(loudness) < 1e-3
    assert max(map(audio.peak_db, matched)) == pytest.approx(peak, abs=1e-3)
    for before, after in zip(clips, matched, strict=True):
        gain = rms(after) / rms(before)
        np.testing.assert_allclose(after, before * gain, rtol=1e-4, atol=1e-7)


@FEW
@given(clips=clips, powers=st.lists(st.integers(-6, 6), min_size=6, max_size=6))
def test_the_levels_clips_come_with_make_no_difference(clips, powers):
    scaled = [clip * np.float32(2.0**power) for clip, power in zip(clips, powers, strict=False)]
    pairs = zip(audio.match_levels(clips), audio.match_levels(scaled), strict=True)
    for one, other in pairs:
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-8)


@pytest.mark.filterwarnings("error")
def test_silence_among_matched_clips_stays_silent_and_holds_nobody_back():
    quiet = np.zeros(1000, dtype=np.float32)
    first, second = audio.match_levels([quiet, tone(level=0.01)], peak=-3)
    assert not first.any()
    assert audio.peak_db(second) == pytest.approx(-3, abs=1e-4)
    assert not audio.match_levels([quiet])[0].any()
    assert audio.match_levels([]) == []


# ── a sound that comes in ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("sound", [[0.5], [0, 1, -1], np.ones(3, np.float32), tone()])
def test_a_sound_that_can_be_used_comes_back_as_it_is(sound):
    assert np.array_equal(audio.check(sound, peak=1.0), sound)


def test_any_peak_is_taken_unless_one_is_named():
    assert audio.check([-32768.0]).tolist() == [-32768.0]


@pytest.mark.parametrize(
    ("sound", "message"),
    [
        (np.zeros((2, 9)), r"take one has shape \(2, 9\): expected \(samples,\); mix the channels"),
        (np.float32(0.5), r"take one has shape \(\): expected \(samples,\)"),
        ([], "take one is empty: expected at least one sample; leave it out"),
        (["a"], "take one is of type <U1: expected real numbers within ±1"),
        ([1j], "take one is of type complex128: expected real numbers"),
        ([True], "take one is of type bool: expected real numbers"),
        ([0, 0.1, np.inf, np.nan],
         "take one holds 2 values that are NaN or infinite, the first at sample 2: expected"),
        ([0, -1.25], "take one has a peak of 1.25: expected full scale at 1; divide 16-bit"),
        (np.array([-32768], np.int16), "take one has a peak of 32768: expected full scale at 1"),
    ],
)  # fmt: skip
def test_a_sound_that_cannot_be_used_is_named_with_the_reason(sound, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        audio.check(sound, "take one", peak=1.0)


# ── files that can't be used ──────────────────────────────────────────────────────────────────


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    assert refusal(tmp_path / "none.wav") == "does not exist"
    (tmp_path / "folder.wav").mkdir()
    assert refusal(tmp_path / "folder.wav") == "is a folder, not a sound file"


def test_a_link_that_leads_nowhere_does_not_exist(tmp_path):
    (tmp_path / "a.wav").symlink_to(tmp_path / "gone.wav")
    assert refusal(tmp_path / "a.wav") == "does not exist"


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_empty_file_is_called_empty(tmp_path, suffix):
    assert refusal(stored(tmp_path / f"a{suffix}", b"")) == "is empty (0 bytes)"


@pytest.mark.parametrize("suffix", [*FORMATS, ".raw", ".txt"])
@pytest.mark.parametrize("content", [b"hat, kick, snare\n" * 200, bytes(4000)])
def test_text_and_zeros_are_not_audio_whatever_their_name(tmp_path, suffix, content):
    reason = refusal(stored(tmp_path / f"a{suffix}", content))
    assert reason.startswith("is not audio that can be read")
    assert "not exist" not in reason  # libsndfile's words for an MP3 without frames


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("share", [0.0005, 0.01, 0.2, 0.5, 0.9, 0.99, 0.999])
def test_a_file_that_was_cut_off_is_refused(tmp_path, suffix, share):
    whole = audio.encode(tone() + noise(1, 8000, 0.1), RATE, suffix=suffix)
    cut = stored(tmp_path / f"a{suffix}", whole[: max(1, int(share * len(whole)))])
    reason = refusal(cut)
    assert reason.startswith(("is truncated: ", "is not audio that can be read"))
    if suffix in (".wav", ".aiff", ".aif") and share > 0.001:
        assert reason.startswith("is truncated: ")
        assert reason.endswith(" bytes of its sound are missing")


def test_the_reason_for_a_truncated_file_counts_what_is_missing(tmp_path):
    wav, ogg = audio.encode(tone(), RATE), audio.encode(tone(), RATE, suffix=".ogg")
    assert refusal(stored(tmp_path / "a.wav", wav[:-100])) == (
        "is truncated: 100 bytes of its sound are missing"
    )
    assert refusal(stored(tmp_path / "a.ogg", ogg[:-7])) == (
        "is truncated: 7 bytes of its last page are missing"
    )
    pages = ogg[: ogg.rfind(b"OggS")]
    assert refusal(stored(tmp_path / "b.ogg", pages)) == (
        "is truncated: the last page of the stream is missing"
    )


def test_an_mp3_that_does_not_say_its_length_is_read_whole(tmp_path):
    """As iTunes wrote them: no frame that says it, and a tag that counts as sound in a guess."""
    steady = {"bitrate_mode": "CONSTANT", "compression_level": 0.5}
    sf.write(tmp_path / "a.mp3", tone(seconds=1.0), RATE, **steady)
    whole = (tmp_path / "a.mp3").read_bytes()
    second = whole.index(whole[:2], 2)
    assert b"Info" in whole[:second]
    tag = b"ID3\x04\x00\x00" + bytes([0, 0, 70, 40]) + bytes(70 * 128 + 40)
    bare = stored(tmp_path / "b.mp3", tag + whole[second:])
    assert sf.info(bare).frames > RATE + 9000
    assert len(audio.read(bare)[0]) == pytest.approx(RATE, abs=3000)
    tagged = stored(tmp_path / "c.mp3", tag + whole)
    assert np.array_equal(audio.read(tagged)[0], audio.read(tmp_path / "a.mp3")[0])
    assert refusal(stored(tmp_path / "d.mp3", (tag + whole)[:-1500])).startswith("is truncated: ")


def test_a_big_endian_wav_is_read_and_missed_when_cut(tmp_path):
    path = tmp_path / "a.wav"
    sf.write(path, tone(), RATE, endian="BIG")
    assert path.read_bytes()[:4] == b"RIFX"
    assert np.abs(audio.read(path)[0] - tone()).max() <= 2**-15
    cut = stored(tmp_path / "b.wav", path.read_bytes()[:-50])
    assert refusal(cut) == "is truncated: 50 bytes of its sound are missing"


def test_chunks_before_the_sound_are_stepped_over(tmp_path):
    wav = audio.encode(tone(), RATE)
    note = b"LIST" + struct.pack("<I", 5) + b"hello\0"  # of odd length, so padded
    extended = stored(tmp_path / "a.wav", wav[:36] + note + wav[36:])
    assert audio.read(extended)[0].shape == (8000,)
    cut = stored(tmp_path / "b.wav", extended.read_bytes()[:-10])
    assert refusal(cut) == "is truncated: 10 bytes of its sound are missing"


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF, 0xFFFFFFFF - 36])
def test_a_wav_written_to_a_pipe_is_read_to_its_end(tmp_path, length):
    header, sound = audio.encode(tone(), RATE)[:44], audio.encode(tone(), RATE)[44:]
    endless = b"RIFF\xff\xff\xff\xff" + header[8:40] + struct.pack("<I", length) + sound
    back, _ = audio.read(stored(tmp_path / "a.wav", endless))
    assert np.abs(back - tone()).max() <= 2**-15


def test_a_flac_that_does_not_state_its_length_is_refused_for_that(tmp_path):
    flac = bytearray(audio.encode(tone(), RATE, suffix=".flac"))
    flac[21] &= 0xF0  # the 36 bits of STREAMINFO that count the samples
    flac[22:26] = bytes(4)
    reason = refusal(stored(tmp_path / "a.flac", bytes(flac)))
    assert reason == "does not state its length, as a FLAC from a pipe; encode it anew"


@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".ogg"])
def test_a_header_without_sound_holds_no_samples(tmp_path, suffix):
    header = audio.encode(np.zeros(0, dtype=np.float32), RATE, suffix=suffix)
    assert refusal(stored(tmp_path / f"a{suffix}", header)) == "holds no samples"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_numbers_are_counted(tmp_path, value):
    sound = np.stack([tone(), tone()])
    sound[1, [7, 70, 700]] = value
    sf.write(tmp_path / "a.wav", sound.T, RATE, subtype="FLOAT")
    for mono in (True, False):
        reason = refusal(tmp_path / "a.wav", mono=mono)
        assert reason == "holds 3 values that are not numbers (NaN or infinite)"


@pytest.mark.parametrize(
    ("level", "said"),
    [(0.0, "-inf"), (2e-5, "-94"), (9.9e-5, "-80")],
    ids=["digital silence", "below 16 bits", "just too soft"],
)
def test_silence_is_refused_with_its_level(tmp_path, level, said):
    sf.write(tmp_path / "a.wav", np.full((500, 2), level), RATE, subtype="FLOAT")
    for mono in (True, False):
        reason = refusal(tmp_path / "a.wav", mono=mono)
        assert reason == f"is silent: its peak is {said} dB, under −80 dB"


def test_a_sound_just_above_silence_is_read(tmp_path):
    path = audio.write(tmp_path / "a.wav", np.full(500, 1.1e-4), RATE, subtype="FLOAT")
    np.testing.assert_allclose(audio.read(path)[0], 1.1e-4, rtol=1e-6)


def test_channels_that_cancel_are_refused_mixed_and_read_apart(tmp_path):
    path = audio.write(tmp_path / "a.wav", np.stack([tone(), -tone()]), RATE)
    assert refusal(path) == "is silent once its channels are mixed: they cancel out"
    apart, _ = audio.read(path, mono=False)
    np.testing.assert_allclose(apart, [tone(), -tone()], atol=2**-15)


def test_a_sound_that_is_too_long_names_the_limit(tmp_path):
    path = audio.write(tmp_path / "a.wav", tone(seconds=2), RATE)
    assert refusal(path, max_seconds=1.5) == "is 2.0 s long; the limit is max_seconds=1.5"
    assert len(audio.read(path, max_seconds=2.0)[0]) == 2 * RATE


def test_ten_minutes_is_the_limit_unless_another_is_given(tmp_path):
    path = tmp_path / "a.wav"
    sf.write(path, np.ones(1201), 2, subtype="PCM_U8")  # two samples a second
    assert refusal(path) == "is 600.5 s long; the limit is max_seconds=600"


# ── what is not written ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "sound", "options", "reason"),
    [
        ("a.wav", [0.0, np.nan], {}, "not written: audio holds 1 values that are NaN or infinite"),
        ("a.wav", [0.0, np.inf], {"subtype": "FLOAT"},
         "not written: audio holds 1 values that are NaN or infinite"),
        ("a.wav", [[0.0, 0.1], [0.0, np.nan]], {},
         "not written: audio holds 1 values that are NaN or infinite"),
        ("a.wav", [0.0, -1.5], {}, "not written: audio has a peak of 1.5: expected full scale"),
        ("a.flac", [0.0, 2.0], {"subtype": "PCM_24"},
         "not written: audio has a peak of 2: expected full scale at 1"),
        ("a.wav", [], {}, "not written: audio is empty"),
        ("a.wma", [0.0], {}, "unknown suffix; known are .wav, .flac, .ogg, .mp3, .aiff, .aif"),
        ("a", [0.0], {}, "unknown suffix; known are .wav, .flac, .ogg, .mp3, .aiff, .aif"),
        ("a.flac", [0.0], {"subtype": "FLOAT"},
         "not written: Invalid combination of format, subtype and endian"),
    ],
)  # fmt: skip
def test_what_would_not_come_back_is_not_written(tmp_path, name, sound, options, reason):
    with pytest.raises(AudioError) as caught:
        audio.write(tmp_path / name, np.array(sound), RATE, **options)
    assert caught.value.reason.startswith(reason)
    assert list(tmp_path.iterdir()) == []


def test_a_rate_that_a_format_does_not_have_is_said(tmp_path):
    with pytest.raises(AudioError, match=r"a\.mp3: not written: .*sample rates of 8000"):
        audio.write(tmp_path / "a.mp3", tone(rate=96000), 96000)


def test_a_failed_write_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = audio.write(tmp_path / "a.wav", tone(), RATE)
    before = path.read_bytes()

    def half(self, content):
        with self.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="no space left"):
        audio.write(path, noise(1, 9000), RATE)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
