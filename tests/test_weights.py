"""Weights that come with the project: what they serve, what they don't, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import samplevae_lib as sv
from samplevae_lib import cli, paths, weights
from samplevae_lib.models.autoencoder import Autoencoder
from samplevae_lib.training import Fit, losses, train_model
from samplevae_lib.training.fits import Fitted, Plan, fit_all
from samplevae_lib.weights import WeightsError

ROOT = Path(__file__).resolve().parent.parent
AUDIO = sv.datasets.load("signals", kind="families", count=12, noise=0.0).audio
SHIPPING = Plan(
    "03_toy", {"profile": "reference", "commit": "0123456789ab"}, ship=True, refit=("all",)
)
PLAN = Plan("03_toy")


@pytest.fixture(autouse=True)
def own_project(tmp_path, monkeypatch):
    """Weights and cache in folders of the test's own."""
    monkeypatch.setenv("SAMPLEVAE_ROOT", str(tmp_path))
    monkeypatch.setenv("SAMPLEVAE_DATA", str(tmp_path / "cache"))


def one(
    *,
    seed: int = 0,
    audio: np.ndarray = AUDIO,
    width: float = 0.05,
    gate: str = "tanh",
    padding: str = "centred",
    **changed,
) -> Fit:
    options = {
        "terms": losses.mean_square, "weights": {"error": 1.0}, "epochs": 2, "batch": 4,
        "rate": 0.01,
    }  # fmt: skip

    def build():
        return Autoencoder("dilated", width=width, depth=2, gate=gate, padding=padding)

    return Fit.seeded(build, train_model, (audio,), seed, **(options | changed))


def fit(one: Fit, plan: Plan = PLAN) -> Fitted:
    return fit_all({("dilated", 0): one}, plan)["dilated", 0]


def numbers(fitted: Fit) -> torch.Tensor:
    return torch.cat([t.flatten().double() for t in fitted.model.state_dict().values()])


@pytest.fixture
def shipped() -> Fit:
    """One fit, shipped, and nothing in the cache."""
    made = one()
    assert fit(made, SHIPPING).source == "trained"
    for path in (paths.cache() / "models").glob("*.*"):
        path.unlink()
    return made


def card() -> dict:
    return json.loads((paths.weights() / "03_toy" / "dilated-0.json").read_text())


def test_a_shipped_fit_is_taken_and_nothing_is_trained(shipped):
    again = one()
    done = fit(again)
    assert done.source == "shipped"
    assert torch.equal(numbers(again), numbers(shipped))
    assert done.seconds == card()["seconds"]
    assert list(done.history["epoch"]) == [0, 1]
    assert not (paths.cache() / "models").is_dir() or not list(paths.cache().glob("models/*.json"))


def test_a_card_says_all_there_is_to_know(shipped):
    told = card()
    assert told["seed"] == 0
    assert told["settings"]["epochs"] == 2
    assert "Conv1d" in told["layers"]["printed"]
    assert "around" in str(told["layers"]["own"])
    assert told["profile"] == "reference"
    assert told["commit"] == "0123456789ab"
    assert told["machine"]["cores"] >= 1
    assert "samplevae_lib.models.autoencoder" in told["trained by"]
    assert [entry["shape"] for entry in told["data"]] == [[12, 512]]


@pytest.mark.parametrize(
    "changed",
    [
        {"epochs": 3},
        {"rate": 0.02},
        {"seed": 1},
        {"width": 0.1},
        {"gate": "sigmoid"},
        {"padding": "causal"},
        {"audio": AUDIO * np.float32(0.999)},
        {"audio": AUDIO[:11]},
        {"audio": AUDIO[::-1].copy()},
        {"audio": np.concatenate([AUDIO[:11], AUDIO[:1]])},
        {"audio": np.where(np.arange(512) == 7, AUDIO + 0.1, AUDIO).astype(np.float32)},
        {"weights": {"error": 2.0}},
    ],
    ids=[
        "epochs", "rate", "seed", "layers", "activation", "padding", "level", "fewer", "order",
        "another", "one sample", "loss",
    ],
)  # fmt: skip
def test_a_changed_setting_seed_layer_or_dataset_is_not_served(shipped, changed):
    assert fit(one(**changed)).source == "trained"


def test_the_last_digits_of_another_processor_change_nothing(shipped):
    noise = np.random.default_rng(0).uniform(-3e-7, 3e-7, AUDIO.shape)
    assert fit(one(audio=(AUDIO + noise).astype(np.float32))).source == "shipped"


