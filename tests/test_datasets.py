"""Datasets: columns and splits, exact signals, folders with broken files, notes, the one door."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import hilbert

import samplevae_lib as sv
from samplevae_lib import audio, paths
from samplevae_lib.datasets import Dataset, Problem, signals, store

RATE = 16000
FEW = settings(max_examples=40, deadline=None)
names_are_bytes = pytest.mark.skipif(
    sys.platform == "darwin", reason="its file systems take only names of valid UTF-8"
)


def dataset(letters="aabb", groups=None, *, samples=8, **changed):
    """One sound a letter, its label; each is its own group unless `groups` says otherwise."""
    n = len(letters)
    rng = np.random.default_rng(0)
    columns = {
        "name": "toy",
        "audio": rng.uniform(-1, 1, (n, samples)).astype(np.float32),
        "sample_rate": RATE,
        "labels": np.array(list(letters)),
        "names": np.array([f"sound-{i}" for i in range(n)]),
        "groups": np.array(list(groups or map(str, range(n)))),
        "durations": np.arange(1, n + 1) / 10,
        "source": "real",
    }
    return Dataset(**columns | changed)


def sound(seconds=0.1, *, rate=22050, level=0.5):
    return (level * np.sin(np.arange(round(seconds * rate)) * 0.1)).astype(np.float32)


def put(path: Path, seconds=0.1, *, rate=22050, level=0.5) -> Path:
    return audio.write(path, sound(seconds, rate=rate, level=level), rate)


def strange(name: bytes) -> str:
    """A name whose bytes are not valid UTF-8, as Python spells it."""
    return name.decode("utf-8", "surrogateescape")


# ── columns ───────────────────────────────────────────────────────────────────────────────────


def test_classes_are_in_alphabetical_order_and_targets_count_them():
    ds = dataset("cabac")
    assert ds.classes == ("a", "b", "c")
    assert ds.targets.tolist() == [2, 0, 1, 0, 2]
    assert ds.targets.dtype == np.int64
    assert len(ds) == 5


@pytest.mark.parametrize("which", [[False, True, False, True], [1, 3], [-3, -1], (1, 3)])
def test_selecting_takes_every_column_along(which):
    ds = dataset("abcd", attributes={"pitch": np.array([60, 61, 62, 63])})
    chosen = ds.select(which)
    assert np.array_equal(chosen.audio, ds.audio[[1, 3]])
    assert chosen.labels.tolist() == ["b", "d"]
    assert chosen.names.tolist() == ["sound-1", "sound-3"]
    assert chosen.groups.tolist() == ["1", "3"]
    assert chosen.durations.tolist() == [0.2, 0.4]
    assert chosen.attributes["pitch"].tolist() == [61, 63]
    assert chosen.classes == ("b", "d")
    assert chosen.targets.tolist() == [0, 1]


def test_selecting_may_repeat_reorder_or_take_nothing():
    ds = dataset("abcd")
    assert ds.select([2, 0, 2]).labels.tolist() == ["c", "a", "c"]
    nothing = ds.select([])
    assert nothing.audio.shape == (0, 8)
    assert nothing.classes == ()


def test_a_mask_of_another_length_is_refused():
    with pytest.raises(IndexError, match="3"):
        dataset("abcd").select([True, False, True])


@pytest.mark.parametrize("column", ["labels", "names", "groups", "durations"])
def test_a_column_of_another_length_is_named(column):
    with pytest.raises(ValueError, match=f"^{column} has 3 entries for 4 sounds$"):
        replace(dataset("aabb"), **{column: np.arange(3).astype(str)})


def test_an_attribute_of_another_length_is_named():
    with pytest.raises(ValueError, match=r"^pitch has 5 entries for 4 sounds$"):
        dataset("aabb", attributes={"pitch": np.zeros(5)})


def test_a_source_is_real_or_a_stand_in():
    with pytest.raises(ValueError, match=r"real.*stand-in.*not 'fake'"):
        dataset(source="fake")


def test_the_fingerprint_is_that_of_the_content():
    ds = dataset("ab" * 150)
    copied = ds.select(np.arange(300))
    assert ds.fingerprint == copied.fingerprint
    assert len(ds.fingerprint) == 16
    # Neither attributes nor where it came from are a part of it.
    assert ds.fingerprint == dataset("ab" * 150, source="stand-in").fingerprint


def test_the_fingerprint_changes_with_one_sample_label_name_order_or_rate():
    ds = dataset("ab" * 150)
    altered = ds.audio.copy()
    altered[299, 7] = np.nextafter(altered[299, 7], np.float32(1))
    others = [
        dataset("ab" * 150, audio=altered),
        dataset("ab" * 149 + "bb"),
        dataset("ab" * 150, names=np.arange(300).astype(str)),
        dataset("ab" * 150, sample_rate=8000),
        ds.select(np.arange(300)[::-1]),
        ds.select(np.arange(299)),
    ]
    assert len({ds.fingerprint, *(other.fingerprint for other in others)}) == 7


def test_the_table_has_a_row_a_sound():
    table = dataset("ab", attributes={"pitch": np.array([60, 61])}).table()
    assert list(table.columns) == ["name", "label", "group", "seconds", "pitch"]
    assert table.loc[1].tolist() == ["sound-1", "b", "1", 0.2, 61]


def test_its_representation_counts_what_it_holds():
    ds = dataset(
        "aabb", "xxyz", problems=(Problem("a.wav", "is empty"), Problem("b.wav", "is too"))
    )
    assert repr(ds) == (
        "<toy: 4 sounds of 8 samples at 16000 Hz, 2 classes, 3 groups, real, 2 files left out>"
    )


# ── drawing and splitting ─────────────────────────────────────────────────────────────────────


@FEW
@given(labels=st.text("abc", min_size=1, max_size=60), most=st.integers(1, 20))
def test_a_sample_has_at_most_so_many_of_each_class_and_none_twice(labels, most):
    ds = dataset(labels)
    drawn = ds.sample(most, seed=1)
    for label in ds.classes:
        assert (drawn.labels == label).sum() == min(most, labels.count(label))
    assert len(set(drawn.names)) == len(drawn)
    assert np.array_equal(drawn.audio, ds.sample(most, seed=1).audio)


def test_samples_differ_by_seed_and_must_not_be_empty():
    ds = dataset("a" * 100)
    assert set(ds.sample(10, seed=0).names) != set(ds.sample(10, seed=1).names)
    with pytest.raises(ValueError, match="per_class must be at least 1, not 0"):
        ds.sample(0, seed=0)
    assert len(ds.select([]).sample(3, seed=0)) == 0


def test_a_strict_sample_refuses_a_class_that_is_too_small_and_gives_the_counts():
    ds = dataset("a" * 30 + "b" * 12)
    assert len(ds.sample(12, seed=0, strict=True)) == 24
    with pytest.raises(
        ValueError, match="13 sounds of each class are asked for; there are a 30, b 12"
    ):
        ds.sample(13, seed=0, strict=True)


shares_of = st.lists(st.integers(1, 9), min_size=2, max_size=4).map(
    lambda parts: {f"part-{i}": part / sum(parts) for i, part in enumerate(parts)}
)
# Each entry is a group: its class and how many sounds it holds.
groups_of = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9)), min_size=2, max_size=30)


def grouped(groups):
    labels = "".join(label * size for label, size in groups)
    names = [f"g{i}" for i, (_, size) in enumerate(groups) for _ in range(size)]
    return dataset(labels, names)


def split_or_none(ds, shares, **options):
    """The parts, or None where one of them would be empty, which must be said."""
    try:
        return ds.split(shares, **options)
    except ValueError as error:
        assert str(error).startswith("nothing would be left for part-")
        return None


@FEW
@given(groups=groups_of, shares=shares_of, seed=st.integers(0, 99))
def test_groups_are_kept_whole_and_every_sound_is_in_one_part(groups, shares, seed):
    ds = grouped(groups)
    parts = split_or_none(ds, shares, seed=seed)
    if parts is None:
        return
    assert list(parts) == list(shares)
    names = [name for part in parts.values() for name in part.names]
    assert sorted(names) == sorted(ds.names)
    groups_met = [group for part in parts.values() for group in set(part.groups)]
    assert len(groups_met) == len(set(groups_met))
    assert all(len(part) for part in parts.values())


@FEW
@given(groups=groups_of, shares=shares_of, seed=st.integers(0, 99))
def test_each_class_gets_near_its_share_though_groups_are_whole(groups, shares, seed):
    ds = grouped(groups)
    for label in ds.classes:
        # No part is ever over by more than one group, so none is short by more than the others'.
        largest = max(size for name, size in groups if name == label)
        of_class = ds.select(ds.labels == label)
        parts = split_or_none(of_class, shares, seed=seed)
        for name, part in (parts or {}).items():
            assert abs(len(part) - shares[name] * len(of_class)) <= (len(shares) - 1) * largest


@FEW
@given(labels=st.text("abc", min_size=4, max_size=80), shares=shares_of, seed=st.integers(0, 99))
def test_apart_by_item_every_class_is_divided_to_within_one_sound(labels, shares, seed):
    ds = dataset(labels)
    parts = split_or_none(ds, shares, seed=seed, apart="item")
    if parts is None:
        return
    assert sorted(np.concatenate([part.names for part in parts.values()])) == sorted(ds.names)
    for label in ds.classes:
        for name, part in parts.items():
            due = shares[name] * labels.count(label)
            assert abs((part.labels == label).sum() - due) <= 1


def test_many_balanced_speakers_are_split_close_to_the_shares():
    ds = dataset("0123456789" * 20, [f"speaker-{i // 10}" for i in range(200)])
    parts = ds.split({"train": 0.7, "valid": 0.2, "test": 0.1}, seed=3)
    assert [len(part) for part in parts.values()] == [140, 40, 20]
    assert all(part.classes == ds.classes for part in parts.values())


@pytest.mark.parametrize("apart", ["group", "item"])
def test_a_split_depends_on_its_seed_alone(apart):
    ds = dataset("ab" * 50)
    halves = {"train": 0.5, "test": 0.5}
    one, same, other = (ds.split(halves, seed=seed, apart=apart) for seed in (1, 1, 2))
    assert one["train"].names.tolist() == same["train"].names.tolist()
    assert one["train"].names.tolist() != other["train"].names.tolist()


@pytest.mark.parametrize(
    ("shares", "total"),
    [({"a": 0.5, "b": 0.4}, "0.9"), ({"a": 1.5, "b": -0.5}, "1"), ({}, "0"),
     ({"a": 1.0, "b": 0.0}, "1"), ({"a": float("nan"), "b": 0.5}, "nan")],
)  # fmt: skip
def test_shares_must_be_positive_and_add_up_to_one(shares, total):
    with pytest.raises(ValueError, match=f"positive and add up to 1; .* gives {total}$"):
        dataset().split(shares, seed=0)


def uneven_machines():
    """As uneven as the drum library: a few large machines, each with its own mixture of sounds."""
    rng = np.random.default_rng(0)
    sizes = [485, 247, 148, 122, 84, *range(5, 72)]
    mixtures = rng.dirichlet(np.full(8, 0.5), len(sizes))
    letters = [
        rng.choice(list("abcdefgh"), size, p=p) for size, p in zip(sizes, mixtures, strict=True)
    ]
    names = [f"g{i}" for i, size in enumerate(sizes) for _ in range(size)]
    return dataset("".join(np.concatenate(letters)), names)


def test_uneven_groups_are_split_close_to_the_shares_whatever_the_seed():
    ds = uneven_machines()
    shares = {"train": 0.7, "valid": 0.15, "test": 0.15}
    for seed in range(10):
        for name, part in ds.split(shares, seed=seed).items():
            assert len(part) / len(ds) == pytest.approx(shares[name], abs=0.05)
            assert part.classes == ds.classes


def test_what_cannot_be_split_says_why():
    ds = dataset("aabb", "xxxx")
    with pytest.raises(ValueError) as caught:
        ds.split({"train": 0.8, "test": 0.2}, seed=0)
    assert str(caught.value) == (
        "nothing would be left for test: 4 sounds in 1 groups can't be split by group into "
        "{'train': 0.8, 'test': 0.2}"
    )
    with pytest.raises(ValueError, match="train, test: 0 sounds in 0 groups can't be split"):
        ds.select([]).split({"train": 0.8, "test": 0.2}, seed=0)
    with pytest.raises(ValueError, match="apart must be one of group, item, not 'speaker'"):
        ds.split({"train": 0.5, "test": 0.5}, seed=0, apart="speaker")


# ── signals ───────────────────────────────────────────────────────────────────────────────────


def measured_hertz(signal):
    """The frequency of a sine: the peak of a windowed spectrum, between bins by a parabola."""
    spectrum = np.log(np.abs(np.fft.rfft(signal * np.hanning(len(signal)), 4 * len(signal))))
    k = int(spectrum.argmax())
    low, top, high = spectrum[k - 1 : k + 2]
    return (k + (low - high) / (low - 2 * top + high) / 2) * RATE / (4 * len(signal))


def instantaneous_hertz(signals):
    """Between each two samples, from the analytic signal."""
    phase = np.unwrap(np.angle(hilbert(signals)))
    return np.diff(phase) * RATE / (2 * np.pi)


def test_sines_have_the_frequencies_they_say():
    ds = sv.datasets.load("signals", kind="sines", count=50, seed=4)
    said = ds.attributes["hertz"]
    assert ds.audio.shape == (50, 8192)
    assert ds.sample_rate == RATE
    assert 80 <= said.min() < 300 < 900 < said.max() <= 1200
    measured = np.array([measured_hertz(row) for row in ds.audio])
    np.testing.assert_allclose(measured, said, atol=0.05)
    np.testing.assert_allclose(np.abs(ds.audio).max(axis=1), 1, atol=0.03)


def test_sines_start_at_phases_all_round():
    ds = sv.datasets.load("signals", kind="sines", count=400)
    quadrants = np.floor(np.angle(hilbert(ds.audio)[:, 400]) / (np.pi / 2))
    assert np.unique(quadrants, return_counts=True)[1].min() > 60


def test_the_sine_of_given_frequencies_is_exact():
    time = np.arange(1000) / RATE
    rows = signals.sine([100, 440], samples=1000, phase=0.3)
    exact = np.sin(2 * np.pi * np.outer([100, 440], time) + 0.3)
    np.testing.assert_allclose(rows, exact, atol=1e-6)
    assert signals.sine(440.0).shape == (8192,)


def test_a_chirp_glides_evenly_to_twice_its_first_frequency():
    ds = sv.datasets.load("signals", kind="chirps", count=30, seed=1)
    first, last = ds.attributes["first_hertz"], ds.attributes["last_hertz"]
    assert np.array_equal(last, 2 * first)
    assert 80 <= first.min() < first.max() <= 1200
    inside = slice(1000, 7000)
    time = (np.arange(8191) + 0.5) / 8192
    for row, start in zip(instantaneous_hertz(ds.audio), first, strict=True):
        slope, at_zero = np.polyfit(time[inside], row[inside], 1)
        assert at_zero == pytest.approx(start, rel=0.01)
        assert at_zero + slope == pytest.approx(2 * start, rel=0.01)


def test_fm_parameters_lie_in_the_ranges_of_the_thesis_and_fill_them():
    ds = sv.datasets.load("signals", kind="fm", count=1000)
    ranges = {"carrier_hertz": (100, 800)}
    for end in ("first", "last"):
        ranges[f"{end}_modulator_hertz"] = (3, 100)
        ranges[f"{end}_deviation_hertz"] = (1, 200)
    assert set(ds.attributes) == set(ranges)
    for name, (low, high) in ranges.items():
        values, slack = ds.attributes[name], (high - low) / 100
        assert low <= values.min() < low + slack
        assert high - slack < values.max() <= high
        assert values.mean() == pytest.approx((low + high) / 2, rel=0.1)


def test_the_instantaneous_frequency_of_fm_follows_carrier_modulator_and_deviation():
    ds = sv.datasets.load("signals", kind="fm", count=400, seed=2)
    a = ds.attributes
    deepest = np.maximum(a["first_deviation_hertz"], a["last_deviation_hertz"])
    fastest = np.maximum(a["first_modulator_hertz"], a["last_modulator_hertz"])
    # Only where the analytic signal tells phase from envelope: sidebands far from zero.
    clear = np.flatnonzero(a["carrier_hertz"] - deepest > 4 * fastest)
    assert len(clear) > 40
    time = np.arange(8192) / 8192
    inside = slice(800, -800)
    for i in clear:
        measured = instantaneous_hertz(ds.audio[i])[inside]
        assert np.abs(measured - a["carrier_hertz"][i]).max() < deepest[i] + 5
        rate, depth = (
            a[f"first_{what}_hertz"][i] * (1 - time) + a[f"last_{what}_hertz"][i] * time
            for what in ("modulator", "deviation")
        )
        turns = (np.cumsum(rate) - rate) / RATE
        told = a["carrier_hertz"][i] + depth * np.sin(2 * np.pi * turns)
        assert np.sqrt(np.mean((measured - told[:-1][inside]) ** 2)) < 2


def test_the_three_families_have_their_shapes():
    shapes = signals.family_shapes()
    assert {name: len(shape) for name, shape in shapes.items()} == {
        "sine": 512, "sawtooth": 512, "gaussian": 512,
    }  # fmt: skip
    spectrum = np.abs(np.fft.rfft(shapes["sine"])) / 256
    assert spectrum.argmax() == 1
    assert np.delete(spectrum, 1).max() < 1e-12
    rises = np.diff(shapes["sawtooth"])
    assert np.flatnonzero(rises < 0).tolist() == [255]  # two teeth, one edge between them
    np.testing.assert_allclose(np.delete(rises, 255), 4 / 512)
    cycles = np.array([-2, -1, 0, 1, 2])  # whole cycles from the middle, where the cosine is one
    np.testing.assert_allclose(
        shapes["gaussian"][256 + 64 * cycles], np.exp(-0.5 * (cycles / 8 / 0.1) ** 2)
    )


def test_families_lie_under_uniform_noise_within_its_bound():
    ds = sv.datasets.load("signals", kind="families", count=300, noise=0.2)
    assert ds.audio.shape == (300, 512)
    assert np.unique(ds.labels, return_counts=True)[1].tolist() == [100, 100, 100]
    shapes = signals.family_shapes()
    noise = ds.audio - np.stack([shapes[label] for label in ds.labels])
    assert 0.199 < np.abs(noise).max() <= 0.2 + 1e-6
    assert noise.std() == pytest.approx(0.2 / np.sqrt(3), rel=0.01)
    assert noise.mean() == pytest.approx(0, abs=0.002)
    quiet = sv.datasets.load("signals", kind="families", count=3, noise=0.0)
    np.testing.assert_allclose(quiet.audio, np.stack(list(shapes.values())), atol=1e-7)


@pytest.mark.parametrize("kind", ["sines", "chirps", "fm", "families"])
def test_the_same_seed_gives_the_same_signals(kind):
    one, same, other = (
        sv.datasets.load("signals", kind=kind, count=600, seed=seed) for seed in (5, 5, 6)
    )
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert all(np.array_equal(one.attributes[key], same.attributes[key]) for key in one.attributes)
    assert len(np.unique(one.audio, axis=0)) == 600  # chunks don't repeat each other


def test_the_profile_decides_how_many_signals_are_made():
    counts = [
        len(sv.datasets.load("signals", profile=profile, kind="families"))
        for profile in ("smoke", "reference", "paper")
    ]
    assert counts == [200, 2000, 2000]
    assert len(sv.datasets.load("signals", profile="smoke")) == 200


def test_signals_are_never_a_stand_in():
    for data in ("auto", "real", "stand-in"):
        ds = sv.datasets.load("signals", kind="sines", count=2, data=data)
        assert ds.source == "real"
        assert ds.fingerprint == sv.datasets.load("signals", kind="sines", count=2).fingerprint


# ── any folder of sounds ──────────────────────────────────────────────────────────────────────


@pytest.fixture
def library(tmp_path):
    """Three folders deep, with hidden files and files that are no sounds."""
    for name in ("kick/a.wav", "kick/b.WAV", "toms/low/c.aif", "Snare_01.flac", "0707.ogg"):
        put(tmp_path / name)
    for name in ("._kick.wav", ".cache/d.wav", "kick/.e.wav", "notes.txt", "kick/desktop.ini"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("not a sound")
    return tmp_path


def labels_of(ds):
    return dict(zip(ds.names.tolist(), ds.labels.tolist(), strict=True))


def test_sounds_are_named_after_their_folder_or_else_their_file(library):
    ds = sv.datasets.load(library)
    assert labels_of(ds) == {
        "0707.ogg": "0707",
        "Snare_01.flac": "snare",
        "kick/a.wav": "kick",
        "kick/b.WAV": "kick",
        "toms/low/c.aif": "low",
    }
    assert ds.groups.tolist() == [".", ".", "kick", "kick", "toms/low"]
    assert ds.problems == ()
    assert (ds.name, ds.source, ds.sample_rate) == (library.name, "real", 22050)


def test_labels_can_be_taken_from_file_names_or_folders_alone(library):
    by_file = sv.datasets.load(str(library), labels="file name")
    by_folder = sv.datasets.load(library, labels="sub-folder")
    assert by_file.labels.tolist() == ["0707", "snare", "a", "b", "c"]
    assert by_folder.labels.tolist() == [library.name, library.name, "kick", "kick", "low"]


def test_a_row_is_the_file_read_resampled_and_fitted(library):
    put(library / "long.wav", 0.5, rate=48000)
    ds = sv.datasets.load(library, sample_rate=16000, samples=3000)
    for row, name in zip(ds.audio, ds.names, strict=True):
        read, _ = audio.read(library / name, sample_rate=16000)
        assert np.array_equal(row, audio.cut_or_pad(read, 3000))
    long = ds.names.tolist().index("long.wav")
    assert ds.durations[long] == pytest.approx(0.5, abs=1e-6)
    np.testing.assert_allclose(np.delete(ds.durations, long), 0.1, atol=1e-4)


@pytest.fixture
def broken(tmp_path):
    """Two good files, one of them in a folder and of a name that read as markup, and four bad."""
    wide = np.stack([sound(0.2, rate=96000, level=(1 + i) / 20) for i in range(8)])
    audio.write(tmp_path / "wide.wav", wide, 96000, subtype="PCM_24")
    put(Path(os.path.join(tmp_path, "<b>x</b>.wav")))
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("this is a text\n" * 50)
    (tmp_path / "cut.wav").write_bytes(audio.encode(sound(), 22050)[:1000])
    sf.write(tmp_path / "nan.wav", np.array([0.1, np.nan, 0.2]), 22050, subtype="FLOAT")
    return tmp_path


def test_a_folder_loads_around_its_broken_files_and_names_each(broken):
    ds = sv.datasets.load(broken)
    assert labels_of(ds) == {"<b>x</b>.wav": "<b>x<", "wide.wav": "wide"}
    assert dict(ds.problems) == {
        "cut.wav": "is truncated: 3454 bytes of its sound are missing",
        "empty.wav": "is empty (0 bytes)",
        "nan.wav": "holds 1 values that are not numbers (NaN or infinite)",
        "text.wav": "is not audio that can be read (Format not recognised.)",
    }
    assert repr(ds).endswith("real, 4 files left out>")


def test_eight_channels_at_96_khz_come_down_to_one_at_22_khz(broken):
    ds = sv.datasets.load(broken)
    wide = ds.audio[ds.names.tolist().index("wide.wav")]
    mean = np.mean([(1 + i) / 20 for i in range(8)])
    assert ds.durations[ds.names.tolist().index("wide.wav")] == pytest.approx(0.2, abs=1e-4)
    assert np.abs(wide[500:4000]).max() == pytest.approx(mean, rel=0.01)
    assert not wide[4500:].any()


def test_problems_are_remembered_by_the_store(broken, monkeypatch):
    first = sv.datasets.load(broken)
    monkeypatch.setattr(audio, "read", None)
    assert sv.datasets.load(broken).problems == first.problems


def test_each_of_many_files_keeps_its_own_row_and_name(tmp_path):
    for i in range(100):
        put(tmp_path / f"hit_{i:02d}.wav", 0.01, level=(i + 1) / 101)
    for broken in (0, 31, 32, 64, 99):
        (tmp_path / f"hit_{broken:02d}.wav").write_bytes(b"")
    ds = sv.datasets.load(tmp_path, samples=256)
    assert [problem.path[4:6] for problem in ds.problems] == ["00", "31", "32", "64", "99"]
    numbers = np.array([int(name[4:6]) for name in ds.names])
    assert len(numbers) == 95
    np.testing.assert_allclose(np.abs(ds.audio).max(axis=1), (numbers + 1) / 101, atol=1e-3)


def test_too_long_and_silent_files_and_links_to_nowhere_are_problems(tmp_path):
    put(tmp_path / "good.wav")
    put(tmp_path / "long.wav", 3)
    sf.write(tmp_path / "silent.wav", np.zeros(100), 22050)
    (tmp_path / "link.wav").symlink_to(tmp_path / "gone.wav")
    ds = sv.datasets.load(tmp_path, max_seconds=2.5)
    assert ds.names.tolist() == ["good.wav"]
    assert dict(ds.problems) == {
        "link.wav": "does not exist",
        "long.wav": "is 3.0 s long; the limit is max_seconds=2.5",
        "silent.wav": "is silent: its peak is -inf dB, under −80 dB",
    }


def test_a_link_that_is_mended_is_loaded_the_next_time(tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link.wav").symlink_to(tmp_path / "later.wav")
    put(tmp_path / "here" / "good.wav")
    assert len(sv.datasets.load(tmp_path / "here")) == 1
    put(tmp_path / "later.wav")
    assert len(sv.datasets.load(tmp_path / "here")) == 2


def test_a_folder_in_which_every_file_is_broken_is_empty_and_says_so(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"")
    ds = sv.datasets.load(tmp_path)
    assert ds.audio.shape == (0, 16384)
    assert ds.classes == ()
    assert ds.problems == (Problem("a.wav", "is empty (0 bytes)"),)


@names_are_bytes
def test_names_that_are_not_valid_utf_8_load_and_can_be_shown(tmp_path, monkeypatch):
    report = tmp_path / "progress.json"
    monkeypatch.setenv("SAMPLEVAE_PROGRESS", str(report))
    folder = tmp_path / strange(b"b\xe4nke")
    put(folder / strange(b"caf\xe9") / strange(b"kl\xe4ng.wav"))
    put(folder / strange(b"\xdcbung.wav"))
    (folder / strange(b"leer\xff.wav")).write_bytes(b"")
    ds = sv.datasets.load(folder)
    assert set(ds.names) == {"caf\ufffd/kl\ufffdng.wav", "\ufffdbung.wav"}
    assert set(ds.labels) == {"caf\ufffd", "\ufffdbung"}
    assert ds.problems == (Problem("leer\ufffd.wav", "is empty (0 bytes)"),)
    assert ds.name == "b\ufffdnke"
    assert dict(ds.provenance)["version"] == "folder b\ufffdnke"
    assert json.loads(report.read_text("utf-8"))["label"] == "decoding b\ufffdnke"


def test_a_folder_without_sounds_says_what_was_looked_for(tmp_path):
    (tmp_path / "notes.txt").write_text("no sound")
    with pytest.raises(ValueError) as caught:
        sv.datasets.load(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: no sound files; looked for .wav, .flac, .ogg, .mp3, .aiff, .aif"
    )


def test_a_home_folder_may_be_written_with_a_tilde(library, monkeypatch):
    monkeypatch.setenv("HOME", str(library.parent))
    assert len(sv.datasets.load(f"~/{library.name}")) == 5


# ── the store of decoded sounds ───────────────────────────────────────────────────────────────


def stores():
    return sorted(path.suffix for path in (paths.cache() / "audio").iterdir())


def test_a_library_is_decoded_once_into_one_mapped_file(library, monkeypatch):
    first = sv.datasets.load(library)
    assert isinstance(first.audio, np.memmap)
    assert Path(first.audio.filename).stat().st_size == 5 * 16384 * 4
    assert stores() == [".f32", ".json", ".lock"]
    monkeypatch.setattr(audio, "read", None)  # a second decoding would fail
    second = sv.datasets.load(library)
    assert second.fingerprint == first.fingerprint
    assert second.durations.tolist() == first.durations.tolist()
    with pytest.raises(ValueError, match="read-only"):
        second.audio[0, 0] = 1


def test_another_length_rate_or_file_gets_a_store_of_its_own(library):
    sv.datasets.load(library)
    shapes = {sv.datasets.load(library, samples=100).audio.shape}
    shapes |= {sv.datasets.load(library, sample_rate=8000).audio.shape}
    assert shapes == {(5, 100), (5, 16384)}
    put(library / "kick" / "a.wav", level=0.25)
    os.utime(library / "kick" / "a.wav", (1, 1))
    changed = sv.datasets.load(library)
    assert np.abs(changed.audio[2]).max() == pytest.approx(0.25, abs=1e-3)
    assert stores().count(".f32") == 4


def test_decoding_that_fails_half_way_leaves_no_store(library, monkeypatch):
    read = store.audio.read

    def failing(path, **options):
        if path.endswith("c.aif"):
            raise MemoryError("no memory left")
        return read(path, **options)

    monkeypatch.setattr(store.audio, "read", failing)
    with pytest.raises(MemoryError, match="no memory left"):
        sv.datasets.load(library)
    assert stores() == [".lock"]
    monkeypatch.undo()
    assert len(sv.datasets.load(library)) == 5


# ── notes in NSynth's layout ──────────────────────────────────────────────────────────────────

NOTES = [
    # family, source, instrument, pitch, velocity
    ("guitar", "acoustic", 14, 60, 25),
    ("guitar", "acoustic", 14, 72, 100),
    ("guitar", "electronic", 3, 60, 100),
    ("bass", "synthetic", 7, 36, 127),
    ("vocal", "synthetic", 0, 60, 75),
]


@pytest.fixture
def nsynth(own_folders):
    """A part of NSynth as it lies on disk when it has been unpacked."""
    folder = paths.data() / "notes" / "nsynth-test"
    examples = {}
    for family, source, number, pitch, velocity in NOTES:
        instrument = f"{family}_{source}_{number:03d}"
        name = f"{instrument}-{pitch:03d}-{velocity:03d}"
        put(folder / "audio" / f"{name}.wav", 0.2, rate=16000, level=velocity / 127)
        examples[name] = {
            "note": 1, "note_str": name, "instrument": number, "instrument_str": instrument,
            "pitch": pitch, "velocity": velocity, "sample_rate": 16000,
            "instrument_family": 3, "instrument_family_str": family,
            "instrument_source": 0, "instrument_source_str": source,
            "qualities": [0] * 10, "qualities_str": [],
        }  # fmt: skip
    (folder / "examples.json").write_text(json.dumps(examples))
    return folder


def notes(**options):
    return sv.datasets.load("notes", data="real", samples=4000, **options)


def test_notes_are_read_in_nsynths_own_layout(nsynth):
    ds = notes()
    assert (ds.name, ds.source, ds.sample_rate, ds.audio.shape) == (
        "notes",
        "real",
        16000,
        (5, 4000),
    )
    assert ds.names.tolist()[0] == "audio/bass_synthetic_007-036-127.wav"
    assert ds.labels.tolist() == ["bass", "guitar", "guitar", "guitar", "vocal"]
    assert ds.groups.tolist()[1:3] == ["guitar_acoustic_014", "guitar_acoustic_014"]
    assert ds.attributes["pitch"].tolist() == [36, 60, 72, 60, 60]
    assert ds.attributes["velocity"].tolist() == [127, 25, 100, 100, 75]
    assert ds.attributes["source"].tolist()[0] == "synthetic"
    assert ds.provenance["licence"] == "CC BY 4.0"
    np.testing.assert_allclose(ds.durations, 0.2)
    np.testing.assert_allclose(
        np.abs(ds.audio).max(axis=1), ds.attributes["velocity"] / 127, rtol=0.01
    )


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        ({"families": ["guitar"]}, [0, 1, 2]),
        ({"families": ("bass", "vocal")}, [3, 4]),
        ({"sources": {"electronic"}}, [2]),
        ({"pitches": (36, 60)}, [0, 2, 3, 4]),
        ({"pitches": (61, 72)}, [1]),
        ({"velocities": [100, 127]}, [1, 2, 3]),
        ({"families": ["guitar"], "velocities": [100], "sources": ["acoustic"]}, [1]),
    ],
)
def test_notes_are_chosen_by_family_source_pitch_and_velocity(nsynth, options, taken):
    found = notes(**options).attributes
    columns = ("family", "source", "pitch", "velocity")
    rows = zip(*(found[column].tolist() for column in columns), strict=True)
    wanted = [(NOTES[i][0], NOTES[i][1], NOTES[i][3], NOTES[i][4]) for i in taken]
    assert sorted(rows) == sorted(wanted)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"families": ["guitar", "gitar"]}, "unknown family gitar; known are bass, brass, flute"),
        ({"sources": ["acustic"]}, "unknown source acustic; known are acoustic, electronic, synth"),
        ({"part": "tests"}, "part must be one of test, valid, train, not 'tests'"),
        ({"velocities": [1]}, "none of 5 notes is asked for by .*velocities=.1."),
        ({"pitches": (80, 70)}, "none of 5 notes is asked for by .*pitches=.80, 70."),
    ],
)
def test_notes_that_do_not_exist_are_an_error(nsynth, options, message):
    with pytest.raises(ValueError, match=message):
        notes(**options)


def test_a_part_of_nsynth_without_its_listing_is_an_error_that_names_it(nsynth):
    (nsynth / "examples.json").unlink()
    with pytest.raises(FileNotFoundError) as caught:
        notes()
    assert str(caught.value) == (
        f"{nsynth / 'examples.json'} is missing: every part of NSynth holds one"
    )


def test_a_note_that_is_listed_and_not_there_is_a_problem(nsynth):
    (nsynth / "audio" / "vocal_synthetic_000-060-075.wav").unlink()
    ds = notes()
    assert len(ds) == 4
    assert ds.problems == (Problem("audio/vocal_synthetic_000-060-075.wav", "does not exist"),)


# ── the one door ──────────────────────────────────────────────────────────────────────────────


def test_per_class_draws_from_whatever_is_loaded():
    ds = sv.datasets.load("signals", kind="families", count=90, per_class=7, seed=2)
    assert np.unique(ds.labels, return_counts=True)[1].tolist() == [7, 7, 7]
    again = sv.datasets.load("signals", kind="families", count=90, per_class=7, seed=2)
    assert again.fingerprint == ds.fingerprint


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("drumz", {}, ValueError, "no dataset 'drumz': known are signals, digits, drums, notes, or "
         "the path of a folder of sounds"),
        ("signals", {"profile": "desktop"}, ValueError,
         "profile must be one of smoke, reference, paper, not 'desktop'"),
        ("signals", {"data": "fake"}, ValueError,
         "data must be one of auto, real, stand-in, not 'fake'"),
        ("drums", {"data": "fake"}, ValueError,
         "data must be one of auto, real, stand-in, not 'fake'"),
        ("signals", {"kind": "squares"}, ValueError,
         "kind must be one of sines, chirps, fm, families, not 'squares'"),
        ("signals", {"count": 0}, ValueError, "count must be at least 1, not 0"),
        ("signals", {"count": -1}, ValueError, "count must be at least 1, not -1"),
        ("signals", {"count": 3, "per_class": 0}, ValueError,
         "per_class must be at least 1, not 0"),
        ("signals", {"kinds": "fm", "speaker": "theo"}, TypeError,
         "signals has no option kinds, speaker; it has kind, count, noise, per_class"),
        ("digits", {"speaker": "theo"}, TypeError,
         "digits has no option speaker; it has speakers, sample_rate, samples, per_class"),
        ("digits", {"speakers": ["theo", "homer"]}, ValueError, "unknown speaker homer; known are "
         "george, jackson, lucas, nicolas, theo, yweweler"),
        ("drums", {"classes": "nine"}, ValueError,
         "classes must be one of eight, all, not 'nine'"),
        ("drums", {"kinds": "fm"}, TypeError,
         "drums has no option kinds; it has classes, sample_rate, samples, per_class"),
        ("notes", {"family": "bass"}, TypeError, "notes has no option family; it has part, "
         "families, sources, pitches, velocities, sample_rate, samples, per_class"),
    ],
)  # fmt: skip
def test_what_is_unknown_is_an_error_that_lists_what_is_known(name, options, error, message):
    with pytest.raises(error) as caught:
        sv.datasets.load(name, **options)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"labels": "colour"}, ValueError,
         "labels must be one of auto, sub-folder, file name, not 'colour'"),
        ({"path": "elsewhere"}, TypeError, "has no option path; it has labels, sample_rate, "
         "samples, max_seconds, per_class"),
        ({"data": "fake"}, ValueError, "data must be one of auto, real, stand-in, not 'fake'"),
        ({"samples": 0}, ValueError, "samples must be at least 1, not 0"),
    ],
)  # fmt: skip
def test_options_of_a_folder_are_checked_too(library, options, error, message):
    with pytest.raises(error) as caught:
        sv.datasets.load(library, **options)
    assert str(caught.value).removeprefix(f"{library} ") == message


def test_a_stand_in_speaker_is_not_one_of_the_recordings():
    with pytest.raises(ValueError, match="unknown speaker theo; known are espeak-m1"):
        sv.datasets.load("digits", data="stand-in", speakers=["theo"])
