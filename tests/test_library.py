"""A folder of sounds as an instrument: what is read and kept, the map, and what is made from it."""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_mutual_info_score

from samplevae_lib import audio, cli, library, paths
from samplevae_lib.datasets import download, drums
from samplevae_lib.datasets.stand_ins.drums import drum_clips
from samplevae_lib.inversion import borrowed
from samplevae_lib.library import reading, regions

RATE = 22050
LATIN = os.fsdecode(b"caf\xe9.wav")  # no UTF-8
NAMES = (
    "<script>alert(1)</script>.wav",
    "a \"loud\", 'kick'.wav",
    "two\nlines.wav",
    "🥁.wav",
    LATIN,
)
FAST = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def tone(hertz: float, seconds: float, fall: float, rate: int = RATE) -> np.ndarray:
    t = np.arange(int(seconds * rate)) / rate
    return 0.6 * np.sin(2 * np.pi * hertz * t) * np.exp(-fall * t)


def burst(seconds: float, fall: float, seed: int, rate: int = RATE) -> np.ndarray:
    t = np.arange(int(seconds * rate)) / rate
    return 0.3 * np.random.default_rng(seed).uniform(-1, 1, len(t)) * np.exp(-fall * t)


def put(folder: Path, name: str, sound: np.ndarray, rate: int = RATE, **options) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:  # a name need not be valid UTF-8
        sf.write(file, sound, rate, format=path.suffix[1:].upper(), **options)
    return path


def fill(folder: Path) -> Path:
    """Forty sounds: low tones, high ones and bursts of noise, ever longer, in folders by kind."""
    for k in range(14):
        seconds, fall = 0.1 + 0.05 * k, 30 - 2 * k
        put(folder, f"pack/low/{k:02}.wav", tone(90 + 5 * k, seconds, fall))
        put(folder, f"pack/high/{k:02}.wav", tone(2500 + 90 * k, seconds, fall))
        if k < 12:
            put(folder, f"pack/noise/{k:02}.flac", burst(seconds, fall, k))
    return folder


def opened(folder: Path, **options) -> library.Library:
    return library.open(folder, **{"method": "pca", **options})


def problems(lib: library.Library) -> dict[str, str]:
    return {problem.path: problem.reason for problem in lib.problems}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fill(tmp_path / "mine")


