"""Settings: what the thesis states, what is our own, what a profile changes; all checked."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from samplevae_lib import paths, settings
from samplevae_lib.settings import PROFILES, Settings, SettingsError, load

FEW = hypothesis_settings(max_examples=25, deadline=None)
TEXT = """
[04.paper]
batch_size = 32
learning_rate = 0.001
kernels = [5, 4, 4]

[04.own]
device = "cpu"
shuffle = true
fade = 0.5

[04.reference]
batch_size = 16
fade = 1

[04.smoke]
kernels = [3]
shuffle = false
"""
BASE = "[04.paper]\nbatch_size = 32\nrate = 0.5\nkernels = [5, 4]\n[04.own]\nshuffle = true\n"
VALUES = {
    "count": st.integers(-(2**31), 2**31),
    "share": st.floats(allow_nan=False, allow_infinity=False),
    "name": st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8),
    "on": st.booleans(),
    "sizes": st.lists(st.integers(0, 99), min_size=1, max_size=4),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path, TEXT)


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str, profile: str = "smoke") -> str:
    with pytest.raises(SettingsError) as caught:
        load("04", profile, file=written(folder, text))
    return str(caught.value)


def test_the_paper_profile_is_the_thesis_and_what_it_leaves_open(file):
    assert dict(load("04", "paper", file=file)) == {
        "batch_size": 32, "learning_rate": 0.001, "kernels": [5, 4, 4],
        "device": "cpu", "shuffle": True, "fade": 0.5,
    }  # fmt: skip


def test_other_profiles_change_only_what_they_name(file):
    paper = dict(load("04", "paper", file=file))
    assert dict(load("04", "reference", file=file)) == paper | {"batch_size": 16, "fade": 1}
    assert dict(load("04", "smoke", file=file)) == paper | {"kernels": [3], "shuffle": False}


def test_a_profile_without_a_table_is_the_paper_profile(tmp_path):
    file = written(tmp_path, BASE)
    assert dict(load("04", "smoke", file=file)) == dict(load("04", "paper", file=file))


def test_a_notebook_is_found_by_number_and_by_name(file):
    by_name = load("04_spoken_digits", "reference", file=file)
    assert (by_name.notebook, by_name.profile) == ("04", "reference")
    assert dict(by_name) == dict(load("04", "reference", file=file))


def test_values_are_attributes_items_and_in_the_order_of_the_file(file):
    chosen = load("04", "reference", file=file)
    assert chosen.batch_size == chosen["batch_size"] == 16
    assert list(chosen) == [
        "batch_size", "learning_rate", "kernels", "device", "shuffle", "fade",
    ]  # fmt: skip
    assert len(chosen) == 6
    assert repr(chosen).startswith("Settings(04, reference, {'batch_size': 16")


def test_attributes_cannot_be_set(file):
    chosen = load("04", "reference", file=file)
    with pytest.raises(AttributeError, match=r"batch_size = 8"):
        chosen.batch_size = 8
    with pytest.raises(TypeError):
        chosen["batch_size"] = 8
    assert chosen.batch_size == 16


def test_an_unknown_attribute_lists_the_known(file):
    with pytest.raises(AttributeError) as caught:
        _ = load("04", "reference", file=file).batchsize
    message = str(caught.value)
    assert "'batchsize'" in message
    assert "notebook 04" in message
    assert "batch_size, learning_rate, kernels, device, shuffle, fade" in message


def test_an_unknown_profile_lists_the_known(file):
    with pytest.raises(SettingsError, match=r"'desktop'.*smoke, reference, paper"):
        load("04", "desktop", file=file)


def test_a_notebook_without_tables_is_named_with_the_file(file):
    with pytest.raises(SettingsError) as caught:
        load("05", "reference", file=file)
    assert str(file) in str(caught.value)
    assert "'05'" in str(caught.value)


def test_an_unknown_key_is_named_with_file_table_value_and_the_known(tmp_path):
    message = refusal(tmp_path, BASE + "[04.smoke]\nbatchsize = 8\n")
    assert str(tmp_path / "settings.toml") in message
    assert "[04.smoke] batchsize = 8" in message
    assert "batch_size, rate, kernels, shuffle" in message


@pytest.mark.parametrize(
    ("line", "found", "expected"),
    [
        ('batch_size = "8"', "is str", "expected int like 32"),
        ("batch_size = 8.0", "is float", "expected int like 32"),
        ("batch_size = true", "is bool", "expected int like 32"),
        ("shuffle = 1", "is int", "expected bool like True"),
        ("rate = true", "is bool", "expected float like 0.5"),
        ('rate = "0.1"', "is str", "expected float like 0.5"),
        ("kernels = 5", "is int", "expected a list of int like [5, 4]"),
        ('kernels = ["5"]', "is a list of str", "expected a list of int like [5, 4]"),
        ('kernels = [5, "4"]', "is a list of int and str", "expected a list of int like [5, 4]"),
        ("kernels = [5, true]", "is a list of int and bool", "expected a list of int"),
        ("kernels = [[5]]", "is a list of a list of int", "expected a list of int"),
    ],
)
def test_a_value_of_the_wrong_type_is_named_with_what_was_expected(tmp_path, line, found, expected):
    message = refusal(tmp_path, BASE + f"[04.smoke]\n{line}\n")
    key = line.partition(" ")[0]
    assert f"{tmp_path / 'settings.toml'}: [04.smoke] {key} = " in message
    assert found in message
    assert expected in message


@pytest.mark.parametrize("profile", PROFILES)
def test_a_mistake_in_any_table_is_found_in_every_profile(tmp_path, profile):
    broken = BASE + "[04.reference]\nbatch_size = 'many'\n[05.own]\nx = 1\n"
    assert "[04.reference] batch_size = 'many'" in refusal(tmp_path, broken, profile)
    with pytest.raises(SettingsError, match="batch_size"):
        load("05", profile, file=tmp_path / "settings.toml")


@pytest.mark.parametrize("value", ["2", "2.5", "-1", "1e-3"])
def test_a_float_may_be_written_as_an_int(tmp_path, value):
    file = written(tmp_path, BASE + f"[04.smoke]\nrate = {value}\n")
    assert load("04", "smoke", file=file).rate == float(value)


def test_ints_are_fine_in_a_list_of_floats_and_lists_may_change_length(tmp_path):
    text = "[04.own]\nrates = [0.5, 0.25]\nnames = []\n[04.smoke]\nrates = [1]\nnames = ['a']\n"
    chosen = load("04", "smoke", file=written(tmp_path, text))
    assert (chosen.rates, chosen.names) == ([1], ["a"])


def test_a_list_of_ints_and_floats_takes_either(tmp_path):
    text = "[04.own]\nweights = [1, 0.5]\n[04.smoke]\nweights = [0.25, 2]\n"
    assert load("04", "smoke", file=written(tmp_path, text)).weights == [0.25, 2]


def test_an_unknown_table_is_named_with_the_known(tmp_path):
    message = refusal(tmp_path, BASE + "[04.desktop]\nbatch_size = 8\n")
    assert f"{tmp_path / 'settings.toml'}: unknown table [04.desktop]" in message
    assert "[04.paper], [04.own], [04.reference], [04.smoke]" in message


@pytest.mark.parametrize(
    ("text", "named"),
    [("sample_rate = 44100\n", "sample_rate = 44100"), ("[04]\npaper = 3\n", "paper = 3")],
)
def test_a_value_where_a_table_belongs_is_named(tmp_path, text, named):
    message = refusal(tmp_path, text + ("" if "[04]" in text else BASE))
    assert str(tmp_path / "settings.toml") in message
    assert named in message
    assert "table" in message


def test_a_key_that_is_both_the_thesiss_and_our_own_is_named(tmp_path):
    message = refusal(tmp_path, "[04.paper]\nrate = 1\nsize = 2\n[04.own]\nsize = 3\n")
    assert message.startswith(f"{tmp_path / 'settings.toml'}: size")
    assert "[04.paper]" in message
    assert "[04.own]" in message


@pytest.mark.parametrize("key", ["values", "table", "profile", "get"])
def test_a_key_that_would_hide_behind_a_method_is_refused(tmp_path, key):
    message = refusal(tmp_path, f"[04.own]\n{key} = 3\n")
    assert f"[04.own] {key} = 3" in message


def test_broken_toml_is_named_with_file_and_line(tmp_path):
    message = refusal(tmp_path, "[04.paper]\nrate = \n")
    assert str(tmp_path / "settings.toml") in message
    assert "line 2" in message


def test_the_table_sets_the_thesis_beside_this_run(file):
    table = load("04", "reference", file=file).table()
    assert list(table.columns) == ["thesis", "this run"]
    assert table.loc["batch_size"].tolist() == ["32", "16"]
    assert table.loc["kernels"].tolist() == ["5, 4, 4", "5, 4, 4"]
    assert table.loc["fade"].tolist() == ["—", "1"]
    assert table.loc["device"].tolist() == ["—", "cpu"]
    assert table.index.name == "setting"


def test_a_notebook_with_no_settings_at_all_still_has_a_table(tmp_path):
    chosen = load("04", "smoke", file=written(tmp_path, "[04.own]\n"))
    assert chosen.table().shape == (0, 2)
    with pytest.raises(AttributeError, match="it has none"):
        _ = chosen.anything


@FEW
@given(st.data())
def test_an_override_of_equal_type_wins_and_leaves_the_rest_alone(tmp_path_factory, data):
    base = {key: data.draw(values, label=key) for key, values in VALUES.items()}
    own = set(data.draw(st.lists(st.sampled_from(sorted(base)), unique=True), label="own"))
    key = data.draw(st.sampled_from(sorted(base)), label="changed")
    value = data.draw(VALUES[key], label="to")
    lines = {
        "paper": [f"{k} = {toml(v)}" for k, v in base.items() if k not in own],
        "own": [f"{k} = {toml(v)}" for k, v in base.items() if k in own],
        "smoke": [f"{key} = {toml(value)}"],
    }
    text = "\n".join(f"[04.{table}]\n" + "\n".join(listed) for table, listed in lines.items())
    file = written(tmp_path_factory.mktemp("settings"), text + "\n")
    assert dict(load("04", "smoke", file=file)) == base | {key: value}
    assert dict(load("04", "reference", file=file)) == base


def toml(value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, float):
        text = repr(value)
        return text if "." in text or "e" not in text else text.replace("e", ".0e")
    return str(value)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_projects_own_settings_load_in_every_profile(profile):
    numbers = list(settings.read(paths.settings()))
    loaded = {number: load(number, profile) for number in numbers}
    assert "00" in loaded
    for number, chosen in loaded.items():
        assert isinstance(chosen, Settings)
        assert (chosen.notebook, chosen.profile) == (number, profile)
        assert len(chosen.table()) == len(chosen)


def test_the_first_notebooks_rate_is_the_thesiss():
    assert load("00", "paper").sample_rate == 44100  # thesis R, section 5.1
    assert load("00", "smoke").sample_rate == 22050
