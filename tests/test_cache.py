"""The cache: a key of everything that decides a result, and entries that are whole or absent."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from samplevae_lib import cache, paths
from samplevae_lib.cache import key
from samplevae_lib.datasets import Dataset

FEW = settings(max_examples=25, deadline=None)
ARRAY = np.arange(6, dtype=np.float32).reshape(2, 3)


@dataclasses.dataclass(frozen=True)
class Spec:
    """Stands for the frozen parameters of a spectrogram."""

    bins: int = 128
    window: tuple[int, ...] = (1, 2)

    def forward(self, audio):
        return audio * self.bins


@dataclasses.dataclass(frozen=True)
class OtherSpec:
    bins: int = 128
    window: tuple[int, ...] = (1, 2)


def dataset(**changes) -> Dataset:
    columns = {name: np.array(["a", "b"]) for name in ("labels", "names", "groups")}
    known = {"name": "drums", "audio": ARRAY, "sample_rate": 8000, "source": "real"}
    return Dataset(**(known | columns | {"durations": np.ones(2)} | changes))


def scaled_by(factor):
    def scale(audio):
        return audio * factor

    return scale


def with_default(amount):
    def shift(audio, by=amount):
        return audio + by

    return shift


def halve(audio):
    return audio / 2


def double(audio):
    return audio * 2


def test_equal_content_has_an_equal_key():
    parts = {"array": ARRAY, "spec": Spec(), "data": dataset(), "options": {"steps": 3}}
    again = {"array": ARRAY.copy(), "spec": Spec(), "data": dataset(), "options": {"steps": 3}}
    assert key(**parts, train=halve) == key(**again, train=halve)


def test_a_key_is_a_short_file_name():
    assert len(key(a=1)) == 24
    assert set(key(a=1)) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    "changed",
    [
        ARRAY + np.float32(1e-6) * (ARRAY == 5),
        ARRAY.astype(np.float64),
        ARRAY.view(np.int32),
        ARRAY.reshape(3, 2),
        ARRAY.T.copy().T[:, ::-1],
        ARRAY[:1],
        ARRAY[:0],
    ],
    ids=["value", "dtype", "same bytes, other dtype", "shape", "order", "length", "empty"],
)
def test_another_array_has_another_key(changed):
    assert key(x=changed) != key(x=ARRAY)


def test_the_layout_in_memory_does_not_matter():
    assert key(x=np.asfortranarray(ARRAY)) == key(x=ARRAY)
    assert key(x=np.repeat(ARRAY, 2, axis=1)[:, ::2]) == key(x=ARRAY)


def test_empty_arrays_of_another_shape_have_another_key():
    keys = {key(x=np.zeros(shape, np.float32)) for shape in [(0,), (0, 3), (3, 0), ()]}
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 2), (1, 1.0), (1, True), (1, "1"), (None, "None"), (0.1, np.float32(0.1)),
        ([1, 2], [2, 1]), ([1, [2]], [[1], 2]), ({"a": 1}, {"b": 1}), ({"a": 1}, {"a": 2}),
        ({1, 2}, {1, 3}), (Spec(), Spec(bins=64)), (Spec(), Spec(window=(2, 1))),
        (Spec(), OtherSpec()), ({"deep": {"er": ARRAY}}, {"deep": {"er": -ARRAY}}),
    ],
)  # fmt: skip
def test_another_option_has_another_key(one, other):
    assert key(options=one) != key(options=other)


def test_the_name_of_a_part_belongs_to_the_key():
    assert key(seed=0) != key(steps=0)
    assert key(a=1, b=2) != key(a=2, b=1)


def test_the_order_of_a_mapping_or_a_set_does_not_matter():
    assert key(o={"a": 1, "b": {"c": 2, "d": 3}}) == key(o={"b": {"d": 3, "c": 2}, "a": 1})
    assert key(o=set("abcdefgh")) == key(o=set("hgfedcba"))
    assert key(a=1, b=2) == key(b=2, a=1)


@pytest.mark.parametrize(
    ("plain", "numpys"),
    [(3, np.int64(3)), (0.5, np.float64(0.5)), (True, np.bool_(True)), ("a", np.str_("a"))],
)
def test_numpys_scalars_count_as_what_they_hold(plain, numpys):
    assert key(o=plain) == key(o=numpys)


def test_tensors_count_as_their_arrays_wherever_they_come_from():
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(ARRAY.copy()).requires_grad_()
    assert key(x=tensor) == key(x=ARRAY)
    assert key(x=tensor * 2) == key(x=ARRAY * 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"audio": ARRAY * 0.5},
        {"sample_rate": 16000},
        {"labels": np.array(["a", "c"])},
        {"names": np.array(["a", "c"])},
    ],
    ids=["audio", "rate", "labels", "names"],
)
def test_another_dataset_has_another_key(changes):
    assert key(data=dataset(**changes)) != key(data=dataset())


def test_other_code_has_another_key():
    assert key(train=halve) != key(train=double)


def test_what_a_function_was_made_with_belongs_to_its_key():
    assert key(f=scaled_by(2)) == key(f=scaled_by(2))
    assert key(f=scaled_by(2)) != key(f=scaled_by(3))
    assert key(f=with_default(2)) != key(f=with_default(3))


def test_the_object_of_a_method_belongs_to_its_key():
    assert key(f=Spec().forward) == key(f=Spec().forward)
    assert key(f=Spec().forward) != key(f=Spec(bins=64).forward)


def test_code_of_the_package_is_keyed_by_all_it_imports(monkeypatch):
    before = key(f=cache.store)
    monkeypatch.setattr(cache, "code_digest", lambda module: f"another text of {module}")
    assert key(f=cache.store) != before
    assert cache.describe(cache.store)[2] == "another text of samplevae_lib.cache"


def test_a_decorated_function_counts_as_what_it_decorates():
    torch = pytest.importorskip("torch")
    assert key(f=torch.no_grad()(halve)) == key(f=halve)
    assert key(f=functools.cache(halve)) != key(f=functools.cache(double))


def test_an_inner_function_that_calls_itself_has_a_key():
    def count_down(number):
        return count_down(number - 1) if number else 0

    assert key(f=count_down) == key(f=count_down)


class Undescribed:
    def __repr__(self):
        return "<undescribed>"

    def __call__(self):
        return 0


@pytest.mark.parametrize(
    ("part", "named"),
    [
        (Undescribed(), "options = <undescribed>"),
        ({"a": {"b": Undescribed()}}, "options['a']['b'] = <undescribed>"),
        ([0, Undescribed()], "options[1] = <undescribed>"),
        (b"bytes", "options = b'bytes'"),
        (1j, "options = 1j"),
        (np.complex64(1j), "options = 1j"),
        (np.array([None, {}]), "options = array([None, {}], dtype=object)"),
        (functools.partial(halve, 1), "options = functools.partial("),
        (len, "options = <built-in function len>"),
        (eval("lambda x: x"), "options = <function <lambda>"),
        (scaled_by(Undescribed()), "options.factor = <undescribed>"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_keyed_is_named(part, named):
    with pytest.raises(TypeError) as caught:
        key(options=part)
    assert str(caught.value).startswith(named)
    assert "cache key" in str(caught.value)


@FEW
@given(st.dictionaries(st.text(max_size=5), st.integers() | st.floats(allow_nan=False), max_size=6))
def test_any_mapping_has_one_key_whatever_its_order(options):
    assert key(o=options) == key(o=dict(reversed(options.items())))


@FEW
@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    )
)
def test_any_array_comes_back_bit_for_bit(array):
    cache.store("results", "entry", {"x": array}, {})
    loaded, _ = cache.load("results", "entry")
    assert loaded["x"].dtype == array.dtype
    assert loaded["x"].shape == array.shape
    assert loaded["x"].tobytes() == array.tobytes()


def test_scalars_empty_and_strided_arrays_come_back_as_they_were():
    arrays = {
        "num_batches_tracked": np.array(7, dtype=np.int64),
        "empty": np.zeros((0, 3), np.float32),
        "strided": ARRAY[:, ::2],
        "turned": ARRAY.T,
        "not a number": np.array([np.nan, -0.0, np.inf], np.float32),
        "spectrum": np.array([1 + 2j], np.complex64),
    }
    cache.store("models", "entry", arrays, {"history": {"loss": [1.5]}})
    loaded, notes = cache.load("models", "entry")
    assert notes == {"history": {"loss": [1.5]}}
    assert set(loaded) == set(arrays)
    for name, array in arrays.items():
        assert (loaded[name].shape, loaded[name].dtype) == (array.shape, array.dtype), name
        assert loaded[name].tobytes() == array.tobytes(), name


def test_what_was_never_stored_is_absent():
    assert cache.load("models", "nothing") is None


@pytest.mark.parametrize("lost", ["json", "safetensors"])
def test_half_an_entry_counts_as_absent(lost):
    cache.store("models", "entry", {"x": ARRAY}, {})
    (paths.cache() / "models" / f"entry.{lost}").unlink()
    assert cache.load("models", "entry") is None


def test_a_store_that_fails_on_its_way_leaves_nothing_that_counts():
    with pytest.raises(TypeError):
        cache.store("models", "entry", {"x": ARRAY}, {"history": object()})
    assert cache.load("models", "entry") is None
    assert [file.name for file in (paths.cache() / "models").iterdir()] == ["entry.safetensors"]


def test_storing_again_replaces_the_entry():
    cache.store("models", "entry", {"x": ARRAY}, {"n": 1})
    cache.store("models", "entry", {"y": ARRAY + 1}, {"n": 2})
    loaded, notes = cache.load("models", "entry")
    assert notes == {"n": 2}
    assert list(loaded) == ["y"]
    np.testing.assert_array_equal(loaded["y"], ARRAY + 1)


def test_entries_of_two_kinds_do_not_meet():
    cache.store("models", "entry", {"x": ARRAY}, {})
    assert cache.load("results", "entry") is None


def test_a_checkpoint_is_found_again_until_it_is_discarded():
    folder = cache.checkpoint("models", "entry")
    assert list(folder.iterdir()) == []
    (folder / "state.json").write_text("{}")
    assert cache.checkpoint("models", "entry") == folder
    assert [file.name for file in folder.iterdir()] == ["state.json"]
    cache.discard(folder)
    assert not folder.exists()
    cache.discard(folder)  # a second time is no harm
    assert list(cache.checkpoint("models", "entry").iterdir()) == []


def test_a_checkpoint_does_not_count_as_an_entry():
    cache.checkpoint("models", "entry")
    assert cache.load("models", "entry") is None


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Stands for this package: module a imports b, b imports c, d stands alone."""
    folder = tmp_path / "toy"
    folder.mkdir()
    texts = {
        "__init__": "", "d": "D = 1\n",
        "a": "import json\nfrom toy import b\n",
        "b": "def later():\n    from toy.c import C\n    return C\n",
        "c": "import toy.a\nC = 1\n",
    }  # fmt: skip
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "toy", raising=False)
    monkeypatch.setattr(cache, "PACKAGE", "toy")
    cache.imports.cache_clear()
    yield folder
    cache.imports.cache_clear()


