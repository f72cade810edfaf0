"""A folder of drums is sorted and copied, whatever lies in it, and stays as it was."""

from __future__ import annotations

import csv
import errno
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile as sf

from samplevae_lib import audio, cli, sorting
from samplevae_lib.datasets.stand_ins.drums import CLASSES, drum_clips

RATE = 22050
LONG = "ü" * 125 + ".wav"  # 254 bytes
LONGEST = "x" * 251 + ".wav"  # 255 bytes, as long as names can be
LATIN = os.fsdecode(b"caf\xe9.wav")  # no UTF-8
ODD = ('a "loud", kick.wav', "two\nlines.wav", "a | b.wav", "=1+1.wav", LATIN, LONG, LONGEST)


class Classifier:
    """Tells classes apart by the band that a sound lies in: class k is a tone of k + 1 kHz."""

    classes = tuple(CLASSES)
    sample_rate = RATE
    known = SimpleNamespace(
        names=np.array([f"machine/{label}.wav" for label in CLASSES]),
        labels=np.array(list(CLASSES)),
        vectors=np.eye(8, dtype=np.float32),
    )

    def probabilities(self, sounds, rate):
        edges = 500 + 1000 * np.arange(9)
        power = [np.square(np.abs(np.fft.rfft(sound, rate)))[500:8500] for sound in sounds]
        bands = np.add.reduceat(power, edges[:-1] - 500, axis=1)
        return bands / bands.sum(axis=1, keepdims=True)

    def embed(self, sounds, rate):
        return self.probabilities(sounds, rate).astype(np.float32)


def tone(*labels: str, rate: int = RATE, seconds: float = 0.2, start: float = 0.0) -> np.ndarray:
    """A fading sound in the bands of these classes; `start` makes it another one."""
    t = np.arange(int(seconds * rate)) / rate
    hertz = [1000 * (1 + list(CLASSES).index(label)) + 50 * start for label in labels]
    return 0.3 * sum(np.sin(2 * np.pi * f * t) for f in hertz) * np.exp(-20 * t)


def put(folder: Path, name: str, sound: np.ndarray, rate: int = RATE, **options) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        sf.write(file, sound, rate, format=path.suffix[1:].upper(), **options)
    return path


def tree(folder: Path) -> dict[str, tuple]:
    """Every file with its content and times, and every link with where it leads."""
    found = {}
    for path in folder.rglob("*"):
        state = path.lstat()
        kept = path.readlink() if path.is_symlink() else path.is_file() and path.read_bytes()
        found[str(path)] = (state.st_mode, state.st_mtime_ns, kept)
    return found


def sort(folder: Path, **options):
    return sorting.sort(folder, classifier=Classifier(), **options)


def row(table, file: str) -> dict:
    (found,) = table[table["file"] == file].to_dict("records")
    return found


def copied(target: Path) -> set[str]:
    return {p.relative_to(target).as_posix() for p in target.rglob("*") if not p.is_dir()}


@pytest.fixture
def folder(tmp_path):
    """A kick, a snare and a hat; its content is the same after the test."""
    folder = tmp_path / "mine"
    for name, label in (("a.wav", "kick"), ("sub/b.wav", "snare"), ("sub/c.flac", "hat")):
        put(folder, name, tone(label))
    return folder


@pytest.fixture
def command(monkeypatch):
    """`python -m samplevae_lib sort` with the classifier of these tests."""
    monkeypatch.setattr(sorting.models, "load", lambda name: Classifier(), raising=False)
    return lambda *arguments: cli.main(["sort", *map(str, arguments)])


# What is in the table.


def test_each_file_has_a_row_with_its_two_likeliest_classes(folder):
    put(folder, "d.wav", tone("tom") + 0.5 * tone("clap"), RATE)
    table = sort(folder)
    assert table["file"].tolist() == ["a.wav", "d.wav", "sub/b.wav", "sub/c.flac"]
    assert table["class"].tolist() == ["kick", "tom", "snare", "hat"]
    assert table["goes_to"].tolist() == table["class"].tolist()
    assert table["problem"].isna().all()
    found = row(table, "d.wav")
    assert found["second"] == "clap"
    assert found["probability"] == pytest.approx(0.8, abs=0.02)  # the tom has four times the power
    assert found["second_probability"] == pytest.approx(0.2, abs=0.02)


