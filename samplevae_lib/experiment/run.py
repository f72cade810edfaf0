"""A notebook's one handle: its settings, data, cache, and the records it leaves behind.

run = sv.experiment.start("04_spoken_digits", profile=profile, data=data, seed=seed)
digits = run.load("digits")
run.table("L-T5.2", frame)
run.finish()
"""

from __future__ import annotations

import os
import time
import uuid
import warnings
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from samplevae_lib import cache, datasets, paths, plots, provenance, theses
from samplevae_lib.datasets import Dataset
from samplevae_lib.experiment import records, show
from samplevae_lib.experiment.records import RecordError
from samplevae_lib.files import plain, write_json
from samplevae_lib.settings import Settings
from samplevae_lib.settings import load as load_settings
from samplevae_lib.training import fits
from samplevae_lib.training.fits import Fit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

REPRODUCED, DIFFERS = "reproduced", "differs"


def start(notebook: str, *, profile: str = "reference", data: str = "auto", seed: int = 0) -> Run:
    """Begin a notebook's run, show its settings beside the thesis's, and return its handle."""
    if data not in datasets.DATA:
        raise ValueError(f"data must be one of {', '.join(datasets.DATA)}, not {data!r}")
    known = theses.notebook(notebook)
    run = Run(known, load_settings(known.number, profile), profile, data, seed)
    run.folder.mkdir(parents=True, exist_ok=True)
    # Whoever finds this file knows that the run was not finished.
    (run.folder / "run.json").unlink(missing_ok=True)
    plots.use_style()
    show.settings(run.settings, profile=profile, data=data, seed=seed)
    return run