def test_the_data_may_stand_among_the_options(shipped):
    assert fit(one(validation=(AUDIO,))).source == "trained"
    fit(one(validation=(AUDIO,)), replace(SHIPPING, refit=("all",)))
    assert fit(one(validation=(AUDIO,))).source == "shipped"
    assert fit(one(validation=(0.5 * AUDIO,))).source == "trained"


def test_another_notebooks_weights_are_not_looked_at(shipped):
    assert fit(one(), Plan("04_other")).source == "trained"
    assert fit(one(), Plan("")).source == "cached"


def test_refit_trains_what_is_shipped(shipped):
    assert fit(one(), replace(PLAN, refit=("dilated-0",))).source == "trained"
    assert fit(one(), replace(PLAN, refit=("all",))).source == "trained"
    assert fit(one(), replace(PLAN, refit=("dilated-1",))).source == "shipped"


def test_a_damaged_file_is_refused_by_name(shipped):
    file = paths.weights() / "03_toy" / "dilated-0.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    named = r"dilated-0\.safetensors is damaged or foreign.*restore"
    with pytest.raises(WeightsError, match=named):
        fit(one())


def test_a_missing_file_is_refused_by_name(shipped):
    (paths.weights() / "03_toy" / "dilated-0.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"dilated-0\.safetensors is missing"):
        fit(one())


def test_a_foreign_file_is_refused_by_name(shipped):
    from safetensors.numpy import save_file

    file = paths.weights() / "03_toy" / "dilated-0.safetensors"
    save_file({"other": np.zeros(3, np.float32)}, file)
    told = card() | {"sha256": weights.sha256(file)}
    file.with_suffix(".json").write_text(json.dumps(told))
    with pytest.raises(WeightsError, match="holds the weights of another model: "):
        fit(one())


def test_half_precision_halves_kernels_and_keeps_what_is_counted():
    made = one(width=0.5)
    fit(made, SHIPPING)
    size = (paths.weights() / "03_toy" / "dilated-0.safetensors").stat().st_size
    fit(one(width=0.5), replace(SHIPPING, half=True, refit=("all",)))
    small = paths.weights() / "03_toy" / "dilated-0.safetensors"
    assert small.stat().st_size < 0.75 * size
    again = one(width=0.5)
    assert fit(again).source == "shipped"
    away = (numbers(again) - numbers(made)).abs() / numbers(made).abs().clamp(min=1e-2)
    assert 0 < float(away.max()) < 1e-3
    counted = [t for n, t in again.model.state_dict().items() if "tracked" in n]
    assert all(int(t) == 6 for t in counted)  # two epochs of three batches


def test_what_was_shipped_is_what_the_run_goes_on_with():
    made, again = one(width=0.5), one(width=0.5)
    fit(made, replace(SHIPPING, half=True))
    fit(again)
    assert torch.equal(numbers(made), numbers(again))


def test_a_history_takes_a_line_a_column(shipped):
    lines = (paths.weights() / "03_toy" / "dilated-0.json").read_text().splitlines()
    assert any(line.strip().startswith('"train error": [') for line in lines)
    assert card()["history"]["epoch"] == [0, 1]


@pytest.mark.parametrize(
    ("name", "file"),
    [(("hybrid", 0), "hybrid-0"), ("simple, 10", "simple-10"), (("a b", "C/d", 2), "a-b-c-d-2")],
)
def test_names_of_fits_become_names_of_files(name, file):
    assert weights.file_name(name) == file


def test_a_name_of_nothing_is_refused():
    with pytest.raises(ValueError, match="holds no letter or digit"):
        weights.file_name(("·", "/"))


def test_the_command_lists_them_and_says_which_are_older_than_the_code(shipped, capsys):
    assert cli.main(["weights"]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.split()[0] == "03_toy/dilated-0"
    assert line.endswith("this code")
    file = paths.weights() / "03_toy" / "dilated-0.json"
    file.write_text(json.dumps(card() | {"code": "another"}))
    cli.main(["weights"])
    assert capsys.readouterr().out.splitlines()[1].endswith("older code")


def test_a_shipping_that_is_stopped_leaves_a_fit_that_is_trained(shipped, monkeypatch):
    def stopped(path, text):
        raise KeyboardInterrupt

    monkeypatch.setattr(weights, "write_text", stopped)
    with pytest.raises(KeyboardInterrupt):
        fit(one(epochs=3), SHIPPING)
    assert fit(one()).source == "trained"


def test_a_refit_that_is_stopped_goes_on_from_there(shipped):
    def broken(model, data, **options):
        raise KeyboardInterrupt

    anew = replace(PLAN, refit=("all",))
    bad = Fit(one(seed=1).model, broken, (AUDIO,), 1, {})
    with pytest.raises(KeyboardInterrupt):
        fit_all({"a": one(), "b": bad}, anew)
    done = fit_all({"a": one(), "b": one(seed=1)}, anew)
    assert {name: each.source for name, each in done.items()} == {"a": "cached", "b": "trained"}


def test_a_fit_shipped_under_another_name_takes_the_place_of_the_first(shipped):
    fit_all({"twin": one()}, SHIPPING)
    assert [each.name for each in weights.every("03_toy")] == ["twin"]
    assert fit(one()).source == "shipped"


def test_two_fits_of_one_file_name_are_refused():
    with pytest.raises(ValueError, match="two fits would have the file name a-0"):
        fit_all({("a", 0): one(), "a-0": one(seed=1)}, PLAN)


def test_a_damaged_card_is_named(shipped):
    (paths.weights() / "03_toy" / "dilated-0.json").write_text('{"identity": ')
    with pytest.raises(WeightsError, match=r"dilated-0\.json is damaged"):
        fit(one())


def test_data_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="finite numbers"):
        weights.sums_of([np.array([1.0, np.nan])])
    with pytest.raises(ValueError, match="finite numbers"):
        weights.sums_of([np.array(["a"])])


def test_arrays_come_back_by_name_with_their_card():
    kernel = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4).T
    arrays = {"kernel": kernel, "vector": kernel[0] / 3, "counter": np.array(7)}
    weights.write("toys", "A B", arrays, {"classes": ("x", "y"), "loss": 1 / 3}, half=True)
    found = weights.named("toys", "A B")
    back, told = found.arrays(), found.card
    np.testing.assert_allclose(back["kernel"], kernel, rtol=1e-3)
    assert back["kernel"].dtype == np.float32 and back["counter"] == 7
    assert (back["vector"] == arrays["vector"]).all()
    assert (told["classes"], told["loss"], told["half precision"]) == (["x", "y"], 0.33333333, True)
    assert {"machine", "versions"} <= set(told)
    weights.write("toys", "A B", arrays, {})
    again = weights.named("toys", "A B")
    assert (again.arrays()["kernel"] == kernel).all() and "classes" not in again.card
    missing = r"weights/toys holds no other: restore it .*samplevae_lib weights toys/other"
    with pytest.raises(WeightsError, match=missing):
        weights.named("toys", "other")


