"""The drum classifier: what it sees, how it is trained and shipped, and what it answers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax

from samplevae_lib import datasets, models, paths, weights
from samplevae_lib.datasets import Dataset
from samplevae_lib.datasets.stand_ins import drums
from samplevae_lib.models import drum_classifier
from samplevae_lib.models.drum_classifier import CLASSES, DrumNet, levels
from samplevae_lib.training import drum_recipe
from samplevae_lib.training.classification import vary_levels, vary_waves
from samplevae_lib.training.drum_recipe import RECIPE, ship, temperature
from samplevae_lib.weights import WeightsError

BANDS = np.geomspace(drum_classifier.LOWEST, drum_classifier.HIGHEST, drum_classifier.BANDS)


def hit(rate: int = 32000, *, hertz: float = 180) -> np.ndarray:
    time = np.arange(int(0.6 * rate)) / rate
    both = np.cos(2 * np.pi * hertz * time) + 0.3 * np.sin(2 * np.pi * 9.3 * hertz * time)
    return both * np.exp(-12 * time)


# Levels.


def test_the_level_of_a_sound_and_the_kind_of_its_numbers_do_not_matter():
    (seen,) = levels([hit()], 32000)
    assert seen.shape == (2, 64, 63) and seen.dtype == np.float32
    assert seen.min() == -1 and seen.max() == 1
    np.testing.assert_array_equal(levels([2.0**-14 * hit()], 32000)[0], seen)
    whole = (20000 * hit()).astype(np.int16)
    np.testing.assert_allclose(levels([whole], 32000)[0], seen, atol=0.02)


@pytest.mark.parametrize("rate", [32000, 44100])
def test_silence_before_a_sound_does_not_matter(rate):
    late = [np.concatenate([np.zeros(int(s * rate)), hit(rate)]) for s in (0.006, 0.3, 7.0)]
    one, *others = levels(late, rate)
    for other in others:
        np.testing.assert_array_equal(one, other)
    assert one[0, :, 0].max() > 0.5  # its onset is within the first frame


@pytest.mark.parametrize("rate", [22050, 44100, 96000])
def test_another_rate_gives_nearly_the_same(rate):
    away = np.abs(levels([hit(rate)], rate) - levels([hit()], 32000))
    assert away.mean() < 0.02


@pytest.mark.parametrize("hertz", [300, 1000, 5000, 12000])
def test_a_sine_is_loudest_in_its_band_in_both_windows(hertz):
    sine = np.sin(2 * np.pi * hertz * np.arange(32000) / 32000)
    loudest = BANDS[levels([sine], 32000)[0].mean(-1).argmax(1)]
    assert (np.abs(np.log(loudest / hertz)) <= np.log(BANDS[1] / BANDS[0])).all()


def test_short_sounds_and_silence_are_no_errors_and_many_are_seen_as_one_by_one():
    sounds = [np.zeros(5), *(hit()[:samples] for samples in (1, 100, 1023, *range(2000, 2070)))]
    seen = levels(sounds, 32000)
    assert np.isfinite(seen).all() and np.ptp(seen[0]) == 0
    for place in (1, 2, 3, -1):
        alone = levels([np.pad(sounds[place], (0, 50_000))], 32000)
        np.testing.assert_allclose(seen[place], alone[0], atol=1e-5)


def test_what_is_no_sound_is_refused():
    for audio, message in [
        ([], "audio holds no sounds: expected at least one"),
        ([np.array([0.1, np.nan])], "1 values that are NaN or infinite, the first at sample 1"),
        (np.zeros(8), r"audio has shape \(\): expected \(samples,\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            levels(audio, 32000)


# What is found after training.


@pytest.mark.parametrize("networks", [1, 3])
def test_the_temperature_is_the_factor_by_which_logits_were_too_large(networks):
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(4000, 8))
    drawn = (softmax(logits, 1).cumsum(1) < rng.random((4000, 1))).sum(1)
    found = [temperature(np.stack([by * logits] * networks), drawn) for by in (1, 0.5, 3)]
    assert found[0] == pytest.approx(1, abs=0.06)
    assert found == pytest.approx([found[0], 0.5 * found[0], 3 * found[0]], rel=1e-3)


def test_embeddings_are_principal_components():
    fed = np.random.default_rng(0).normal(size=(500, 4)) * [1, 9, 3, 5] + 4
    centre, axes = drum_recipe._principal(fed, 2)
    np.testing.assert_allclose(centre, fed.mean(0))
    np.testing.assert_allclose(np.abs(axes), np.eye(4)[:, [1, 3]], atol=0.1)


# A tiny one, trained and shipped by the recipe.

TINY = replace(
    RECIPE, channels={"DrumNet": (4, 8)}, synthesised=4, held_out=2, folds=2, members=1, size=5,
    first={"epochs": 1, "batch": 16, "rate": 3e-3}, later={"epochs": 1, "batch": 16, "rate": 3e-3},
)  # fmt: skip


@cache
def few() -> Dataset:
    """Two sounds a class of each of four imaginary machines."""
    whole = datasets.load(
        "drums", data="stand-in", profile="smoke", sample_rate=32000, samples=40000
    )
    return whole.select(np.arange(len(whole)) % 20 < 8)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project's root that holds a tiny classifier."""
    made = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAMPLEVAE_ROOT", str(made))
        patch.setenv("SAMPLEVAE_DATA", str(made / "data"))
        patch.setattr(torch, "get_num_threads", lambda: 1)  # so many processes would train
        patch.setattr(drum_recipe, "drums", lambda **_: few())
        with pytest.raises(WeightsError, match=r"no drumnet: .*weights synthesised/DrumNet\)"):
            ship("drum_classifier", data="stand-in", recipe=TINY)
        assert ship("DrumNet", recipe=TINY).is_file()
        assert ship("drum_classifier", data="stand-in", recipe=TINY).is_file()
    return made


