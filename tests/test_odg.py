"""PEAQ: two C programs' grades and variables, the ear's constants, short clips, clear refusals."""

from __future__ import annotations

import math
import os
import warnings
from dataclasses import FrozenInstanceError, astuple, fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from benchmarks import odg as bench
from samplevae_lib import audio
from samplevae_lib.metrics.peaq import ear, perception
from samplevae_lib.metrics.peaq import spectra as peaq_spectra
from samplevae_lib.metrics.peaq.grade import Details, graded, odg
from samplevae_lib.metrics.peaq.variables import Variables, counting, variables_of

RATE = ear.RATE
COMMITTED = Path(__file__).parent / "golden"
GOLDEN = os.environ.get("SAMPLEVAE_GOLDEN", "")  # folder of odg.csv and pairs/NAME_ref.flac, …
NAMES = [field.name for field in fields(Variables)]
ROWS = pd.read_csv(COMMITTED / "odg.csv", index_col="pair")


def noise(samples: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=samples)


def hits(seconds: float) -> np.ndarray:
    """Two decaying bursts of noise over a tone each second."""
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.2 * noise(len(time)) + 0.3 * np.sin(400 * time)) * np.exp(-8 * (time % 0.5))


def read_pair(folder: Path, name: str) -> list[np.ndarray]:
    return [sf.read(folder / f"{name}_{kind}.flac")[0] for kind in ("ref", "test")]


@pytest.mark.parametrize("name", ROWS.index)
def test_variables_are_those_of_two_c_programs(name):
    found, row = odg(*read_pair(COMMITTED, name), RATE, details=True), ROWS.loc[name]
    for variable in NAMES:
        theirs = row[f"gst_{variable}"]
        if math.isnan(theirs):  # GstPEAQ's mean over nothing
            assert getattr(found, variable) == row[f"peaqb_{variable}"] == 0
        else:
            assert getattr(found, variable) == pytest.approx(theirs, rel=1e-4), variable
    if math.isnan(row.gstpeaq_odg):
        assert found.odg == pytest.approx(row.peaqb_odg, abs=0.02)
    else:
        assert found.odg == pytest.approx(row.gstpeaq_odg, abs=0.001)
        assert found.di == pytest.approx(row.gstpeaq_di, abs=0.001)


@pytest.mark.skipif(not GOLDEN, reason="SAMPLEVAE_GOLDEN names no folder of reference grades")
def test_all_reference_grades():
    rows = pd.read_csv(Path(GOLDEN) / "odg.csv", index_col="pair")
    ours = np.array([odg(*read_pair(Path(GOLDEN) / "pairs", name), RATE) for name in rows.index])
    theirs = rows[["gstpeaq_odg", "peaqb_odg"]].to_numpy()
    away = np.nanmin(np.abs(theirs - ours[:, None]), axis=1)
    assert np.mean(away <= 0.15) >= 0.9
    assert np.nanmax(np.abs(theirs[:, 0] - ours)) < 0.02
    for program in theirs.T:
        known = np.isfinite(program)
        assert spearmanr(ours[known], program[known]).statistic >= 0.98


def test_109_bands_of_a_quarter_bark_from_80_hz_to_18_khz():
    bands = ear.bands()
    bark = 7 * np.arcsinh(bands.edges / 650)
    assert len(bands.centre) == len(bands.noise) == ear.BANDS == len(bark) - 1 == 109
    assert bands.edges[[0, -1]] == pytest.approx([80, 18000])
    assert np.diff(bark)[:-1] == pytest.approx(0.25)
    assert 0 < np.diff(bark)[-1] < 0.25
    assert bands.centre[0] == pytest.approx(91.708, abs=0.001)  # table 6 of the standard


def test_every_bin_within_the_bands_is_shared_out_whole():
    bins = np.arange(4, 768) * RATE / ear.SIZE
    shared = np.asarray(ear.bands().share.sum(0))[4:768]
    assert shared == pytest.approx(ear.outer_ear(bins))


def test_the_ear_at_known_frequencies():
    assert 10 * np.log10(ear.outer_ear(np.array([1000.0]))) == pytest.approx(
        -2.184 + 6.5 * math.exp(-0.6 * 2.3**2) - 0.001
    )
    hertz = np.arange(100.0, 16000)
    assert 3200 < hertz[ear.outer_ear(hertz).argmax()] < 3400
    noise_db = np.interp(1000, ear.bands().centre, 10 * np.log10(ear.bands().noise))
    assert noise_db == pytest.approx(1.456, abs=0.01)
    slowest, fastest = -ear.HOP / RATE / np.log(ear.decays(0.05)[[0, -1]])
    assert slowest == pytest.approx(0.008 + 100 / 91.708 * 0.042, abs=1e-5)
    assert 0.008 < fastest < 0.009


def test_a_sine_of_full_scale_has_92_db():
    sine = np.sin(2 * np.pi * 1019.5 * np.arange(8192) / RATE)
    peaks = 10 * np.log10(ear.power(ear.frames(sine))[:-1].max(1))
    assert peaks == pytest.approx(92, abs=0.01)


