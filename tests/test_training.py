"""The training loop: closed forms, the same numbers again, and going on after a kill."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from samplevae_lib.training import Diverged, Player, Schedule, loop, train

X = np.linspace(-1, 1, 24, dtype=np.float32)[:, None]
DATA = (X, 3 * X + 0.5)


def squared_error(model, batch):
    x, y = batch
    return {"error": nn.functional.mse_loss(model(x), y)}


def noisy_error(model, batch):
    """A loss with chance in it, as a VAE's has."""
    x, y = batch
    return {"error": nn.functional.mse_loss(model(x + 0.1 * torch.randn_like(x)), y)}


def line(seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(1, 1)


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(1, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1))


def lone(terms=squared_error, **options) -> dict[str, Player]:
    return {"model": Player(terms, {"error": 1.0}, **options)}


def weights(model: nn.Module) -> torch.Tensor:
    return torch.cat([tensor.flatten().float() for tensor in model.state_dict().values()])


def test_one_step_of_gradient_descent_is_the_one_on_paper():
    model = line()
    w, b = model.weight.item(), model.bias.item()
    residual = w * DATA[0] + b - DATA[1]
    slope_w, slope_b = 2 * float((residual * DATA[0]).mean()), 2 * float(residual.mean())
    train(model, DATA, players=lone(optimiser="sgd", rate=0.1), schedule=Schedule(1, 24))
    assert model.weight.item() == pytest.approx(w - 0.1 * slope_w, abs=1e-6)
    assert model.bias.item() == pytest.approx(b - 0.1 * slope_b, abs=1e-6)


def test_each_weight_counts_once_and_each_term_is_logged_raw_and_weighted():
    def two(model, batch):
        error = squared_error(model, batch)["error"]
        return {"error": error, "size": model.weight.square().sum()}

    players = {"model": Player(two, {"error": 2.0, "size": 0.5}, rate=0.0)}
    model = line()
    (row,) = train(model, DATA, players=players, schedule=Schedule(1, 24)).to_dict("records")
    with torch.no_grad():
        raw = {
            name: float(value) for name, value in two(model, list(map(torch.tensor, DATA))).items()
        }
    assert row["train error"] == pytest.approx(raw["error"], rel=1e-6)
    assert row["train error, weighted"] == pytest.approx(2 * raw["error"], rel=1e-6)
    assert row["train size, weighted"] == pytest.approx(0.5 * raw["size"], rel=1e-6)
    assert row["train loss model"] == pytest.approx(2 * raw["error"] + 0.5 * raw["size"], rel=1e-6)


def test_a_weight_may_be_phased_in():
    players = {"model": Player(squared_error, {"error": lambda epoch: epoch / 2}, rate=0.0)}
    history = train(line(), DATA, players=players, schedule=Schedule(3, 24))
    ratio = history["train error, weighted"] / history["train error"]
    assert ratio.tolist() == pytest.approx([0.0, 0.5, 1.0])


def test_terms_and_weights_must_be_the_same():
    players = {"model": Player(squared_error, {"eror": 1.0})}
    with pytest.raises(ValueError, match=r"loss terms \['error'\] but weights for \['eror'\]"):
        train(line(), DATA, players=players, schedule=Schedule(1, 8))


def test_the_same_seed_gives_the_same_numbers_and_another_does_not():
    def trained(seed):
        model = network()
        history = train(model, DATA, players=lone(noisy_error), schedule=Schedule(4, 8), seed=seed)
        return weights(model), history.drop(columns="seconds")

    (first, history), (second, again), (other, _) = trained(1), trained(1), trained(2)
    assert torch.equal(first, second)
    assert history.equals(again)
    assert not torch.equal(first, other)


def test_training_leaves_the_callers_chance_alone():
    model = line()
    before = torch.get_rng_state()
    train(model, DATA, players=lone(noisy_error), schedule=Schedule(2, 8))
    assert torch.equal(before, torch.get_rng_state())


class Killed(Exception):
    pass


@pytest.mark.parametrize("anneal", [False, True])
@pytest.mark.parametrize("optimiser", ["adam", "adamw", "rmsprop", "sgd"])
def test_a_killed_training_goes_on_to_the_same_numbers(tmp_path, monkeypatch, optimiser, anneal):
    monkeypatch.setattr(loop, "SAVE_SECONDS", -1.0)
    options = {"momentum": 0.9} if optimiser in ("sgd", "rmsprop") else {}
    schedule = Schedule(6, 8, clip=1.0, plateau=1, anneal=anneal, keep_best=True)
    run = partial(train, schedule=schedule, validation=DATA, seed=3)
    straight = network()
    whole = run(straight, DATA, players=lone(noisy_error, optimiser=optimiser, options=options))

    calls = []

    def killing(model, batch):
        calls.append(1)
        if len(calls) == 21:  # 3 training and 3 validation batches an epoch: in the fourth
            raise Killed
        return noisy_error(model, batch)

    broken = network()
    with pytest.raises(Killed):
        run(
            broken, DATA, checkpoint=tmp_path,
            players=lone(killing, optimiser=optimiser, options=options),
        )  # fmt: skip
    resumed = network(seed=99)  # whatever is in it, the checkpoint replaces
    history = run(
        resumed, DATA, checkpoint=tmp_path,
        players=lone(noisy_error, optimiser=optimiser, options=options),
    )  # fmt: skip
    assert torch.equal(weights(straight), weights(resumed))
    assert history.drop(columns="seconds").equals(whole.drop(columns="seconds"))
    assert [file.suffix for file in sorted(tmp_path.iterdir())] == [".safetensors", ".json"]