@pytest.fixture
def shipped(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of its weights, which the test may spoil."""
    shutil.copytree(home / "data" / "weights", tmp_path / "data" / "weights")
    monkeypatch.setenv("SAMPLEVAE_ROOT", str(tmp_path))
    return paths.weights() / "classifiers"


def test_a_shipped_classifier_answers_with_probabilities_and_embeddings(shipped):
    ours, data = models.load("drum_classifier"), few()
    likely = ours.probabilities(data.audio, 32000)
    assert likely.shape == (64, 8) and ours.classes == CLASSES == data.classes
    np.testing.assert_allclose(likely.sum(1), 1, rtol=1e-5)
    assert (likely >= 0).all() and len(np.unique(likely[:, 0])) > 32
    assert ours.probabilities([hit(16000), hit(16000)[:99]], 16000).shape == (2, 8)
    names, labels, vectors = ours.known
    assert (names == data.names).all() and (labels == data.labels).all()
    embedded = ours.embed(data.audio, 32000)
    assert embedded.shape == (64, 5) and embedded.dtype == np.float32
    np.testing.assert_allclose(embedded, vectors, atol=0.01 * np.abs(embedded).max())


def test_every_machine_is_in_one_fold_and_the_temperature_is_that_of_unheard_sounds(shipped):
    data, folds = few(), drum_classifier.folds()
    assert sorted(np.concatenate([fold.machines for fold in folds])) == sorted(set(data.groups))
    logits = np.zeros((1, 64, 8))
    for (net,), machines in folds:
        held = np.isin(data.groups, machines)
        logits[0, held] = models.apply(net, DrumNet.__call__, levels(data.audio[held], 32000))
    card = weights.named("classifiers", "drum_classifier").card
    assert card["temperature"] == pytest.approx(temperature(logits, data.targets), rel=1e-3)
    assert (card["source"], card["fingerprint"]) == ("stand-in", data.fingerprint)


def test_the_networks_of_a_fold_never_hear_its_machines(shipped):
    data = few()
    wanted, folds = drum_recipe.fits(data, seed=0, recipe=TINY)
    assert sorted(wanted) == ["drum_classifier-0", "fold-0-0", "fold-1-0"]
    rows = (row.tobytes() for row in levels(data.audio, 32000))
    machine_of = dict(zip(rows, data.groups, strict=True))
    for number, fold in enumerate(folds):
        seen, classes, unheard, held = wanted[f"fold-{number}-0"].data
        assert {machine_of[row.tobytes()] for row in unheard} == set(fold.groups)
        assert {machine_of[row.tobytes()] for row in seen} == set(data.groups) - set(fold.groups)
        assert len(seen) == len(classes) == 64 - len(held) and (held == fold.targets).all()
    seen, classes = wanted["drum_classifier-0"].data
    assert len(seen) == 64 and (classes == data.targets).all()
    assert wanted["fold-0-0"].options["vary"] is vary_levels


def test_a_network_begins_with_the_first_and_the_same_seed_gives_what_is_shipped(shipped, tmp_path):
    wanted, _ = drum_recipe.fits(few(), seed=0, recipe=TINY)
    one, begun = wanted["fold-1-0"], weights.named("synthesised", "DrumNet")
    before, kept = begun.arrays(), weights.named("classifiers", "fold-1-0").arrays()
    assert one.model.began == f"here {begun.card['sha256'][:12]}"
    for name, tensor in one.model.state_dict().items():
        np.testing.assert_array_equal(tensor, before[name])
    one.run(tmp_path)
    for name, tensor in one.model.state_dict().items():
        np.testing.assert_allclose(tensor, kept[name], rtol=1e-3, atol=1e-4)
    assert not np.allclose(kept["head.weight"], before["head.weight"], rtol=1e-3, atol=1e-4)


def test_large_networks_first_hear_synthesised_drums_as_waves_in_halves():
    fit = drum_recipe.first_fit("ResNet50", seed=3, recipe=TINY)
    seen, classes, unheard, held = fit.data
    assert seen.shape == (32, 32000) and seen.dtype == np.float16
    assert [CLASSES[place] for place in classes[::4]] == list(drums.CLASSES)
    assert (held == classes[::2]).all() and (np.bincount(classes) == 4).all()
    assert fit.options["vary"] is vary_waves and fit.model.kind == "ResNet50"
    assert not {row.tobytes() for row in seen} & {row.tobytes() for row in unheard}


def test_weights_that_are_missing_damaged_or_foreign_are_refused_by_name(shipped):
    file = shipped / "drum_classifier-0.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(WeightsError, match=r"drum_classifier-0\.safetensors is damaged or foreign"):
        models.load("drum_classifier")
    file.unlink()
    with pytest.raises(WeightsError, match=r"drum_classifier-0\.safetensors is missing"):
        models.load("drum_classifier")
    weights.write("classifiers", "drum_classifier-0", {"head.bias": np.zeros(8)}, {})
    with pytest.raises(WeightsError, match=r"classifier-0\.safetensors holds the weights of ano"):
        models.load("drum_classifier")
    (shipped / "drum_classifier.json").unlink()
    for door in (drum_classifier.load, drum_classifier.folds):
        with pytest.raises(WeightsError, match=r"no drum_classifier: restore it .*or train it"):
            door()


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"no model 'drums' comes with .*there is drum_classifier"):
        models.load("drums")
    with pytest.raises(ValueError, match=r"no classifier 'CNN raw'; there are ResNet50, .*DrumNet"):
        ship("CNN raw")