def test_files_of_any_rate_and_length_are_classified_together(folder):
    for rate in (8000, 44100, 48000, 96000):
        put(folder, f"{rate}.wav", tone("hat", rate=rate, seconds=rate / 1e5), rate)
    table = sort(folder)
    assert table[table["file"].str.match(r"\d")]["class"].tolist() == ["hat"] * 4


def test_more_files_than_a_batch_holds_are_classified_one_by_one(tmp_path, monkeypatch):
    monkeypatch.setattr(sorting, "_BATCH", 3)
    labels = list(CLASSES)[:7]
    for label in labels:
        put(tmp_path / "mine", f"{label}.wav", tone(label))
    table = sort(tmp_path / "mine")
    assert table["class"].tolist() == sorted(labels)


def test_the_nearest_known_sounds_come_with_their_class(folder):
    put(folder, "d.wav", tone("tom") + 0.5 * tone("clap"))
    nearest = row(sort(folder), "d.wav")["nearest"]
    assert len(nearest) == 3
    assert nearest[:2] == ("machine/tom.wav (tom)", "machine/clap.wav (clap)")


def test_what_is_less_probable_than_sure_is_unsure(folder):
    put(folder, "d.wav", tone("tom") + 0.5 * tone("clap"))
    assert row(sort(folder, sure=0.9), "d.wav")["goes_to"] == "unsure"
    assert row(sort(folder, sure=0.7), "d.wav")["goes_to"] == "tom"