def test_a_plateau_lowers_the_rate_and_patience_ends():
    def never_better(model, batch):
        return {"error": 1 + 0 * model.weight.sum()}

    schedule = Schedule(20, 24, plateau=2, factor=0.1, stop=5)
    history = train(line(), DATA, players=lone(never_better, rate=1.0), schedule=schedule)
    # The first epoch is the best, five more are not better; each second of them costs a tenth.
    assert history["rate model"].tolist() == pytest.approx([1.0, 1.0, 1.0, 0.1, 0.1, 0.01])


def test_an_annealed_rate_follows_half_a_cosine_to_nothing():
    rates = []

    def watching(model, batch):
        rates.append(optimisers[-1].param_groups[0]["lr"])
        return squared_error(model, batch)

    optimisers = []

    class Watched(torch.optim.SGD):
        def __init__(self, *given, **options):
            super().__init__(*given, **options)
            optimisers.append(self)

    loop.OPTIMISERS["watched"] = Watched
    try:
        players = lone(watching, optimiser="watched", rate=0.8)
        train(line(), DATA, players=players, schedule=Schedule(2, 8, anneal=True))
    finally:
        del loop.OPTIMISERS["watched"]
    expected = [0.4 * (1 + math.cos(math.pi * step / 6)) for step in range(6)]
    assert rates == pytest.approx(expected)


def test_the_best_weights_are_kept():
    schedule = Schedule(8, 24, keep_best=True)
    model = line()
    history = train(model, DATA, players=lone(optimiser="sgd", rate=1.2), schedule=schedule)
    best = history["train loss model"].idxmin()
    assert history["train loss model"].iloc[-1] > history["train loss model"].min()
    # The loss of an epoch of one batch was measured before its step: the best are those after.
    again = line()
    train(again, DATA, players=lone(optimiser="sgd", rate=1.2), schedule=Schedule(best + 1, 24))
    assert torch.equal(weights(model), weights(again))


def test_a_clipped_gradient_is_no_longer_than_asked_for():
    model, rate, clip = line(), 0.5, 0.01
    before = weights(model)
    schedule = Schedule(1, 24, clip=clip)
    train(model, DATA, players=lone(optimiser="sgd", rate=rate), schedule=schedule)
    assert torch.linalg.norm(weights(model) - before).item() == pytest.approx(rate * clip, rel=1e-3)


class Pair(nn.Module):
    """Two numbers that pull at each other."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(2.0))


def test_two_players_take_turns_and_touch_only_their_own():
    players = {
        "first": Player(
            lambda m, batch: {"product": m.a * m.b}, {"product": 1.0},
            parameters=lambda m: [m.a], optimiser="sgd", rate=0.1,
        ),
        "second": Player(
            lambda m, batch: {"product": -m.a * m.b}, {"product": 1.0},
            parameters=lambda m: [m.b], optimiser="sgd", rate=0.1,
        ),
    }  # fmt: skip
    model = Pair()
    history = train(model, (np.zeros(1, np.float32),), players=players, schedule=Schedule(1, 1))
    assert model.a.item() == pytest.approx(1.0 - 0.1 * 2.0)
    assert model.b.item() == pytest.approx(2.0 + 0.1 * 0.8)  # it has seen the other's move
    assert {"train loss first", "train loss second", "rate second"} <= set(history.columns)


def test_every_item_comes_once_an_epoch_and_no_batch_has_one_alone():
    seen = []

    def remember(model, batch):
        seen.append(batch[0].flatten().tolist())
        return squared_error(model, batch)

    items = (np.arange(9, dtype=np.float32)[:, None],) * 2
    train(line(), items, players=lone(remember), schedule=Schedule(2, 4))
    assert [len(batch) for batch in seen] == [4, 4, 4, 4]
    assert len(set(seen[0] + seen[1])) == 8
    assert seen[0] + seen[1] != seen[2] + seen[3]


def test_half_precision_learns_and_leaves_whole_weights():
    model = network()
    schedule = Schedule(60, 24, precision="bfloat16")
    history = train(model, DATA, players=lone(rate=0.03), schedule=schedule, device="cpu")
    assert history["train error"].iloc[-1] < 0.2 * history["train error"].iloc[0]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_a_network_learns_one_batch_by_heart():
    history = train(network(), DATA, players=lone(rate=0.03), schedule=Schedule(400, 24))
    assert history["train error"].iloc[-1] < 1e-3


def test_a_loss_that_is_no_number_ends_the_training():
    def broken(model, batch):
        return {"error": squared_error(model, batch)["error"] * math.inf}

    with pytest.raises(Diverged, match="epoch 0: the loss is no longer finite"):
        train(line(), DATA, players=lone(broken), schedule=Schedule(1, 8))


def test_arrays_of_different_length_are_refused():
    with pytest.raises(ValueError, match="must be equally long, not 24, 3"):
        train(line(), (X, X[:3]), players=lone(), schedule=Schedule(1, 8))