@pytest.fixture(scope="module")
def lib(tmp_path_factory: pytest.TempPathFactory):
    """A library that tests only look at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAMPLEVAE_DATA", str(tmp_path_factory.mktemp("data")))
        yield opened(fill(tmp_path_factory.mktemp("folder")))


@pytest.fixture
def counted(monkeypatch):
    """The files that are listened to, in the order in which they are."""
    fill_row, files = reading._fill, []

    def counting(rows, number, folder):
        files.append(Path(rows.files[number]).name)
        return fill_row(rows, number, folder)

    monkeypatch.setattr(reading, "_fill", counting)
    return files


# What is known of each sound.


def test_levels_are_those_of_the_envelope_from_the_onset_on():
    sound = tone(440, 0.7, 5).astype(np.float32)
    first = int((np.abs(sound) > 0.02 * np.abs(sound).max()).argmax())
    late = np.pad(sound, (3000, 0))
    expected = reading.ENVELOPE.levels([sound[first:]], RATE)[0]
    for one in (sound, late, 0.01 * late):
        levels, _ = reading.described(one, RATE)
        assert levels.dtype == np.float16
        assert levels.astype(np.float32) == pytest.approx(expected, abs=0.1)


def test_the_facts_of_a_fading_tone_are_those_of_its_formula():
    sound = np.pad(tone(1000, 2.5, 4), (2205, 0)).astype(np.float32)
    facts = dict(zip(reading.FACTS, reading.described(sound, RATE).facts, strict=True))
    assert facts["rate"] == RATE
    assert facts["seconds"] == pytest.approx(2.6, abs=1e-3)
    assert facts["begins"] == pytest.approx(0.1, abs=1e-3)
    assert facts["rings"] == pytest.approx(np.log(1000) / 8, abs=0.01)  # its energy falls as e^-8t
    assert facts["centroid"] == pytest.approx(1000, rel=0.02)
    assert facts["peak"] == pytest.approx(0.6, abs=0.01)
    assert facts["flatness"] < 0.01
    noise = reading.described(burst(1, 0, 0).astype(np.float32), RATE).facts
    assert noise[reading.FACTS.index("flatness")] > 0.4
    assert noise[reading.FACTS.index("centroid")] == pytest.approx(4000, rel=0.05)


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 96000, 192000])
def test_a_sound_is_described_alike_at_every_rate(rate):
    sound = tone(700, 0.5, 6).astype(np.float32)
    here, there = (
        reading.described(one, hz)
        for one, hz in ((sound, RATE), (audio.resample(sound, RATE, rate), rate))
    )
    heard = here.levels > -45
    assert here.levels[heard].astype(float) == pytest.approx(there.levels[heard], abs=3)
    assert here.facts[1:] == pytest.approx(there.facts[1:], rel=0.05, abs=0.01)


# What a folder becomes.


def test_the_table_has_a_row_for_each_sound_and_what_it_is_like(lib):
    table = lib.sounds
    assert len(lib) == len(table) == 40
    assert lib.sample_rate == RATE
    assert lib.problems == ()
    assert table["name"].tolist() == sorted(table["name"])
    assert table["label"].value_counts().to_dict() == {"low": 14, "high": 14, "noise": 12}
    assert Path(table["path"][0]).is_file()
    assert table["seconds"][0] == pytest.approx(0.1, abs=1e-4)
    kinds = table.groupby("label")[["bright", "noisy", "long"]].mean()
    assert kinds["bright"].idxmin() == "low"
    assert kinds["noisy"].idxmax() == "noise"
    assert table.groupby("label")["long"].apply(lambda x: x.is_monotonic_increasing).all()
    for feature in ("bright", "noisy", "long"):
        assert sorted(table[feature])[:: len(table) - 1] == [0, 1]


def test_the_map_spans_0_to_1_and_is_that_of_the_latents_at_their_scale(lib):
    assert lib.points.shape == (40, 2)
    assert lib.points.dtype == np.float32
    assert lib.points.min(0).tolist() == [0, 0]
    assert lib.points.max(0).tolist() == [1, 1]
    assert lib.latents.shape == (40, 39)
    assert lib.map.vectors == pytest.approx(lib.latents * lib.vae.deviations, abs=1e-3)
    levels, _ = reading.described(lib.sound(5), RATE)
    assert lib.vae.encode(levels) == pytest.approx(lib.latents[5], abs=0.02)


def test_the_same_seed_gives_the_same_numbers(folder, monkeypatch, tmp_path):
    one = library.open(folder)
    monkeypatch.setenv("SAMPLEVAE_DATA", str(tmp_path / "elsewhere"))
    same, other = library.open(folder), library.open(folder, seed=1, method="pca")
    assert np.array_equal(one.points, same.points)
    assert np.array_equal(one.latents, same.latents)
    assert one.regions == same.regions
    assert np.array_equal(one.make([0.3, 0.6]).audio, same.make([0.3, 0.6]).audio)
    assert not np.array_equal(one.points, other.points)


def test_all_is_heard_at_the_rate_of_most_files_that_have_16_khz(folder):
    for k in range(60):
        put(folder, f"pack/low/8k{k}.wav", tone(200 + k, 0.1, 5, 8000), 8000)
    put(folder, "pack/low/96k.wav", tone(200, 0.1, 5, 96000), 96000)
    lib = opened(folder)
    assert lib.sample_rate == RATE
    for name, seconds in (("8k0", 0.1), ("96k", 0.1)):
        index = lib.sounds.index[lib.sounds["name"] == f"pack/low/{name}.wav"][0]
        assert len(lib.sound(index)) == pytest.approx(seconds * RATE, abs=2)


def test_a_sound_comes_whole_and_at_full_scale_at_most(tmp_path):
    for k in range(4):
        put(tmp_path, f"{k}.wav", tone(300 + k, 3, 0.1), subtype="FLOAT")
    put(tmp_path, "loud.wav", 9 * tone(300, 5, 0.1), subtype="FLOAT")
    lib = opened(tmp_path)
    assert len(lib.sound(4)) == 5 * RATE
    assert np.abs(lib.sound(4)).max() == pytest.approx(1)
    assert lib.sound(0) == pytest.approx(tone(300, 3, 0.1), abs=1e-6)
    lib.sound(0)[:] = 0  # a copy
    assert lib.sound(0).any()


def test_labels_are_the_first_folders_that_differ_or_what_is_given(folder, tmp_path):
    assert set(opened(folder / "pack").sounds["label"]) == {"low", "high", "noise"}
    assert set(opened(folder / "pack" / "low").sounds["label"]) == {""}
    assert set(opened(folder, labels=False).sounds["label"]) == {""}
    given = opened(folder, labels={"pack/low/03.wav": "boom"}).sounds["label"]
    assert given.value_counts().to_dict() == {"": 39, "boom": 1}
    put(folder, "top.wav", tone(500, 0.2, 5))
    assert set(opened(folder).sounds["label"]) == {""}  # pack is the only folder beside the top


def test_hidden_files_links_in_a_circle_and_capitals_are_taken_as_they_should(folder):
    put(folder, "pack/low/LOUD.WAV", tone(150, 0.2, 9))
    put(folder, "pack/.hidden/a.wav", tone(150, 0.2, 9))
    put(folder, "pack/low/.b.wav", tone(150, 0.2, 9))
    (folder / "pack" / "circle").symlink_to(folder)
    lib = opened(folder)
    assert len(lib) == 41
    assert "pack/low/LOUD.WAV" in set(lib.sounds["name"])


def test_drums_without_labels_are_named_by_ear(tmp_path):
    for number, clip in enumerate(drum_clips(per_class=8, sample_rate=44100, seed=3)):
        put(tmp_path, f"{number:03} {clip.label}.wav", clip.audio, 44100)
    lib = opened(tmp_path)
    true = lib.sounds["name"].str.extract(r" (\w+)\.wav")[0]
    heard = lib.sounds["heard"] != ""
    assert heard.mean() > 0.4
    assert (lib.sounds["heard"] == true)[heard].mean() > 0.6
    assert lib.sounds["sure"][heard].between(0.12, 1).all()
    assert (lib.sounds["sure"][~heard] == 0).all()
    words = {name.split()[-1] for _, _, name in lib.regions}
    assert words & set(reading.DrumClassifier.classes)


def test_of_many_sounds_the_classifier_hears_some_and_their_neighbours_follow(folder, monkeypatch):
    monkeypatch.setattr(reading, "ASKED", 12)
    asked, heard = [], reading._heard

    def counting(classifier, sounds):
        asked.extend(sounds)
        return heard(classifier, sounds)

    monkeypatch.setattr(reading, "_heard", counting)
    lib = opened(folder)
    assert 4 < len(asked) < 24
    assert set(lib.sounds["heard"]) <= {*reading.DrumClassifier.classes, ""}
    assert lib.sounds["sure"].between(0, 1).all()


# Odd files.


def odd_files(folder: Path) -> dict[str, str]:
    """Files that can't be used, and how the reasons begin."""
    whole = (folder / "pack/low/03.wav").read_bytes()
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("no sound")
    (folder / "cut.wav").write_bytes(whole[: len(whole) // 2])
    (folder / "gone.wav").symlink_to("nowhere.wav")
    (folder / "folder.wav").mkdir()
    os.mkfifo(folder / "pipe.wav")  # to open it would wait for ever
    put(folder, "nan.wav", np.array([0.5, np.nan] * 500), subtype="FLOAT")
    put(folder, "silent.wav", np.zeros(5000))
    put(folder, "offset.wav", np.full(5000, 0.5))
    put(folder, "one.wav", np.array([0.7]))
    put(folder, "click.wav", tone(900, 0.004, 1))
    put(folder, "long.wav", tone(100, 61, 0.01, 8000), 8000)
    return {
        "empty.wav": "is empty", "text.wav": "is not audio", "cut.wav": "is truncated",
        "gone.wav": "does not exist", "pipe.wav": "is no file but",
        "nan.wav": "holds 500 values that are not numbers", "silent.wav": "is silent",
        "offset.wav": "is silent: all its samples", "one.wav": "is 0.045 ms long: expected 5",
        "click.wav": "is 4 ms long", "long.wav": "is 61.0 s long; the limit",
    }  # fmt: skip


def test_odd_files_are_left_out_with_a_reason_and_the_others_stay(folder, capsys):
    expected = odd_files(folder)
    lib = opened(folder)
    assert len(lib) == 40
    found = problems(lib)
    assert set(found) == set(expected)
    assert [n for n, reason in expected.items() if not found[n].startswith(reason)] == []
    line = capsys.readouterr().err.splitlines()[0]
    assert line.startswith("11 of 51 files are left out: 'click.wav' is 4 ms long: expected 5")
    assert line.endswith("; and 8 more")
    assert problems(opened(folder)) == found  # from the cache


def test_odd_names_depths_rates_and_channels_are_all_heard(folder):
    sound = tone(600, 0.3, 8)
    for name in NAMES:
        put(folder, f"odd/{name}", sound)
    put(folder, "odd/8 bits.wav", sound, subtype="PCM_U8")
    put(folder, "odd/24 bits.wav", sound, subtype="PCM_24")
    put(folder, "odd/stereo.wav", np.stack([sound, 0.5 * sound], 1))
    put(folder, "odd/six.wav", np.stack([sound] * 6, 1))
    put(folder, "odd/high.wav", tone(600, 0.3, 8, 192000), 192000)
    put(folder, "odd/low.wav", tone(600, 0.3, 8, 8000), 8000)
    put(folder, "odd/huge.wav", 1e30 * sound, subtype="FLOAT")
    put(folder, "odd/short.wav", sound[:120])
    put(folder, "odd/a.mp3", np.pad(sound, 2000), RATE)
    lib = opened(folder)
    assert lib.problems == ()
    assert len(lib) == 40 + len(NAMES) + 9
    assert {f"odd/{name}" for name in NAMES[:4]} | {"odd/caf�.wav"} <= set(lib.sounds["name"])
    for index in lib.sounds.index[lib.sounds["label"] == "odd"]:
        check(lib.make(lib.points[index]).audio)
        check(lib.make(lib.points[index], again=1).audio)


def test_a_folder_that_cannot_be_opened_is_named(folder, monkeypatch):
    listed = reading.sound_files

    def closed(where, onerror):
        onerror(PermissionError(13, "Permission denied", str(where / "pack" / "mine")))
        return listed(where)

    monkeypatch.setattr(reading, "sound_files", closed)
    assert problems(opened(folder)) == {"pack/mine": "is a folder that can't be opened"}


@pytest.mark.parametrize("kinds", [1, 2, 3])
def test_a_library_of_few_kinds_of_sounds_opens(tmp_path, kinds):
    for k in range(6):
        put(tmp_path, f"{k}.wav", tone(300 * (1 + k % kinds), 0.3, 5))
    lib = library.open(tmp_path)
    assert np.isfinite(lib.points).all()
    assert [name for _, _, name in lib.regions]
    assert len(lib.region_of(lib.points)) == 6
    check(lib.make([0.5, 0.4]).audio)
    check(lib.combine({0: 0.5, 5: 0.5}).audio)


def test_four_sounds_make_a_map_and_three_do_not(tmp_path):
    for k in range(3):
        put(tmp_path, f"{k}.wav", tone(200 + 300 * k, 0.3, 5))
    with pytest.raises(ValueError, match=r"3 of 3 files can be used, and a map needs 4 or more$"):
        library.open(tmp_path)
    (tmp_path / "b.wav").touch()
    with pytest.raises(ValueError, match=r"3 of 4 files .* or more: 'b.wav' is empty \(0 bytes\)$"):
        library.open(tmp_path)
    put(tmp_path, "c.wav", burst(0.3, 5, 0))
    assert len(library.open(tmp_path)) == 4


def test_a_folder_without_sounds_says_what_was_looked_for(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError, match=r"no sound files; looked for \.wav, \.flac"):
        library.open(tmp_path / "mine")
    with pytest.raises(ValueError, match="is no folder: name one that holds"):
        library.open(tmp_path / "other")


def test_an_unknown_way_to_a_map_is_refused_before_anything_is_read(folder, counted):
    with pytest.raises(ValueError, match="one of pca, tsne, umap, not 'som'"):
        library.open(folder, method="som")
    assert counted == []


# The cache.


def test_only_what_is_new_is_read_again(folder, counted):
    opened(folder)
    assert len(counted) == 40
    counted.clear()
    again = opened(folder)
    assert counted == []
    put(folder, "pack/low/03.wav", tone(4000, 0.5, 5))  # changed
    changed = opened(folder)
    assert counted == ["03.wav"]
    assert not np.array_equal(again.latents, changed.latents)
    assert changed.sounds["bright"][changed.sounds["name"] == "pack/low/03.wav"].item() > 0.5
    counted.clear()
    put(folder, "pack/low/99.wav", tone(100, 0.5, 5))  # added
    assert len(opened(folder)) == 41
    assert counted == ["99.wav"]
    counted.clear()
    (folder / "pack/low/99.wav").unlink()  # removed
    back = opened(folder)
    assert (len(back), counted) == (40, [])
    assert np.array_equal(back.points, changed.points)
    os.utime(folder / "pack/high/00.wav")  # touched
    opened(folder)
    assert counted == ["00.wav"]


def test_another_map_of_the_same_sounds_reads_nothing(folder, counted):
    opened(folder)
    counted.clear()
    library.open(folder, method="tsne")
    assert counted == []


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "notes", "no notes", "foreign"])
def test_what_is_damaged_is_made_anew(folder, damage):
    before = opened(folder)
    for path in (paths.cache() / "library").iterdir():
        whole = path.read_bytes()
        if path.suffix == ".safetensors":
            middle = bytes([whole[len(whole) // 2] ^ 64])
            flipped = whole[: len(whole) // 2] + middle + whole[len(whole) // 2 + 1 :]
            changed = {"cut": whole[:-99], "flipped": flipped, "emptied": b""}
        else:
            changed = {"notes": whole[:-9], "no notes": b"[]\n", "foreign": b"\xff\xfe\x00"}
        if damage in changed and path.suffix != ".lock":
            path.write_bytes(changed[damage])
    after = opened(folder)
    assert np.array_equal(before.points, after.points)
    pd.testing.assert_frame_equal(before.sounds, after.sounds)


def test_what_is_kept_holds_numbers_and_text_only(folder):
    opened(folder)
    kept = [path.suffix for path in (paths.cache() / "library").iterdir()]
    assert sorted(kept) == [".json", ".json", ".lock", ".safetensors", ".safetensors"]


# Regions.


def frame(**columns) -> pd.DataFrame:
    count = len(next(iter(columns.values())))
    plain = {"label": [""] * count, "heard": [""] * count}
    return pd.DataFrame(plain | {f: [0.5] * count for f in regions.FEATURES} | columns)


def test_a_region_is_named_after_the_label_of_its_sounds_else_by_ear_else_by_features():
    sounds = frame(
        label=["kick"] * 4 + [""] * 8, heard=["tom"] * 4 + ["snare"] * 4 + [""] * 4,
        bright=[0.5] * 8 + [0.9] * 4, long=[0.5] * 8 + [0.2] * 4,
    )  # fmt: skip
    inside = np.repeat([0, 1, 2], 4)
    assert regions.names(sounds, inside) == ["kick", "snare", "bright, short"]
    assert regions.names(frame(label=["a", "b", "c"]), np.zeros(3, int)) == ["mixed"]


def test_a_feature_sets_a_region_apart_from_others_of_the_same_word_only():
    sounds = frame(heard=["kick"] * 8, long=[0.2] * 4 + [0.8] * 4, noisy=[0.5] * 7 + [0.6])
    assert regions.names(sounds, np.repeat([0, 1], 4)) == ["short kick", "long kick"]
    hats = frame(heard=["hat"] * 8, bright=[0.95] * 8)  # bright, as all hats are
    assert regions.names(hats, np.repeat([0, 1], 4)) == ["hat", "hat"]


def test_each_place_belongs_to_the_region_whose_middle_is_nearest(lib):
    middles = np.array([(x, y) for x, y, _ in lib.regions])
    told = np.array([name for _, _, name in lib.regions])
    places = np.random.default_rng(0).uniform(-0.5, 1.5, (50, 2))
    nearest = np.linalg.norm(places[:, None] - middles, axis=2).argmin(1)
    assert lib.region_of(places).tolist() == told[nearest].tolist()
    assert lib.region_of(middles).tolist() == told.tolist()
    assert len(middles) == 6
    assert {word.split()[-1] for word in told} >= {"low", "high", "noise"}


# The instrument.


def check(sound: np.ndarray) -> None:
    """What holds for everything that is heard."""
    assert sound.dtype == np.float32
    assert sound.ndim == 1
    assert np.isfinite(sound).all()
    assert 1e-3 < np.abs(sound).max() <= 1


def test_at_its_own_place_a_sound_is_heard_as_it_was_recorded(lib):
    for index, place in enumerate(lib.points):
        for xy in (place, place.astype(float).tolist()):
            made = lib.make(xy)
            assert np.array_equal(made.audio, lib.sound(index))
            assert made.lender == made.nearest[0] == index
            assert made.weights[0] == 1
            assert made.distances[0] == pytest.approx(0, abs=1e-6)


@FAST
@given(x=st.floats(-3, 4), y=st.floats(-3, 4), again=st.integers(0, 25))
def test_every_place_has_a_sound(lib, x, y, again):
    made = lib.make((x, y), again=again)
    check(made.audio)
    assert made.lender == made.nearest[again % len(made.nearest)]
    assert len(made.audio) == len(lib.sound(made.lender))
    assert made.weights.sum() == pytest.approx(1)
    assert 0 <= made.guess <= 1
    away = np.linalg.norm(lib.points[made.nearest] - [x, y], axis=1)
    assert made.distances == pytest.approx(away, abs=1e-5)
    if not np.array_equal(made.audio, lib.sound(made.lender)):
        peaks = lib.sounds["peak"].to_numpy()[made.nearest]
        assert np.abs(made.audio).max() == pytest.approx(made.weights @ peaks, rel=1e-3)
        assert made.audio[-1] == 0
        assert abs(made.audio.mean()) < 0.02


def test_far_from_all_sounds_it_guesses_and_says_so(lib):
    places = np.array([lib.points[7], [0.5, 0.5], [5, 5], [1e6, -1e6]])
    guess = lib.guess(places)
    assert (np.diff(guess[[0, 2, 3]]) > 0).all()
    assert guess[3] > 0.99
    assert guess == pytest.approx(1 - lib.map.density(lib._raw(places)))
    sound, told = lib.render(places[2])
    assert told == pytest.approx(guess[2])
    assert np.array_equal(sound, lib.make(places[2]).audio)


def test_a_made_sound_has_the_envelope_of_its_place(lib):
    closer = []
    for place in np.random.default_rng(0).uniform(0.1, 0.9, (20, 2)):
        made = lib.make(place)
        wanted = lib.vae.decode(made.weights @ lib.latents[made.nearest])
        heard = [reading.described(s, RATE).levels for s in (made.audio, lib.sound(made.lender))]
        ours, lent = (
            np.abs(np.maximum(one - one.max(), -60) - np.maximum(wanted - wanted.max(), -60)).mean()
            for one in heard
        )
        closer.append(lent - ours)
    assert np.median(closer) > 0.5


def test_again_borrows_from_the_next_sound_around(lib):
    made = [lib.make([0.4, 0.5], again=again) for again in range(3)]
    assert len({one.lender for one in made}) == 3
    assert [one.lender for one in made] == made[0].nearest[:3].tolist()
    assert not np.array_equal(made[0].audio[:500], made[1].audio[:500])


@pytest.mark.parametrize("place", [[0.5], [0.1, 0.2, 0.3], [np.nan, 0], [0, np.inf], [[0, 1]]])
def test_what_is_no_place_is_refused(lib, place):
    with pytest.raises(ValueError, match="expected x and y on the map"):
        lib.make(place)


def test_a_combination_of_one_sound_or_place_is_that_sound_or_place(lib):
    assert np.array_equal(lib.combine({6: 1}).audio, lib.sound(6))
    place, made = [0.4, 0.6], lib.make([0.4, 0.6])
    same = lib.combine([(place, 1)])
    assert same.lender == made.lender
    assert same.audio == pytest.approx(made.audio, abs=1e-4)
    assert sorted(same.nearest) == sorted(made.nearest)


def test_the_mean_of_two_sounds_is_a_half_and_a_half(lib):
    made = lib.combine({3: 0.5, 30: 0.5})
    vector = (lib.latents[3] + lib.latents[30]) / 2
    assert made.weights.tolist() == [0.5, 0.5]
    assert made.weights @ lib.latents[made.nearest] == pytest.approx(vector)
    assert lib.combine([(3, 0.25), (30, 0.5), (np.int64(3), 0.25)]).weights.tolist() == [0.5, 0.5]
    assert {lib.combine({3: 0.5, 30: 0.5}, again=again).lender for again in (0, 1)} == {3, 30}


def test_what_lies_beyond_all_sounds_is_more_of_a_guess(lib):
    beyond = [lib.combine({3: 1 + x, 30: -x}).guess for x in (0, 0.5, 2, 8)]
    assert (np.diff(beyond) > 0).all()
    assert 0 <= beyond[0] < beyond[-1] <= 1


@FAST
@given(
    st.dictionaries(st.integers(0, 39), st.floats(-3, 3), min_size=1, max_size=5).filter(
        lambda weights: max(map(abs, weights.values())) > 1e-3
    )
)
def test_any_weights_make_a_sound(lib, weights):
    made = lib.combine(weights)
    check(made.audio)
    assert set(made.nearest) == set(weights)
    assert 0 <= made.guess <= 1


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, "expected finite ones, not all of them 0"), ({1: 0}, "not all of them 0"),
        ({1: float("nan")}, "expected finite"), ({40: 1}, "no sound 40: there are 40, 0 … 39"),
        ({-1: 1}, "no sound -1"), ([((0.1,), 1)], "expected x and y"),
    ],
)  # fmt: skip
def test_weights_of_nothing_are_refused(lib, weights, message):
    with pytest.raises(ValueError, match=message):
        lib.combine(weights)


def test_a_graft_is_the_attack_of_one_sound_on_the_body_of_another(lib):
    made = lib.graft(20, np.int64(3))
    check(made.audio)
    assert np.array_equal(made.audio, borrowed.grafted(lib.sound(20), lib.sound(3), RATE))
    assert (made.lender, made.nearest.tolist(), made.guess) == (3, [20, 3], 0)
    assert made.distances.tolist() == [0, 0]
    heard = len(made.audio) - borrowed.onset(lib.sound(20))
    assert made.weights.tolist() == pytest.approx([0.03 * RATE / heard, 1 - 0.03 * RATE / heard])
    assert np.allclose(lib.graft(5, 5).audio, lib.sound(5), atol=1e-6)


def test_a_graft_takes_what_is_made_at_a_place(lib):
    place, other = [0.4, 0.6], (0.2, 0.9)
    one, two = lib.make(place), lib.make(other)
    made = lib.graft(place, other, seconds=0.01)
    expected = borrowed.grafted(one.audio, two.audio, RATE, seconds=0.01)
    assert np.array_equal(made.audio, expected)
    assert (made.lender, made.nearest.tolist()) == (two.lender, [one.lender, two.lender])
    assert made.distances.tolist() == [one.distances[0], two.distances[0]]
    assert made.guess == max(one.guess, two.guess)
    assert lib.graft(7, place).distances.tolist() == [0, one.distances[0]]
    assert lib.graft(7, place).guess == one.guess


@pytest.mark.parametrize("seconds", [1e-6, 0.2, 60])
def test_the_shares_of_a_graft_are_those_of_its_time(lib, seconds):
    made = lib.graft(20, 3, seconds=seconds)
    assert made.weights.sum() == pytest.approx(1)
    assert (made.weights >= 0).all()
    assert made.weights[0] == pytest.approx({1e-6: 0, 0.2: 0.8, 60: 1}[seconds], abs=0.03)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"attack": 40, "body": 1}, "no sound 40: there are 40, 0 … 39"),
        ({"attack": 1, "body": -1}, "no sound -1"),
        ({"attack": 1, "body": [0.1]}, "expected x and y on the map"),
        ({"attack": 1, "body": 2, "seconds": 0}, "seconds is 0: expected more than 0"),
    ],
)
def test_what_is_no_graft_is_refused(lib, given, message):
    with pytest.raises(ValueError, match=message):
        lib.graft(**given)