@pytest.mark.parametrize("sure", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_no_probability_is_refused(folder, sure):
    with pytest.raises(ValueError, match="expected a probability, 0 to 1"):
        sort(folder, sure=sure)


# What is there twice.


def hits(per_class: int, rate: int = 44100) -> list:
    return list(drum_clips(per_class=per_class, sample_rate=rate, seed=0))


def late(sound: np.ndarray) -> np.ndarray:
    return np.pad(sound, (777, 5000))


COPIES = {
    "a copy": lambda x: (x, 44100, {}),
    "MP3": lambda x: (audio.through_mp3(x, 44100, 192)[0], 44100, {}),
    "quiet": lambda x: (0.1 * x, 44100, {}),
    "turned over": lambda x: (-x, 44100, {}),
    "late": lambda x: (late(x), 44100, {}),
    "low rate": lambda x: (audio.resample(x, 44100, 22050), 22050, {}),
    "high rate, late": lambda x: (late(audio.resample(x, 44100, 48000)), 48000, {}),
    "24 bits, stereo": lambda x: (np.stack([x, x], 1), 44100, {"subtype": "PCM_24"}),
    "8 bits": lambda x: (0.9 * x / np.abs(x).max(), 44100, {"subtype": "PCM_U8"}),
}


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_of_a_sound_is_found_whatever_was_done_to_it(tmp_path, kind):
    for clip in hits(1):
        put(tmp_path, f"{clip.label}.wav", clip.audio, 44100)
        sound, rate, options = COPIES[kind](clip.audio)
        put(tmp_path, f"again/{clip.label}.wav", sound, rate, **options)
    table = sort(tmp_path)
    for label in CLASSES:
        assert row(table, f"{label}.wav")["duplicates"] == (f"again/{label}.wav",), label
        assert row(table, f"again/{label}.wav")["duplicates"] == (f"{label}.wav",), label


def test_an_mp3_of_a_sound_counts_as_a_duplicate(folder):
    put(folder, "a.mp3", tone("kick"))
    assert row(sort(folder), "a.mp3")["duplicates"] == ("a.wav",)


def test_all_of_several_copies_name_each_other(folder):
    for name in ("x.wav", "y.wav"):
        shutil.copy(folder / "a.wav", folder / name)
    found = {file: row(sort(folder), file)["duplicates"] for file in ("a.wav", "x.wav", "y.wav")}
    assert found == {
        "a.wav": ("x.wav", "y.wav"),
        "x.wav": ("a.wav", "y.wav"),
        "y.wav": ("a.wav", "x.wav"),
    }


def test_different_hits_of_one_machine_are_no_duplicates(tmp_path):
    clips = [clip for clip in hits(24, RATE) if clip.label in ("kick", "snare", "tom")]
    assert len({clip.group for clip in clips}) < 8  # several hits of each pad
    for clip in clips:
        put(tmp_path, f"{clip.name}.wav", clip.audio)
    assert set(sort(tmp_path)["duplicates"]) == {()}


def test_kicks_that_differ_in_their_click_are_no_duplicates(tmp_path):
    t = np.arange(RATE // 2) / RATE
    boom = 0.8 * np.sin(2 * np.pi * 50 * t) * np.exp(-8 * t)
    for click in (2000, 3000):
        beat = 0.16 * np.sin(2 * np.pi * click * t) * np.exp(-80 * t)
        put(tmp_path, f"{click}.wav", boom + beat)
    assert set(sort(tmp_path)["duplicates"]) == {()}


def test_a_sound_that_was_cut_short_is_another_sound(tmp_path):
    put(tmp_path, "long.wav", np.sin(np.arange(3 * RATE) / 5))
    put(tmp_path, "short.wav", np.sin(np.arange(2 * RATE) / 5))  # the same for its first second
    assert set(sort(tmp_path)["duplicates"]) == {()}


# What can't be sorted.


def test_a_file_that_cannot_be_used_keeps_its_row_and_says_why(folder):
    put(folder, "silent.wav", np.zeros(500))
    put(folder, "long.wav", np.ones(61 * 8000) / 9, 8000)
    (folder / "empty.wav").touch()
    (folder / "text.mp3").write_text("no sound")
    whole = (folder / "a.wav").read_bytes()
    (folder / "cut.wav").write_bytes(whole[: len(whole) // 2])
    (folder / "gone.wav").symlink_to("nowhere.wav")
    os.mkfifo(folder / "pipe.wav")  # to open it would wait for ever
    before, table = tree(folder), sort(folder)
    reasons = table.dropna(subset="problem").set_index("file")["problem"].to_dict()
    assert list(reasons) == sorted(reasons)
    for file, words in {
        "silent.wav": "silent", "long.wav": "61.0 s long", "empty.wav": "is empty (0 bytes)",
        "text.mp3": "not audio", "cut.wav": "truncated", "gone.wav": "does not exist",
        "pipe.wav": "is no file",
    }.items():  # fmt: skip
        assert words in reasons.pop(file)
    assert reasons == {}
    unread = table.dropna(subset="problem")
    assert unread.drop(columns=["file", "problem"]).isna().all(axis=None)
    assert table["class"].notna().sum() == 3
    copies = sorting.copy_sorted(folder, table, folder.parent / "sorted")
    assert {path.name for path in copies} == {"a.wav", "b.wav", "c.flac"}
    assert tree(folder) == before


def test_a_sub_folder_that_cannot_be_opened_is_named(folder, monkeypatch):
    scandir = os.scandir

    def locked(path):
        if str(path).endswith("sub"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    assert "cannot be opened" in row(sort(folder), "sub")["problem"]


def test_a_file_that_may_not_be_looked_at_is_named(folder, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", refuse)
    with pytest.raises(ValueError, match=r"none of 3 files can be used: 'a.wav' .*Permission den"):
        sort(folder)


def test_a_folder_that_is_none_or_holds_no_sound_is_refused(tmp_path):
    (tmp_path / "readme.txt").write_text("no sound")
    for path in (tmp_path / "nowhere", tmp_path / "readme.txt"):
        with pytest.raises(ValueError, match="is no folder: name one that holds sound files"):
            sort(path)
    with pytest.raises(ValueError, match=r"no sound files to sort; looked for .wav, .flac"):
        sort(tmp_path)


def test_a_folder_of_broken_files_is_refused_with_the_first_reasons(tmp_path):
    for k in range(7):
        (tmp_path / f"{k}.wav").touch()
    with pytest.raises(ValueError, match=r"none of 7 .*'4.wav' is empty \(0 bytes\); and 2 more"):
        sort(tmp_path)


# The copy.


def test_copies_lie_in_a_folder_a_class_and_the_originals_stay_as_they_are(folder, tmp_path):
    put(folder, "d.wav", tone("tom", "clap"))
    before, target = tree(folder), tmp_path / "sorted"
    table = sort(folder, sure=0.9)
    copies = sorting.copy_sorted(folder, table, target)
    assert copied(target) == {"kick/a.wav", "snare/b.wav", "hat/c.flac", "unsure/d.wav"}
    for file, copy in zip(table["file"], copies, strict=True):
        assert copy.read_bytes() == (folder / file).read_bytes()
    assert tree(folder) == before


def test_a_second_copy_adds_nothing(folder, tmp_path):
    table, target = sort(folder), tmp_path / "sorted"
    first = sorting.copy_sorted(folder, table, target)
    before = tree(target)
    assert sorting.copy_sorted(folder, table, target) == first
    assert tree(target) == before


def test_files_of_one_name_all_survive_and_what_is_there_stays(folder, tmp_path):
    target = tmp_path / "sorted"
    put(folder, "sub/a.wav", tone("kick", start=1))
    put(folder, "deep/er/a.wav", tone("kick", start=2))
    put(folder, "same/a.wav", tone("kick"))
    originals = [folder / name / "a.wav" for name in (".", "sub", "deep/er")]
    for path in originals:
        os.utime(path, (0, 0))  # of one size and time: only their content tells them apart
    mine = target / "kick" / "a.wav"
    mine.parent.mkdir(parents=True)
    mine.write_text("of the user")
    (target / "kick" / "a (2).wav").symlink_to("nowhere")
    copies = sorting.copy_sorted(folder, sort(folder), target)
    for path in copies:
        os.utime(path, (0, 0))
    assert sorting.copy_sorted(folder, sort(folder), target) == copies
    assert mine.read_text() == "of the user"
    assert (target / "kick" / "a (2).wav").readlink() == Path("nowhere")
    kicks = [target / "kick" / f"a ({number}).wav" for number in (3, 4, 5)]
    assert {path.read_bytes() for path in kicks} == {path.read_bytes() for path in originals}
    assert len(copied(target / "kick")) == 5


def test_a_link_is_copied_as_the_sound_it_leads_to(folder, tmp_path):
    (folder / "link.wav").symlink_to(put(tmp_path / "else", "x.wav", tone("ride")))
    sorting.copy_sorted(folder, sort(folder), tmp_path / "sorted")
    copy = tmp_path / "sorted" / "ride" / "link.wav"
    assert not copy.is_symlink()
    assert copy.read_bytes() == (tmp_path / "else" / "x.wav").read_bytes()


@pytest.mark.skipif(sys.platform == "darwin", reason="names there are UTF-8, and shorter")
def test_odd_names_survive_in_copies_and_in_the_table(tmp_path):
    folder, target, file = tmp_path / "mine", tmp_path / "sorted", tmp_path / "t.csv"
    for k, name in enumerate(ODD):
        put(folder, name, tone("kick", start=k))
        put(folder, f"sub/{name}", tone("kick", start=-1 - k))
    before, table = tree(folder), sort(folder)
    sorting.copy_sorted(folder, table, target)
    names = copied(target / "kick")
    assert set(ODD) <= names
    assert len(names) == 2 * len(ODD)
    assert "x" * 247 + " (2).wav" in names  # cut to 255 bytes
    sorting.write_csv(file, table)
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, strict=True))
    shown = [name.replace(LATIN, "caf�.wav") for name in table["file"]]
    assert [line["file"] for line in rows] == shown
    assert file.read_bytes().count(b"\r\n") == 1 + len(rows)
    assert tree(folder) == before


def test_the_table_says_in_its_file_what_it_says_in_memory(folder, tmp_path):
    shutil.copy(folder / "a.wav", folder / "z.wav")
    shutil.copy(folder / "a.wav", folder / "y.wav")
    (folder / "empty.wav").touch()
    sorting.write_csv(tmp_path / "t.csv", sort(folder))
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as lines:
        rows = {line["file"]: line for line in csv.DictReader(lines)}
    assert rows["a.wav"]["duplicates"] == "y.wav | z.wav"
    assert rows["a.wav"]["nearest"].startswith("machine/kick.wav (kick) | machine/")
    assert float(rows["a.wav"]["probability"]) > 0.95
    assert rows["empty.wav"]["problem"] == "is empty (0 bytes)"
    assert {
        rows["empty.wav"][name] for name in rows["a.wav"] if name not in ("file", "problem")
    } == {""}


def test_no_copy_goes_into_the_folder_that_is_sorted(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    for target in (folder, f"{folder}/sub/..", tmp_path / "link"):
        with pytest.raises(ValueError, match="copies would go into the folder that is sorted"):
            sort(folder, target=target)
        with pytest.raises(ValueError, match="name another folder for them"):
            sorting.copy_sorted(folder, sort(folder), target)
    kicks = put(tmp_path / "kick", "x.wav", tone("snare")).parent
    with pytest.raises(ValueError, match="copies would go into the folder that is sorted"):
        sort(kicks, target=tmp_path)


def test_copies_inside_the_folder_are_not_sorted_again(folder):
    target, before = folder / "sorted", None
    for _ in range(2):
        table = sort(folder, target=target)
        assert len(table) == 3
        sorting.copy_sorted(folder, table, target)
        assert before in (None, tree(folder))
        before = tree(folder)
    assert copied(target) == {"kick/a.wav", "snare/b.wav", "hat/c.flac"}


def test_a_copy_that_is_stopped_leaves_no_half_file(folder, tmp_path, monkeypatch):
    def stopped(source, target):
        Path(target).write_bytes(b"RIFF")
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copyfile", stopped)
    with pytest.raises(KeyboardInterrupt):
        sorting.copy_sorted(folder, sort(folder), tmp_path / "sorted")
    assert copied(tmp_path / "sorted") == set()


# The command.


def test_the_command_writes_the_table_beside_the_folder_and_says_what_it_found(
    folder, tmp_path, command, capsys
):
    shutil.copy(folder / "a.wav", folder / "z.wav")
    put(folder, "d.wav", tone("tom", "clap"))
    (folder / "empty.wav").touch()
    before = tree(folder)
    assert command(folder, "--sure", "0.9") == 0
    printed = capsys.readouterr().out
    counts = dict(line.rsplit(maxsplit=1) for line in printed.splitlines()[:6])
    assert counts == {
        "kick": "2", "snare": "1", "hat": "1", "unsure": "1", "with duplicates": "2",
        "not read": "1",
    }  # fmt: skip
    assert "'empty.wav' is empty (0 bytes)" in printed
    assert f"Table: '{tmp_path / 'samplevae-sorted.csv'}'" in printed
    assert (tmp_path / "samplevae-sorted.csv").exists()
    assert tree(folder) == before


def test_the_command_copies_to_a_folder_and_names_it(folder, tmp_path, command, capsys):
    target = tmp_path / os.fsdecode(b"sort\xe9")
    assert command(folder, "--copy", target, "--csv", tmp_path / "new" / "t.csv") == 0
    assert copied(target) == {"kick/a.wav", "snare/b.wav", "hat/c.flac"}
    assert (tmp_path / "new" / "t.csv").exists()
    assert "Copies: 3 files in" in capsys.readouterr().out


def refused(capsys) -> str:
    """The one line that a refusal prints."""
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_an_existing_table_is_never_written_over(folder, tmp_path, command, capsys):
    (tmp_path / "samplevae-sorted.csv").write_text("of the user")
    (tmp_path / "link.csv").symlink_to("nowhere.csv")
    for options in ((), ("--csv", tmp_path / "link.csv"), ("--csv", folder / "a.wav")):
        assert command(folder, *options) == 2
        assert "exists already: name another file with --csv" in refused(capsys)
    assert (tmp_path / "samplevae-sorted.csv").read_text() == "of the user"


@pytest.mark.parametrize(
    ("bad", "message"),
    [("nowhere", "is no folder"), ("mine/a.wav", "is no folder"), ("empty", "no sound files")],
)
def test_a_bad_folder_ends_the_command_with_one_line(
    folder, tmp_path, command, capsys, bad, message
):
    (tmp_path / "empty").mkdir()
    assert command(tmp_path / bad, "--csv", tmp_path / "t.csv") == 2
    assert message in refused(capsys)
    assert not (tmp_path / "t.csv").exists()


def test_a_full_disk_ends_the_command_with_one_line_and_keeps_what_is_done(
    folder, tmp_path, command, capsys, monkeypatch
):
    copyfile = shutil.copyfile

    def full(source, target):
        if Path(source).name == "c.flac":
            Path(target).write_bytes(b"f")
            raise OSError(errno.ENOSPC, "No space left on device")
        copyfile(source, target)

    monkeypatch.setattr(shutil, "copyfile", full)
    assert command(folder, "--copy", tmp_path / "sorted") == 2
    line = refused(capsys)
    assert "'sub/c.flac' was not copied to" in line
    assert "No space left on device; make room there or name another folder. The 2 files" in line
    assert copied(tmp_path / "sorted") == {"kick/a.wav", "snare/b.wav"}
    assert (tmp_path / "samplevae-sorted.csv").exists()


def test_a_table_or_copy_that_cannot_be_written_ends_the_command_with_one_line(
    folder, tmp_path, command, capsys
):
    (tmp_path / "file").touch()
    assert command(folder, "--csv", tmp_path / "file" / "t.csv") == 2
    assert str(tmp_path / "file") in refused(capsys)
    assert command(folder, "--copy", tmp_path / "file") == 2
    assert "'a.wav' was not copied" in refused(capsys)


def test_a_disk_error_of_another_command_is_not_swallowed(monkeypatch):
    def broken(options):
        raise OSError("disk")

    monkeypatch.setattr(cli, "_index", broken)
    with pytest.raises(OSError, match="disk"):
        cli.main(["index"])