def test_a_digest_follows_imports_at_any_depth_and_round_a_circle(package):
    before = {name: cache.code_digest(f"toy.{name}") for name in "abcd"}
    (package / "c.py").write_text("import toy.a\nC = 2\n")
    after = {name: cache.code_digest(f"toy.{name}") for name in "abcd"}
    assert {name for name in "abcd" if before[name] != after[name]} == {"a", "b", "c"}


def test_a_digest_takes_in_every_module_named_and_no_comments(package):
    assert cache.code_digest("toy.a") != cache.code_digest("toy.a", "toy.d")
    before = cache.code_digest("toy.d")
    (package / "d.py").write_text('"""Explained."""\n\nD = 1  # the same, remarked upon\n')
    os.utime(package / "d.py", (1, 1))
    assert cache.code_digest("toy.d") == before
    (package / "d.py").write_text("D = 2\n")
    os.utime(package / "d.py", (2, 2))
    assert cache.code_digest("toy.d") != before


def test_what_is_gathered_apart_is_no_part_of_a_description():
    def scaled(x):
        return factor * x

    factor, gathered = 2.0, []
    told = cache.describe({"f": scaled, "x": np.arange(3)}, apart=gathered)
    assert [array.tolist() for array in gathered] == [[0, 1, 2]]
    assert told["f"][1].endswith("scaled")
    assert told["f"][-1] == {"factor": 2.0}
    library = cache.describe(cache.store, apart=[])
    assert library == ["code", "store", {}]


def test_imports_are_found_in_every_form_and_nothing_else_is(package):
    assert cache.imports("toy.a") == ("toy.b",)
    assert cache.imports("toy.b") == ("toy.c",)
    assert cache.imports("toy.d") == ()


def test_imports_of_a_module_of_this_package_are_as_it_says():
    assert cache.imports("samplevae_lib.cache") == (
        "samplevae_lib.files", "samplevae_lib.paths",
    )  # fmt: skip
    assert cache.imports("samplevae_lib.paths") == ()


def test_a_module_that_is_not_there_is_named():
    with pytest.raises(ModuleNotFoundError, match=r"samplevae_lib\.nothing"):
        cache.code_digest("samplevae_lib.nothing")


def test_notes_are_json_that_a_person_can_read():
    cache.store("models", "entry", {}, {"profile": "reference", "seed": 0})
    text = (paths.cache() / "models" / "entry.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"profile": "reference", "seed": 0}
    assert text.count("\n") == 4
