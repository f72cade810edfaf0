"""Fitted models: taken from what comes with the project, else from the cache, else trained.

A small model gains little from a second core, and two models at once nearly all of it: `fit_all`
gives each that has to be trained a process of one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock

from samplevae_lib import cache, paths, weights
from samplevae_lib.files import plain, read_json, write_json
from samplevae_lib.progress import LONG_MINUTES, announce
from samplevae_lib.training.side_by_side import train_in_workers

if TYPE_CHECKING:
    import pandas as pd

_PLAIN = (bool, int, float, str, tuple)


@dataclass(frozen=True)
class Fit:
    """One model to be trained: train(model, data, seed=…, checkpoint=…, **options) → history.

    model: a torch module, untrained. data: what `train` takes, arrays or a dataset. seed: of all
    chance in training. options: further arguments of `train`. The history is a DataFrame with one
    row an epoch.
    """

    model: Any
    train: Callable
    data: Any
    seed: int
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def seeded(
        cls, build: Callable[[], Any], train: Callable, data: Any, seed: int, **options: Any
    ) -> Fit:
        """A fit of the model that `build()` makes right after torch's chance was set to `seed`."""
        import torch

        torch.manual_seed(seed)
        return cls(build(), train, data, seed, options)

    def key(self) -> str:
        """All that decides the result, code and untrained weights too, as one digest."""
        return cache.key(
            model=type(self.model), layers=layers_of(self.model), weights=self.model.state_dict(),
            train=self.train, data=self.data, seed=self.seed, options=self.options,
        )  # fmt: skip

    def asked(self) -> tuple[dict[str, Any], list[np.ndarray]]:
        """Settings, seed and layers that decide this fit, and the arrays it learns from.

        Unlike `key` this stays the same when code changes, and on another machine.
        """
        arrays: list[np.ndarray] = []
        settings = cache.describe(
            {"train": self.train, "data": self.data, **self.options}, "fit", apart=arrays
        )
        return {"seed": self.seed, "settings": settings, "layers": layers_of(self.model)}, arrays

    def trained_by(self) -> list[str]:
        """The modules whose code decides the result."""
        made = [self.train, *map(type, self.model.modules()), *_functions(self.options)]
        names = {getattr(part, "__module__", "") for part in made}
        return sorted(name for name in names if name.startswith(f"{cache.PACKAGE}."))

    def run(self, checkpoint: Path) -> pd.DataFrame:
        """Train in place, going on from what the folder holds."""
        return self.train(
            self.model, self.data, seed=self.seed, checkpoint=checkpoint, **self.options
        )


def layers_of(model: Any) -> dict[str, Any]:
    """What a model is built of: its layers as torch prints them, and the plain attributes of the
    project's own modules, such as a padding, that are not printed.
    """
    own = {}
    for name, module in model.named_modules():
        if type(module).__module__.startswith(f"{cache.PACKAGE}."):
            held = {key: repr(v) for key, v in vars(module).items() if isinstance(v, _PLAIN)}
            own[name] = {key: held[key] for key in sorted(held) if key[0] != "_"}
            own[name].pop("training", None)
    return {"printed": repr(model), "own": {name: each for name, each in own.items() if each}}


@dataclass(frozen=True)
class Plan:
    """Where fits may come from, and what becomes of them.

    notebook: whose shipped weights are looked at; none for "". origin: what the cache and a card
    say of the run (profile, commit, seed, data, …). workers: processes at once. refit: train
    these names anew although they are known; "all" for all. ship: keep those with the project's
    own weights. half: in half precision.
    """

    notebook: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)
    workers: int = 1
    refit: tuple[str, ...] = ()
    ship: bool = False
    half: bool = False

    def anew(self, name: Any) -> bool:
        """Whether this fit is to be trained although it may be known."""
        return "all" in self.refit or weights.file_name(name) in self.refit

    @property
    def redone(self) -> Path:
        """The keys that an unfinished run has trained anew: if stopped, the next one goes on."""
        run = f"{self.origin.get('notebook')}-{self.origin.get('profile')}"
        return paths.cache() / "refit" / f"{run}.json"


@dataclass(frozen=True)
class Fitted:
    """A fit that is done.

    source: "shipped", "cached" or "trained". seconds: how long its training took.
    """

    history: pd.DataFrame
    source: str
    seconds: float


def fit_all(fits: Mapping[Any, Fit], plan: Plan) -> dict[Any, Fitted]:
    """Fill in the weights of all models; returns what became of each by its name.

    fits: by name. plan: where they may come from.
    A worker has one thread, so that the same numbers come out however many run at once. With one
    worker, or where there is a GPU, they are trained one after another in this process.
    """
    _refuse_like_names(fits)
    found = {name: _known(name, one, plan) for name, one in fits.items()}
    missing = [name for name in fits if found[name] is None]
    keys = {name: fits[name].key() for name in missing}
    first = {keys[name]: name for name in reversed(missing)}  # twins are trained once
    wanted = {name: fits[name] for name in missing if first[keys[name]] == name}
    with _alone(keys[name] for name in wanted):
        found |= {name: _known(name, one, plan) for name, one in wanted.items()}
        wanted = {name: one for name, one in wanted.items() if found[name] is None}
        _say_how_long(wanted, plan)
        for name, history in _trained(wanted, keys, plan.workers):
            found[name] = Fitted(history, "trained", _seconds(history))
            _keep(name, fits[name], keys[name], found[name], plan)
    for name in missing:
        if found[name] is None:
            twin = first[keys[name]]
            fits[name].model.load_state_dict(fits[twin].model.state_dict())
            found[name] = found[twin]
    plan.redone.unlink(missing_ok=True)
    return found


