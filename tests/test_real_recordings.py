"""The recordings themselves: counts, labels, groups, and how fast a library opens again."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import samplevae_lib as sv
from samplevae_lib import audio, files
from samplevae_lib.datasets import digits, download, drums
from samplevae_lib.inversion import invert, unheard
from samplevae_lib.metrics import htk_mfcc, pairwise_dtw
from samplevae_lib.metrics.ratings import grades

EIGHT = {
    "bd": 471, "sd": 518, "hh": 126, "oh": 107, "cr": 103, "rd": 63,
    "cp": 58, "sh": 55, "lt": 160, "mt": 123, "ht": 133,
}  # fmt: skip
OTHERS = {"perc": 356, "misc": 132, "rim": 64, "cb": 52, "tb": 34, "fx": 40}
REASONS = ("is silent: its peak is ", "a copy of machines/", "the same bytes lie under two labels")

pytestmark = pytest.mark.usefixtures("real")


def load(name, **options):
    return sv.datasets.load(name, data="real", **options)


def code_of(path: str) -> str:
    """The code in machines/MACHINE/machine-CODE/file.wav."""
    return Path(path).parent.name.rpartition("-")[2].lower()


def rows_match_their_files(ds, folder, how_many=6):
    """Whether rows drawn at random are the files read, resampled and fitted."""
    for i in np.random.default_rng(0).choice(len(ds), how_many, replace=False):
        read, _ = audio.read(folder / ds.names[i], sample_rate=ds.sample_rate)
        np.testing.assert_array_equal(ds.audio[i], audio.cut_or_pad(read, ds.audio.shape[1]))
        assert ds.durations[i] == pytest.approx(len(read) / ds.sample_rate, abs=1e-6)


def fastest(load_again, tries=3):
    """The best of a few times in seconds: the machine may be busy with other things."""
    took = []
    for _ in range(tries):
        start = time.perf_counter()
        load_again()
        took.append(time.perf_counter() - start)
    return min(took)


# ── digits ────────────────────────────────────────────────────────────────────────────────────


def test_there_are_three_thousand_digits_evenly_spoken():
    ds = load("digits")
    assert ds.audio.shape == (3000, 4096)
    assert (ds.sample_rate, ds.source, ds.problems) == (8000, "real", ())
    assert Counter(ds.groups.tolist()) == dict.fromkeys(digits.SPEAKERS, 500)
    assert Counter(ds.labels.tolist()) == {str(digit): 300 for digit in range(10)}
    assert Counter(ds.attributes["index"].tolist()) == {take: 60 for take in range(50)}
    assert ds.provenance["files"] == 3000
    assert digits.COMMIT in ds.provenance["version"]


def test_digits_can_be_of_some_speakers_only():
    ds = load("digits", speakers=["theo", "lucas"])
    assert Counter(ds.groups.tolist()) == {"theo": 500, "lucas": 500}
    whole = load("digits")
    theo = whole.select(whole.groups == "theo")
    assert ds.select(ds.groups == "theo").fingerprint == theo.fingerprint


def test_a_row_of_digits_is_its_file(real):
    rows_match_their_files(load("digits"), real / "digits")


def test_digits_split_by_speaker_have_no_speaker_twice():
    parts = load("digits").split({"train": 0.65, "valid": 0.2, "test": 0.15}, seed=1)
    assert [len(part) for part in parts.values()] == [2000, 500, 500]
    speakers = [set(part.groups) for part in parts.values()]
    assert set.union(*speakers) == set(digits.SPEAKERS)
    assert sum(map(len, speakers)) == 6
    assert all(len(part.classes) == 10 for part in parts.values())


# ── drums ─────────────────────────────────────────────────────────────────────────────────────


def test_every_labelled_drum_is_loaded_or_named_as_a_problem():
    ds = load("drums")
    assert len(ds) + len(ds.problems) == 1917 == sum(EIGHT.values())
    loaded = Counter(ds.attributes["code"].tolist())
    left_out = Counter(code_of(problem.path) for problem in ds.problems)
    assert loaded + left_out == EIGHT
    assert ds.audio.shape == (len(ds), 16384)
    assert ds.sample_rate == 22050
    assert ds.provenance["files"] == 1917


def test_drums_bear_the_class_of_their_code():
    ds = load("drums")
    expected = {"hat": "hh oh", "tom": "lt mt ht", "kick": "bd", "snare": "sd", "crash": "cr"}
    expected |= {"ride": "rd", "clap": "cp", "shaker": "sh"}
    codes = {label: set(ds.attributes["code"][ds.labels == label].tolist()) for label in ds.classes}
    assert codes == {label: set(listed.split()) for label, listed in expected.items()}
    assert [code_of(name) for name in ds.names] == ds.attributes["code"].tolist()
    assert [name.split("/")[1] for name in ds.names] == ds.groups.tolist()


def test_the_whole_library_is_2595_files_less_its_problems():
    ds = load("drums", classes="all")
    assert len(ds) + len(ds.problems) == 2595
    left_out = Counter(code_of(problem.path) for problem in ds.problems)
    assert Counter(ds.attributes["code"].tolist()) + left_out == EIGHT | OTHERS
    assert len(ds.classes) == 14
    assert len(np.unique(ds.groups)) in (71, 72)


def test_what_was_left_out_is_silent_or_a_copy():
    problems = load("drums", classes="all").problems
    assert all(problem.reason.startswith(REASONS) for problem in problems)
    assert 2 <= len(problems) < 30
    assert len({problem.path for problem in problems}) == len(problems)


def test_no_two_drums_are_the_same_bytes(real):
    ds = load("drums", classes="all")
    entries = {entry.path: entry.sha256 for entry in drums.archive().entries}
    assert len({entries[name] for name in ds.names}) == len(ds)


def test_a_row_of_drums_is_its_file(real):
    rows_match_their_files(load("drums", classes="all"), real / "drums")


@pytest.mark.parametrize("seed", range(5))
def test_a_split_by_machine_keeps_machines_apart_and_classes_in_proportion(seed):
    ds = load("drums")
    shares = {"train": 0.7, "valid": 0.15, "test": 0.15}
    parts = ds.split(shares, seed=seed)
    machines = [set(part.groups) for part in parts.values()]
    assert set.union(*machines) == set(ds.groups)
    assert sum(map(len, machines)) == len(set(ds.groups))
    assert sum(map(len, parts.values())) == len(ds)
    for name, part in parts.items():
        assert len(part) / len(ds) == pytest.approx(shares[name], abs=0.05)
        for label in ds.classes:
            of_class = (part.labels == label).sum() / (ds.labels == label).sum()
            assert of_class == pytest.approx(shares[name], abs=0.12)


def test_a_library_opens_again_in_under_a_second_and_is_mapped_not_read():
    first = load("drums", classes="all")
    assert isinstance(first.audio, np.memmap)
    assert Path(first.audio.filename).stat().st_size == len(first) * 16384 * 4
    assert fastest(lambda: load("drums", classes="all")) < 1.0
    assert load("drums", classes="all").problems == first.problems


# ── what lies on disk ─────────────────────────────────────────────────────────────────────────


def test_every_file_on_disk_is_in_the_manifest_and_no_other_was_unpacked(real):
    for name, suffix in (("digits", ".wav"), ("drums", ".wav")):
        load(name)
        found = {
            path.relative_to(real / name).as_posix()
            for path in (real / name).rglob("*")
            if path.is_file() and not path.name.startswith(".")
        }
        module = {"digits": digits, "drums": drums}[name]
        assert found == {entry.path for entry in module.archive().entries}
        assert {Path(path).suffix.lower() for path in found} == {suffix}


def test_a_changed_byte_in_a_recording_is_named_and_a_deleted_one_restored(real):
    load("digits")
    path = real / "digits" / "recordings" / "7_theo_3.wav"
    before = path.read_bytes()
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    with pytest.raises(sv.datasets.download.manifest.IntegrityError, match=r"7_theo_3\.wav"):
        load("digits")
    path.unlink()
    download.obtain(digits.archive())
    assert files.sha256(path) == next(
        entry.sha256 for entry in digits.archive().entries if entry.path.endswith("7_theo_3.wav")
    )
    assert path.read_bytes() == before


# ── what digits sound like ────────────────────────────────────────────────────────────────────


def test_warped_cepstra_tell_the_digits_of_a_speaker_apart():
    ds = load("digits", speakers=["jackson"])
    ds = ds.select(ds.attributes["index"] < 5)
    distances = pairwise_dtw(htk_mfcc(ds.audio, ds.sample_rate, range_db=60))
    np.fill_diagonal(distances, np.inf)
    assert (ds.labels[distances.argmin(1)] == ds.labels).mean() > 0.9


# ── the shipped vocoder ───────────────────────────────────────────────────────────────────────


def test_on_machines_it_never_heard_the_vocoder_is_better_than_griffin_lim():
    spec = sv.spectral.Spectrogram()
    ds = load("drums")
    sounds = np.array(ds.select(unheard(ds, spec)).sample(2, seed=1).audio)
    graded = {
        method: grades(
            sounds, invert(spec.forward(sounds), spec, method=method, length=16384), 22050
        )["ODG"].mean()
        for method in ("neural", "mel_griffin_lim")
    }
    assert graded["neural"] > graded["mel_griffin_lim"] + 0.2