def test_the_nearest_sounds_are_those_of_all_distances(lib):
    near, away = lib.nearest([0.3, 0.3], 5)
    distances = np.linalg.norm(lib.points - np.float32(0.3), axis=1)
    assert near.tolist() == np.argsort(distances)[:5].tolist()
    assert away == pytest.approx(np.sort(distances)[:5], abs=1e-6)
    assert len(lib.nearest([0, 0], 99)[0]) == 40
    assert lib.nearest([0, 0], 1)[0].shape == (1,)


@pytest.mark.parametrize("rate", [8000, 16000, RATE, 48000, 96000])
def test_a_sound_of_the_library_is_most_similar_to_itself(lib, rate):
    for index in (0, 20, 39) if rate > 8000 else (20,):  # 8 kHz hold no half of a noise
        heard = np.pad(audio.resample(lib.sound(index), RATE, rate), (rate // 4, rate // 2))
        near, away = lib.similar(0.2 * heard, rate, 3)
        assert near[0] == index
        assert away[0] < away[1] <= away[2]
    assert len(lib.similar(heard, rate, 99)[0]) == 40


def test_the_distance_to_itself_is_0_and_the_unit_is_a_decibel(lib):
    near, away = lib.similar(lib.sound(9), RATE, 2)
    assert away[0] == pytest.approx(0, abs=1e-3)
    levels = [lib.vae.decode(lib.latents[index]) for index in near]
    assert away[1] == pytest.approx(np.sqrt(np.square(levels[0] - levels[1]).mean()), rel=1e-3)


@pytest.mark.parametrize(
    ("sound", "rate", "message"),
    [
        (np.ones(900), 4000, "sample_rate is 4000 Hz: expected 8000 or more"),
        (np.zeros(9000), RATE, "audio is silent"), (np.ones((2, 900)), RATE, r"shape \(2, 900\)"),
        ([np.nan] * 900, RATE, "audio holds 900 values"), ([0.5], RATE, "audio is 0.045 ms long"),
        ([], RATE, "audio is empty"),
    ],
)  # fmt: skip
def test_what_is_no_sound_is_similar_to_nothing(lib, sound, rate, message):
    with pytest.raises(ValueError, match=message):
        lib.similar(sound, rate, 3)


def test_a_file_that_is_gone_is_named(folder):
    lib = opened(folder)
    shutil.rmtree(folder / "pack" / "low")
    with pytest.raises(audio.AudioError, match=r"pack/low/05.wav: does not exist"):
        lib.sound(int(lib.sounds.index[lib.sounds["name"] == "pack/low/05.wav"][0]))


def test_a_library_says_what_it_is(lib):
    assert repr(lib) == f"<{lib.folder.name}: 40 sounds at {RATE} Hz, 0 files left out>"


# The command.


@pytest.fixture
def page(monkeypatch):
    """What would be written as a page."""
    told = {}

    def write(shown, path, *, title=""):
        told.update(library=shown, title=title)
        Path(path).write_text("a page", encoding="utf-8")
        return Path(path)

    module = SimpleNamespace(write=write)
    monkeypatch.setitem(sys.modules, "samplevae_lib.widgets.map_page", module)
    monkeypatch.setattr("samplevae_lib.widgets.map_page", module, raising=False)
    return told


def test_the_command_writes_a_page(folder, tmp_path, page, capsys):
    target = tmp_path / "out.html"
    (folder / "empty.wav").touch()
    assert cli.main(["map", str(folder), "--html", str(target)]) == 0
    told = capsys.readouterr()
    assert told.out == (
        f"<mine: 40 sounds at {RATE} Hz, 1 files left out>\nPage: {str(target)!r}\n"
    )
    assert "1 of 41 files are left out: 'empty.wav' is empty (0 bytes)\n" in told.err
    assert page["title"] == "mine"
    assert len(page["library"]) == 40


def test_the_command_opens_jupyterlab_on_the_notebook_with_the_library(folder, monkeypatch):
    started = []
    monkeypatch.setattr(os, "execve", lambda *given: started.append(given))
    assert cli.main(["map", str(folder)]) == 0
    ((program, arguments, environment),) = started
    assert program == arguments[0] == sys.executable
    assert arguments[1:3] == ["-m", "jupyterlab"]
    assert Path(arguments[3]).name == "11_sample_map.ipynb"
    assert environment["SAMPLEVAE_LIBRARY"] == str(folder)


def test_what_goes_wrong_in_the_command_is_one_line(folder, tmp_path, page, capsys):
    target = tmp_path / "out.html"
    target.touch()
    (tmp_path / "none").mkdir()
    for arguments, message in (
        ([folder, "--html", target], "exists already: name another file with --html"),
        ([tmp_path / "nowhere"], "is no folder: name one that holds sound files"),
        ([tmp_path / "none"], "no sound files; looked for"),
    ):
        assert cli.main(["map", *map(str, arguments)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("ValueError: ")
        assert message in line
    assert target.read_bytes() == b""


# At length.


@pytest.mark.slow
def test_umap_lays_a_library_out_too(folder):
    lib = library.open(folder, method="umap")
    assert lib.points.max(0).tolist() == [1, 1]
    for index in (0, 20, 39):
        assert np.array_equal(lib.make(lib.points[index]).audio, lib.sound(index))
    again = library.open(folder, method="umap")
    assert np.array_equal(lib.points, again.points)


@pytest.mark.slow
def test_regions_of_real_drums_named_without_labels_tell_the_classes(real):
    lib = library.open(download.obtain(drums.archive()), labels=False)
    assert len(lib) > 2500
    code = lib.sounds["name"].str.extract(r"-(\w+)/[^/]*$")[0].str.lower()
    true = code.map(drums.EIGHT | drums.OTHERS)
    by_features = dataclasses.replace(lib, sounds=lib.sounds.assign(heard=""))
    for one, least in ((lib, 0.25), (by_features, 0.2)):
        found = adjusted_mutual_info_score(true, one.region_of(one.points))
        print(f"adjusted mutual information {found:.3f}")
        assert found > least