class Run:
    """One execution of one notebook."""

    def __init__(
        self, notebook: theses.Notebook, settings: Settings, profile: str, data: str, seed: int
    ):
        self.notebook, self.settings = notebook, settings
        self.profile, self.data, self.seed = profile, data, seed
        self.folder = paths.figures() / notebook.name
        self.token = os.environ.get("SAMPLEVAE_RUN") or uuid.uuid4().hex
        self._datasets: list[Dataset] = []
        self._recorded: dict[str, set[str]] = {}
        self.verdicts: dict[str, str] = {}  # by claim
        self._files: list[str] = []
        self._started = time.monotonic()
        self._commit = provenance.commit()

    def load(self, name: str | os.PathLike, **options: Any) -> Dataset:
        """`datasets.load` under this run's profile, data and seed; records say what was loaded."""
        shared = {"profile": self.profile, "data": self.data, "seed": self.seed}
        with warnings.catch_warnings():
            # What follows says it more plainly than a warning does.
            warnings.simplefilter("ignore", datasets.StandInWarning)
            loaded = datasets.load(name, **(shared | options))
        self._datasets.append(loaded)
        show.dataset(loaded)
        return loaded

    def fit(self, model: Any, train: Callable, *, data: Any, **options: Any) -> pd.DataFrame:
        """Train a model in place, or take its weights from the cache; returns the history.

        train(model, data, seed=…, checkpoint=…, **options) → history (DataFrame): it may keep its
        state in the folder `checkpoint` and goes on from what it finds there. The cache's key is
        the code of model and train, the untrained weights, the data, the seed and the options.
        """
        return fits.fit(Fit(model, train, data, self.seed, options), self._origin(None))

    def fit_all(self, wanted: Mapping[str, Fit]) -> dict[str, pd.DataFrame]:
        """Train several models in place, side by side; returns each history by its name.

        Each fit brings its own seed; see `fits.Fit`. What it needs must come from a module: a
        function or class written in the notebook can't follow it into another process.
        """
        import torch

        return fits.fit_all(wanted, self._origin(None), workers=torch.get_num_threads())

    def cached(self, compute: Callable[..., dict], *inputs: Any, **options: Any) -> dict:
        """compute(*inputs, **options) → {name: array}, computed once for equal code and inputs."""
        entry = cache.key(compute=compute, inputs=list(inputs), options=options)
        if found := cache.load("results", entry):
            return found[0]
        result = {name: np.asarray(array) for name, array in compute(*inputs, **options).items()}
        cache.store("results", entry, result, self._origin(None))
        return result

    def figure(
        self,
        id: str,
        figure: Figure,
        caption: str,
        *,
        part: str = "",
        data: Iterable[Dataset] | None = None,
    ) -> None:
        """Save and show a figure. `data`: what it was made from, if not all that was loaded."""
        target = theses.target(id, self.notebook.number)
        used = self._used(data)
        if stand_ins := _stand_ins(used):
            plots.stamp(figure, f"made from stand-in {stand_ins}, not from recordings")
        path = self.folder / f"{records.file_name(id, part)}.png"
        records.save_figure(path, figure)
        self._record(target, "figure", {"file": path.name, "caption": caption}, used)
        show.figure(figure, f"{id} {caption}", self._note(used))

    def table(
        self,
        id: str,
        frame: pd.DataFrame,
        caption: str = "",
        *,
        part: str = "",
        data: Iterable[Dataset] | None = None,
    ) -> None:
        """Save and show a table beside the thesis's numbers of the same id.

        The index names the rows; rows and columns meet the thesis's by name.
        """
        target = theses.target(id, self.notebook.number)
        merged, compared = theses.beside(id, frame)
        path, used = self.folder / f"{records.file_name(id, part)}.csv", self._used(data)
        records.save_table(path, merged)
        entry = {"file": path.name, "caption": caption or target.title, "compared": compared}
        self._record(target, "table", entry, used)
        show.table(merged, f"{id} {entry['caption']}", self._note(used))

    def claim(self, id: str, *, holds: bool | None, evidence: str) -> None:
        """Judge a claim; `holds=None` where the evidence decides nothing. See `verdicts`."""
        claim = theses.claim(id, self.notebook.number)
        verdict = self._verdict(claim, holds, evidence)
        path = self.folder / f"{id}.json"
        content = {"id": id, "statement": claim.statement, "where": claim.where}
        content |= {"judged": claim.judged, "verdict": verdict, "evidence": evidence}
        write_json(path, plain(content | self._origin(self._datasets)))
        self.verdicts[id] = verdict
        self._files.append(path.name)
        show.claim(claim, verdict, evidence)

    def audio(self, name: str, audio: np.ndarray, sample_rate: int) -> Path:
        """Save a sound with its record and show a player."""
        path = self.folder / "audio" / f"{records.file_name(name, '')}.wav"
        records.save_audio(path, audio, sample_rate)
        origin, about = self._origin(self._datasets), {"name": name, "sample_rate": sample_rate}
        records.add(path.with_suffix(".json"), origin, about, "audio", {"file": path.name})
        self._files += [f"audio/{path.name}", f"audio/{path.stem}.json"]
        show.player(name, audio, sample_rate)
        return path

    def finish(self) -> None:
        """Check that all that is registered for this notebook was recorded; write run.json."""
        number = self.notebook.number
        missing = [
            f"{kind} {target.id}"
            for target in theses.of_notebook(theses.targets(), number)
            for kind in target.records
            if kind not in self._recorded.get(target.id, ())
        ]
        claims = theses.of_notebook(theses.claims(), number)
        missing += [f"claim {claim.id}" for claim in claims if claim.id not in self.verdicts]
        if missing:
            raise RecordError(
                f"{self.notebook.name}: registered in data/theses but not recorded: "
                f"{', '.join(missing)}"
            )
        write_json(self.folder / "run.json", plain(self._summary()))
        show.finished(self)

    def _summary(self) -> dict[str, Any]:
        return {
            **self._origin(self._datasets),
            "finished": _now(),
            "seconds": round(time.monotonic() - self._started, 1),
            "peak_memory_gib": provenance.peak_memory_gib(),
            "machine": provenance.machine(),
            "versions": provenance.versions(),
            "verdicts": self.verdicts,
            "files": sorted(dict.fromkeys(self._files)),
        }

    def _record(self, target: theses.Target, kind: str, entry: dict, used: list[Dataset]) -> None:
        about = {"id": target.id, "title": target.title, "where": target.where}
        path = self.folder / f"{target.id}.json"
        records.add(path, self._origin(used), about, kind, entry)
        self._recorded.setdefault(target.id, set()).add(kind)
        self._files += [entry["file"], path.name]

    def _origin(self, used: Iterable[Dataset] | None) -> dict[str, Any]:
        """What stands in every record: run, settings, seed, data source and commit."""
        return {
            "notebook": self.notebook.name,
            "run": self.token,
            "profile": self.profile,
            "seed": self.seed,
            "commit": self._commit,
            "settings": dict(self.settings),
            "data": [_described(dataset) for dataset in used or ()],
        }

    def _used(self, data: Iterable[Dataset] | None) -> list[Dataset]:
        return list(self._datasets if data is None else data)

    def _note(self, used: list[Dataset]) -> str:
        sources = "; ".join(f"{dataset.name}: {dataset.source}" for dataset in used)
        return f"{self.profile} profile, seed {self.seed}, {sources or 'no data'}"

    def _verdict(self, claim: theses.Claim, holds: bool | None, evidence: str) -> str:
        if not evidence.strip():
            raise RecordError(f"claim {claim.id}: no evidence; say what was measured")
        real = {dataset.name for dataset in self._datasets if dataset.source == "real"}
        lacking = [name for name in claim.needs_real if name not in real]
        if self.profile == "smoke":
            return "not attempted (the smoke profile judges nothing)"
        if lacking:
            return f"not attempted (needs recordings of {', '.join(lacking)})"
        if holds is None:
            return "not attempted (the evidence decides nothing)"
        return REPRODUCED if holds else DIFFERS


def _stand_ins(used: Iterable[Dataset]) -> str:
    return ", ".join(sorted({dataset.name for dataset in used if dataset.source == "stand-in"}))


def _described(dataset: Dataset) -> dict[str, Any]:
    described = {"name": dataset.name, "source": dataset.source, "sounds": len(dataset)}
    described |= {"fingerprint": dataset.fingerprint}
    described |= {name: _placeless(value) for name, value in dataset.provenance.items()}
    return described | {"problems": [list(problem) for problem in dataset.problems]}


def _placeless(value: str | int) -> str | int:
    """Without this machine's folders, which say nothing on another."""
    for place in filter(None, (paths.data(), paths.mirror())):
        value = value.replace(str(place), "…") if isinstance(value, str) else value
    return value


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