def test_silence_has_no_loudness_and_a_louder_tone_more():
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    heard = [bench.compiled_ear(10 ** ((db - 92) / 20) * tone) for db in (-30, 20, 40, 60)]
    sones = [float(perception.loudness(lasting)[20]) for lasting in heard]
    assert sones[0] == 0 < 5 * sones[1] < sones[2] < sones[3] / 4 < 1


def test_the_compiled_ear_is_the_plain_one():
    sound = hits(0.7)
    assert bench.compiled_ear(sound) == pytest.approx(bench.plain_ear(sound), rel=1e-9)


def test_a_leaky_mean_reaches_a_constant_as_a_geometric_series_does():
    decay = np.array([0.5, 0.9])
    steps = np.arange(1, 21)[:, None]
    assert ear.follow(np.ones((20, 2)), decay, 1 - decay) == pytest.approx(1 - decay**steps)


def test_the_last_frame_ends_in_silence():
    cut = ear.frames(np.ones(3 * 1024 + 5))
    assert cut.shape == (3, 2048)
    assert cut.sum(1).tolist() == [2048, 2048, 1029]
    assert ear.frames(np.ones(7)).sum() == 7


def test_bandwidth_ends_where_a_spectrum_sinks_into_the_noise():
    power = np.full((1, 1025), 1.0)
    power[0, :500], power[0, 500:600] = 100, 5
    assert [int(width[0]) for width in peaq_spectra.widths(power, power)] == [500, 500]
    power[0, 700] = 20
    assert [int(width[0]) for width in peaq_spectra.widths(power, power)] == [701, 701]
    assert [int(width[0]) for width in peaq_spectra.widths(0 * power, power)] == [0, 0]


def test_an_error_that_recurs_along_frequency_has_harmonics():
    flat, bins = np.ones((1, 1025)), np.arange(1025)
    comb = np.exp(np.cos(2 * np.pi * bins / 8))[None]
    uneven = np.exp(noise(1025))[None]
    found = [float(peaq_spectra.harmonics(flat, test)[0]) for test in (flat, uneven, comb)]
    assert found[0] == 0 < 10 * found[1] < found[2]
    assert peaq_spectra.harmonics(flat, 0 * flat) == 0


def test_frames_in_blocks_are_the_frames_at_once(monkeypatch):
    reference, test = hits(1), 0.9 * hits(1)
    whole = peaq_spectra.spectra_of(reference, test)
    monkeypatch.setattr(peaq_spectra, "_BLOCK", 7)
    for one, other in zip(whole, peaq_spectra.spectra_of(reference, test), strict=True):
        assert one == pytest.approx(other, nan_ok=True)


def test_what_counts_lies_between_the_first_and_the_last_sound():
    sound = np.zeros(40 * 1024)
    sound[[10 * 1024 + 5, 20 * 1024 + 5]] = 1
    assert np.flatnonzero(counting(sound)).tolist() == list(range(9, 21))
    assert counting(0 * sound).all()


@pytest.mark.parametrize("seconds", [0.2, 4.0])
@pytest.mark.parametrize("kind", ["noise", "hits", "tone", "silence", "impulse"])
def test_an_identical_copy_is_graded_a_little_over_0(kind, seconds):
    time = np.arange(round(seconds * RATE)) / RATE
    sound = {
        "noise": 0.1 * noise(len(time)),
        "hits": hits(seconds),
        "tone": np.sin(2 * np.pi * 440 * time),
        "silence": 0 * time,
        "impulse": (time == 0).astype(float),
    }[kind]
    assert 0.1 < odg(sound, sound, RATE) < 0.25


def test_more_noise_is_never_graded_better():
    sound, added = hits(4), noise(4 * RATE)
    grades = [odg(sound, sound + 10 ** (-db / 20) * added, RATE) for db in range(100, 20, -10)]
    assert grades == sorted(grades, reverse=True)
    assert grades[0] > -0.5 > -3 > grades[-1]


def test_noise_in_place_of_silence_is_as_bad_as_can_be():
    assert odg(np.zeros(RATE), 0.1 * noise(RATE), RATE) < -3.9


def test_both_are_resampled_by_the_same_call_and_not_at_48_khz():
    sound = hits(4)[: 4 * 44100].astype(np.float32)
    test = sound + np.float32(1e-3) * noise(len(sound)).astype(np.float32)
    resampled = [audio.resample(s, 44100, RATE) for s in (sound, test)]
    assert odg(sound, test, 44100) == pytest.approx(odg(*resampled, RATE), abs=1e-6)
    assert odg(sound, test, RATE) == graded(variables_of(sound, test))[1]


@pytest.mark.parametrize(("samples", "times"), [(24000, 8), (139200, 2), (1, 192000), (144000, 1)])
def test_a_clip_under_3_s_is_repeated_until_it_lasts_4(samples, times):
    sound = hits(3)[:samples]
    pair = sound, 0.9 * sound + 1e-3 * noise(samples)
    tiled = (np.tile(signal, times) for signal in pair)
    assert odg(*pair, RATE) == graded(variables_of(*tiled))[1]


