"""The one training loop: a model, one or more players with their losses, and a history.

A player owns some of the model's parameters, an optimiser and a weighted sum of loss terms. An
autoencoder has one; a GAN has two, who take turns on every batch. The loop keeps its state as it
goes: killed at any point, it goes on from there to the same numbers.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from samplevae_lib.progress import Progress
from samplevae_lib.training.checkpoints import restore, save

Batch = tuple[Tensor, ...]
Terms = Callable[[nn.Module, Batch], Mapping[str, Tensor]]
# Fused: one pass over all weights instead of several over each.
OPTIMISERS = {
    "adam": partial(torch.optim.Adam, fused=True),
    "adamw": partial(torch.optim.AdamW, fused=True),
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}
PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16}
SAVE_SECONDS = 10.0  # between checkpoints: what a kill can cost


class Diverged(ArithmeticError):
    """A loss that is no longer a number."""


def every_parameter(model: nn.Module) -> Iterable[nn.Parameter]:
    """All parameters of a model: what a player trains that plays alone."""
    return model.parameters()


@dataclass(frozen=True)
class Player:
    """One of those who train a model: its loss, what it may change, and how.

    terms: terms(model, batch) gives the raw terms of the loss by name; each is multiplied by its
    weight, once. weights: by the same names, numbers or functions of the epoch (for a term that is
    phased in). parameters: parameters(model) gives those that this player, and no other, changes.
    optimiser: a name in OPTIMISERS. rate: its learning rate. options: its further arguments.
    """

    terms: Terms
    weights: Mapping[str, float | Callable[[int], float]]
    parameters: Callable[[nn.Module], Iterable[nn.Parameter]] = every_parameter
    optimiser: str = "adam"
    rate: float = 1e-3
    options: Mapping[str, object] = field(default_factory=dict)

    def weighted(self, terms: Mapping[str, Tensor], epoch: int) -> dict[str, Tensor]:
        """Each term times its weight; a term without a weight, or the reverse, is an error."""
        if set(terms) != set(self.weights):
            raise ValueError(f"loss terms {sorted(terms)} but weights for {sorted(self.weights)}")
        return {name: term * self._weight(name, epoch) for name, term in terms.items()}

    def _weight(self, name: str, epoch: int) -> float:
        weight = self.weights[name]
        return float(weight(epoch)) if callable(weight) else float(weight)


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a model is trained.

    epochs: how often every item is seen. batch_size: items a step. clip: the largest norm of a
    player's gradient. plateau: after so many epochs without a lower validation loss the rates are
    multiplied by `factor`; 0 for never. stop: after so many the training ends; 0 for never. Without
    validation data both look at the training loss. anneal: the rates also follow half a cosine,
    step by step, down to zero at the end of the last epoch. keep_best: end with the weights of the
    lowest loss. precision: "float32", or "bfloat16" for the forward pass.
    """

    epochs: int
    batch_size: int
    clip: float = math.inf
    plateau: int = 0
    factor: float = 0.5
    stop: int = 0
    anneal: bool = False
    keep_best: bool = False
    precision: str = "float32"


def train(
    model: nn.Module,
    data: Sequence,
    *,
    players: Mapping[str, Player],
    schedule: Schedule,
    validation: Sequence | None = None,
    seed: int = 0,
    checkpoint: Path | None = None,
    device: str | None = None,
) -> pd.DataFrame:
    """Train in place; returns one row an epoch: each term raw and weighted, the rates, seconds.

    data, validation: arrays or tensors whose first axis counts the items. players: by name, in
    the order of their turns; the first one's loss is the one that is watched. schedule: how long
    and how fast. seed: of the order of the items and of all chance in the losses. checkpoint: a
    folder for the state, from which a killed training goes on. device: "cpu" or "cuda"; a GPU if
    there is one. Same seed, same machine: same numbers.

    >>> import torch
    >>> from samplevae_lib.training import Player, Schedule, train
    >>> torch.manual_seed(0).initial_seed()
    0
    >>> x = torch.linspace(-1, 1, 64)[:, None]
    >>> line = torch.nn.Linear(1, 1)
    >>> def error(model, batch):
    ...     return {"error": (model(batch[0]) - 2 * batch[0]).square().mean()}
    >>> player = Player(error, {"error": 1.0}, rate=0.1)
    >>> history = train(line, (x,), players={"line": player}, schedule=Schedule(30, 16))
    >>> bool(history["train error"].iloc[-1] < 1e-3 < history["train error"].iloc[0])
    True
    """
    loop = _Loop(model, players, schedule, seed, device)
    learnt, held_out = _tensors(data), _tensors(validation or ())
    cuda = [loop.device] if loop.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(seed)
        if checkpoint is not None:
            restore(checkpoint, loop)
        loop.run(learnt, held_out, checkpoint)
    return pd.DataFrame(loop.history)