@contextmanager
def _alone(keys: Iterable[str]) -> Iterator[None]:
    """Hold the locks of some fits: where another run trains one of them, wait for it."""
    folder = paths.cache() / "models"
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        for key in sorted(keys):  # in one order, so that no two runs wait for each other
            held.enter_context(FileLock(folder / f"{key}.lock"))
        yield


def _known(name: Any, one: Fit, plan: Plan) -> Fitted | None:
    """Shipped, else cached; None where it has to be trained. Fills in the weights."""
    import pandas as pd

    anew = plan.anew(name)
    if anew and one.key() not in (read_json(plan.redone) or []):
        return None
    if not anew and plan.notebook and (shipped := weights.find(plan.notebook, *one.asked())):
        weights.fill(one.model, shipped.arrays(), str(shipped.file))
        return Fitted(pd.DataFrame(shipped.card["history"]), "shipped", shipped.seconds)
    if kept := cache.load("models", one.key()):
        arrays, notes = kept
        weights.fill(one.model, arrays, "the cache")
        history = pd.DataFrame(notes["history"])
        return Fitted(history, "cached", _seconds(history))
    return None


def _trained(
    fits: Mapping[Any, Fit], keys: Mapping[Any, str], workers: int
) -> Iterator[tuple[Any, pd.DataFrame]]:
    """Train in place; the name and history of each as it is done."""
    folders = {name: cache.checkpoint("models", keys[name]) for name in fits}
    if fits and (workers == 1 or _has_gpu()):
        for name, one in fits.items():
            yield name, one.run(folders[name])
    elif fits:
        for name, state, history in train_in_workers(fits, folders, workers):
            fits[name].model.load_state_dict(state)
            yield name, history


def _keep(name: Any, one: Fit, key: str, done: Fitted, plan: Plan) -> None:
    """Into the cache and, if it is to be shipped, to the project's own weights."""
    notes = {"history": plain(done.history.to_dict("list")), **plan.origin}
    cache.store("models", key, _weights(one.model), notes)
    cache.discard(cache.checkpoint("models", key))
    if plan.anew(name):
        write_json(plan.redone, [*(read_json(plan.redone) or []), key])
    if plan.ship and plan.anew(name):
        _ship(name, one, done, plan)


def _ship(name: Any, one: Fit, done: Fitted, plan: Plan) -> None:
    """Keep the fit with the project, and go on with the weights exactly as they were kept."""
    identity, arrays = one.asked()
    card = {
        "history": done.history.to_dict("list"), "seconds": done.seconds,
        "trained by": one.trained_by(), "code": cache.code_digest(*one.trained_by()),
        **{what: plan.origin.get(what) for what in ("profile", "commit")},
        "sounds": [
            {what: used[what] for what in ("name", "source", "sounds", "fingerprint")}
            for used in plan.origin.get("data", ())
        ],
    }  # fmt: skip
    shipped = weights.keep(
        plan.notebook, name, _weights(one.model), identity=identity, data=arrays, card=card,
        half=plan.half,
    )  # fmt: skip
    weights.fill(one.model, shipped.arrays(), str(shipped.file))


def _seconds(history: pd.DataFrame) -> float:
    return round(float(history["seconds"].sum()), 1) if "seconds" in history else 0.0


def _say_how_long(fits: Mapping[Any, Fit], plan: Plan) -> None:
    """Announce a training of more than ten minutes, by what the same fits took when shipped."""
    took = {one.name: one.seconds for one in weights.every(plan.notebook)} if plan.notebook else {}
    known = [took[name] for name in map(weights.file_name, fits) if name in took]
    if (minutes := sum(known) / max(1, min(plan.workers, len(fits))) / 60) > LONG_MINUTES:
        why = (
            "as asked" if plan.refit else "their settings, data or layers are not the shipped ones"
        )
        announce(
            f"{len(fits)} models are trained, {why}; {len(known)} of them once took {minutes:.0f} "
            "minutes. Ctrl-C loses nothing: the next run goes on from there."
        )


def _refuse_like_names(fits: Mapping[Any, Fit]) -> None:
    names = [weights.file_name(name) for name in fits]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two fits would have the file name {', '.join(twice)}: rename one")


def _functions(part: Any) -> Iterator[Any]:
    """The functions and classes among options, at any depth."""
    if isinstance(part, Mapping):
        for item in part.values():
            yield from _functions(item)
    elif isinstance(part, list | tuple):
        for item in part:
            yield from _functions(item)
    elif hasattr(part, "__dataclass_fields__"):
        yield from _functions(vars(part))
    elif callable(part):
        yield part


def _weights(model: Any) -> dict[str, np.ndarray]:
    return {name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()}


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