@pytest.mark.parametrize("before", [0, 188000])
def test_a_clip_of_which_too_little_counts_is_repeated(before):
    sound = np.pad(hits(0.1), (before, 195000 - before))
    pair = sound, 0.5 * sound
    assert odg(*pair, RATE) == graded(variables_of(*(np.tile(signal, 2) for signal in pair)))[1]


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 30000),
    st.sampled_from(["zeros", "impulse", "noise", "constant", "bursts", "faint", "loud"]),
    st.sampled_from(["same", "quieter", "noisier", "delayed", "coarse", "inverted"]),
    st.sampled_from([RATE, 44100, 16000]),
)
def test_any_clip_gets_a_grade(samples, kind, change, rate):
    at, added = np.arange(samples), noise(samples, seed=1)
    sound = {
        "zeros": 0.0 * at,
        "impulse": (at == samples // 2).astype(float),
        "noise": 0.1 * noise(samples),
        "constant": np.ones(samples),
        "bursts": noise(samples) * (at // 500 % 7 == 0),
        "faint": 1e-3 * noise(samples),
        "loud": 15 * noise(samples),
    }[kind]
    test = {
        "same": sound,
        "quieter": 0.3 * sound,
        "noisier": sound + 0.01 * added,
        "delayed": np.roll(sound, 3),
        "coarse": np.round(sound * 50) / 50 + 1e-3,
        "inverted": -sound,
    }[change]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = odg(sound, test, rate, details=True)
    assert np.isfinite(astuple(found)).all()
    assert -3.98 <= found.odg <= 0.22


def test_details_hold_the_standards_variables_and_cannot_be_changed():
    sound = hits(0.5)
    found = odg(sound, 0.8 * sound, RATE, details=True)
    assert NAMES == [
        "BandwidthRefB", "BandwidthTestB", "TotalNMRB", "WinModDiff1B", "ADBB", "EHSB",
        "AvgModDiff1B", "AvgModDiff2B", "RmsNoiseLoudB", "MFPDB", "RelDistFramesB",
    ]  # fmt: skip
    assert isinstance(found, Details)
    assert found.odg == odg(sound, 0.8 * sound, RATE)
    assert found.odg == pytest.approx(-3.98 + 4.2 / (1 + math.exp(-found.di)))
    with pytest.raises(FrozenInstanceError):
        found.odg = 0.0


def test_lists_short_floats_and_tensors_are_sounds_and_stay_as_they_are():
    import torch

    sound = hits(0.1).astype(np.float32)
    kept, grade = sound.copy(), odg(sound, 0.5 * sound, RATE)
    assert odg(sound.tolist(), (0.5 * sound).tolist(), float(RATE)) == grade
    assert odg(torch.from_numpy(sound), torch.from_numpy(0.5 * sound), RATE) == grade
    assert np.array_equal(sound, kept)


ONE = np.full(9, 0.1)


@pytest.mark.parametrize(
    ("reference", "test", "rate", "told"),
    [
        (ONE, ONE[1:], RATE, "reference has 9 samples and test 8: expected equally many"),
        (np.stack([ONE, ONE]), ONE, RATE, r"reference has shape \(2, 9\): expected \(samples,\)"),
        (ONE, 0.1, RATE, r"test has shape \(\): expected \(samples,\)"),
        ([], [], RATE, "reference is empty"),
        (ONE, ONE * [math.nan] + ONE, RATE, "test holds 9 values that are NaN or infinite"),
        (ONE, ONE * math.inf, RATE, "test holds 9 values that are NaN or infinite"),
        (ONE * 1j, ONE, RATE, "reference is of type complex128: expected real numbers"),
        (ONE, ["a"] * 9, RATE, "test is of type <U1: expected real numbers"),
        (ONE * 1e5, ONE, RATE, "reference has a peak of 10000: expected full scale at 1"),
        (ONE, np.zeros(9), RATE, r"test is silent \(peak 0\) and reference is not"),
        (ONE, ONE, 0, "sample_rate is 0: expected a whole number of Hz above 0"),
        (ONE, ONE, -48000, "sample_rate is -48000"),
        (ONE, ONE, 44100.5, "sample_rate is 44100.5"),
        (ONE, ONE, math.nan, "sample_rate is nan"),
        (ONE, ONE, math.inf, "sample_rate is inf"),
    ],
)
def test_what_cannot_be_graded_is_refused_by_name(reference, test, rate, told):
    with pytest.raises(ValueError, match=told):
        odg(reference, test, rate)


@pytest.mark.slow
def test_the_bench_tells_speeds_and_agreement():
    lines = bench.run(rounds=1).splitlines()
    assert [line.split()[1] for line in lines[1:4]] == ["0.5", "4", "30"]
    assert "× real time" in lines[5]
    assert float(lines[-1].rpartition(" ")[2]) < 1e-9