@pytest.mark.parametrize(
    ("shapes", "odd"),
    [
        ({"bias": 1}, r"weight \(1, 2\)"),
        ({"weight": (1, 3), "bias": 1}, r"weight \(1, 2\)"),
        ({"weight": (1, 2), "bias": 1, "more": 4}, r"more \(4,\)"),
    ],
)
def test_arrays_of_other_names_or_shapes_are_refused_and_change_nothing(shapes, odd):
    layer = torch.nn.Linear(2, 1)
    before = layer.bias.clone()
    arrays = {name: np.full(shape, 3, np.float32) for name, shape in shapes.items()}
    with pytest.raises(WeightsError, match=f"the toy holds the weights of another .*: {odd}"):
        weights.fill(layer, arrays, "the toy")
    assert torch.equal(layer.bias, before)


def test_what_comes_with_the_project_is_whole_small_and_asked_for():
    for folder in (ROOT / "data" / "weights").iterdir():
        files = {path.stem for path in folder.glob("*.safetensors")}
        assert files == {path.stem for path in folder.glob("*.json")}
        for name in files:
            kept = json.loads((folder / f"{name}.json").read_text())["sha256"]
            assert kept == weights.sha256(folder / f"{name}.safetensors"), name
        assert sum(path.stat().st_size for path in folder.iterdir()) < 6e6, folder.name
        if folder.name[:2].isdigit():  # a notebook's; others are trained by recipes of their own
            run = json.loads((ROOT / "figures" / folder.name / "run.json").read_text())
            taken = {name for name, one in run["fits"].items() if one["weights"] == "shipped"}
            assert files == taken