def train_model(
    model: nn.Module,
    data: Sequence,
    *,
    seed: int,
    checkpoint: Path | None = None,
    terms: Terms,
    weights: Mapping[str, float | Callable[[int], float]],
    epochs: int,
    batch: int,
    rate: float,
    clip: float = math.inf,
    validation: Sequence | None = None,
    optimiser: str = "adam",
    options: Mapping[str, object] | None = None,
    name: str = "model",
) -> pd.DataFrame:
    """`train` with one player whose rate falls along half a cosine to zero: a network, a VAE.

    data, validation, seed, checkpoint: as for `train`. terms, weights: of the loss, see `Player`.
    epochs: how often every item is seen. batch: items a step. rate: of the optimiser at the
    beginning. clip: longest gradient. optimiser, options: its name in OPTIMISERS and further
    arguments of it. name: of the player, so of its loss in the history.
    """
    player = Player(terms, weights, rate=rate, optimiser=optimiser, options=options or {})
    return train(
        model,
        data,
        players={name: player},
        schedule=Schedule(epochs, batch, clip=clip, anneal=True),
        validation=validation,
        seed=seed,
        checkpoint=checkpoint,
    )


class _Loop:
    """All that a checkpoint keeps between two epochs, and the steps that change it."""

    def __init__(
        self,
        model: nn.Module,
        players: Mapping[str, Player],
        schedule: Schedule,
        seed: int,
        device: str | None,
    ):
        usual = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(device or usual)
        self.model, self.players, self.schedule = model.to(self.device), players, schedule
        self.seed = seed
        self.owned = {name: list(player.parameters(model)) for name, player in players.items()}
        self.optimisers = {
            name: OPTIMISERS[player.optimiser](self.owned[name], lr=player.rate, **player.options)
            for name, player in players.items()
        }
        self.history: list[dict[str, float]] = []
        self.rates = {name: player.rate for name, player in players.items()}
        self.best, self.waited, self.plateau = math.inf, 0, 0
        self.best_weights: dict[str, Tensor] = {}

    def run(self, train: Batch, held_out: Batch, checkpoint: Path | None) -> None:
        saved = time.monotonic()
        steps = -(-len(train[0]) // self.schedule.batch_size)
        done = len(self.history)
        with Progress("training", self.schedule.epochs * steps, start=done * steps) as progress:
            for epoch in range(done, self.schedule.epochs):
                if self._should_stop():
                    break
                self._epoch(epoch, train, held_out, progress)
                if checkpoint is not None and time.monotonic() - saved > SAVE_SECONDS:
                    save(checkpoint, self)
                    saved = time.monotonic()
        if self.schedule.keep_best and self.best_weights:
            self.model.load_state_dict(self.best_weights)

    def _epoch(self, epoch: int, train: Batch, held_out: Batch, progress: Progress) -> None:
        started = time.monotonic()
        row = self._pass(epoch, train, "train", progress)
        if held_out:
            with torch.no_grad(), torch.random.fork_rng():
                row |= self._pass(epoch, held_out, "validation", None)
        if not all(math.isfinite(value) for value in row.values()):
            raise Diverged(f"epoch {epoch}: the loss is no longer finite: {row}")
        rates = {f"rate {who}": o.param_groups[0]["lr"] for who, o in self.optimisers.items()}
        seconds = round(time.monotonic() - started, 3)
        self.history.append({"epoch": epoch} | row | rates | {"seconds": seconds})
        self._judge(row[self._watched(row)])

    def _pass(
        self, epoch: int, data: Batch, name: str, progress: Progress | None
    ) -> dict[str, float]:
        """Every batch once; the mean of each term over the items."""
        self.model.train(progress is not None)
        sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=self.device))
        items = 0
        for batch in self._batches(epoch, data, shuffled=progress is not None):
            if progress:
                self._set_rates(progress.done / progress.total)
            for who, player in self.players.items():
                logged = self._turn(epoch, who, player, batch, learn=progress is not None)
                for term, value in logged.items():
                    sums[f"{name} {term}"] += value * len(batch[0])
            items += len(batch[0])
            if progress:
                progress.advance(**self._shown())
        return {term: float(value) / items for term, value in sums.items()}

    def _set_rates(self, done: float) -> None:
        """done: the share of all steps that lie behind."""
        share = 0.5 * (1 + math.cos(math.pi * done)) if self.schedule.anneal else 1.0
        for who, optimiser in self.optimisers.items():
            for group in optimiser.param_groups:
                group["lr"] = self.rates[who] * share

    def _turn(
        self, epoch: int, who: str, player: Player, batch: Batch, *, learn: bool
    ) -> dict[str, Tensor]:
        """One player's move on one batch."""
        with self._precision():
            raw = player.terms(self.model, batch)
            weighted = player.weighted(raw, epoch)
        loss = torch.stack([term.float() for term in weighted.values()]).sum()
        if learn:
            self.optimisers[who].zero_grad(set_to_none=True)
            loss.backward()
            if math.isfinite(self.schedule.clip):
                nn.utils.clip_grad_norm_(self.owned[who], self.schedule.clip)
            self.optimisers[who].step()
        logged = {term: value.detach().float() for term, value in raw.items()}
        logged |= {f"{term}, weighted": v.detach().float() for term, v in weighted.items()}
        return logged | {f"loss {who}": loss.detach()}

    def _batches(self, epoch: int, data: Batch, *, shuffled: bool) -> Iterator[Batch]:
        """The items in an order that depends on seed and epoch alone."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        count = len(data[0])
        order = torch.randperm(count, generator=generator) if shuffled else torch.arange(count)
        for chosen in order.split(self.schedule.batch_size):
            if len(chosen) > 1 or count == 1:  # batch norm has no variance of a single item
                yield tuple(tensor[chosen].to(self.device) for tensor in data)

    def _shown(self) -> dict[str, str]:
        """The last epoch's loss, for the bar; asking for this one's would make a GPU wait."""
        last = self.history[-1] if self.history else {}
        return {"loss": f"{last[self._watched(last)]:.4g}"} if last else {}

    def _watched(self, row: Mapping[str, float]) -> str:
        first = next(iter(self.players))
        held_out = f"validation loss {first}"
        return held_out if held_out in row else f"train loss {first}"

    def _judge(self, watched: float) -> None:
        """Remember the best, lower the rates on a plateau."""
        if watched < self.best:
            self.best, self.waited, self.plateau = watched, 0, 0
            if self.schedule.keep_best:
                weights = self.model.state_dict()
                self.best_weights = {name: t.detach().clone() for name, t in weights.items()}
            return
        self.waited, self.plateau = self.waited + 1, self.plateau + 1
        if self.schedule.plateau and self.plateau >= self.schedule.plateau:
            self.plateau = 0
            self.rates = {who: rate * self.schedule.factor for who, rate in self.rates.items()}

    def _should_stop(self) -> bool:
        return bool(self.schedule.stop) and self.waited >= self.schedule.stop

    def _precision(self) -> AbstractContextManager:
        kind = PRECISIONS[self.schedule.precision]
        return torch.autocast(self.device.type, kind) if kind else nullcontext()


def _tensors(data: Sequence) -> Batch:
    """Arrays and tensors as tensors; they must count the same items."""
    tensors = tuple(torch.as_tensor(item) for item in data)
    if len({len(tensor) for tensor in tensors}) > 1:
        lengths = ", ".join(str(len(tensor)) for tensor in tensors)
        raise ValueError(f"the arrays of one dataset must be equally long, not {lengths}")
    return tensors
