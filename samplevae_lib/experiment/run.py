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
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from samplevae_lib import datasets, paths, plots, provenance, theses, weights, widgets
from samplevae_lib.datasets import Dataset
from samplevae_lib.experiment import records, show
from samplevae_lib.experiment.records import RecordError
from samplevae_lib.files import plain, write_json
from samplevae_lib.settings import Settings
from samplevae_lib.settings import load as load_settings
from samplevae_lib.training.fits import Fit, Fitted, Plan, fit_all

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

REPRODUCED, DIFFERS = "reproduced", "differs"
LEARNT = 0.9  # a model whose error is a larger share of silence's has not learnt its task


def start(notebook: str, *, profile: str = "reference", data: str = "auto", seed: int = 0) -> Run:
    """Begin a notebook's run, show its settings beside the thesis's, and return its handle.

    notebook: its number or name. profile: "smoke", "reference" or "paper", how much is computed.
    data: "auto", "real" or "stand-in", which sounds are used. seed: where all chance starts.
    """
    if data not in datasets.DATA:
        raise ValueError(f"data must be one of {', '.join(datasets.DATA)}, not {data!r}")
    known = theses.notebook(notebook)
    run = Run(known, load_settings(known.number, profile), profile, data, seed)
    run.folder.mkdir(parents=True, exist_ok=True)
    # Whoever finds this file knows that the run was not finished.
    (run.folder / "run.json").unlink(missing_ok=True)
    plots.use_style()
    widgets.set_notice(show.SMOKE_NOTICE if profile == paths.SMOKE else "")
    show.settings(run.settings, profile=profile, data=data, seed=seed)
    return run


class Run:
    """One execution of one notebook."""

    def __init__(
        self, notebook: theses.Notebook, settings: Settings, profile: str, data: str, seed: int
    ):
        self.notebook, self.settings = notebook, settings
        self.profile, self.data, self.seed = profile, data, seed
        self.folder = paths.figures(profile) / notebook.name
        self.token = os.environ.get("SAMPLEVAE_RUN") or uuid.uuid4().hex
        self._datasets: list[Dataset] = []
        self._small: set[str] = set()  # datasets whose models have the smoke profile's sizes
        self._recorded: dict[str, set[str]] = {}
        self.verdicts: dict[str, str] = {}  # by claim
        self.fits: dict[str, Fitted] = {}  # by name
        self._files: list[str] = []
        given = os.environ.get("SAMPLEVAE_REFIT", "").split(",")
        # A smoke run proves that everything trains, so it takes nothing that is there.
        self._refit = ("all",) if profile == paths.SMOKE else tuple(filter(None, given))
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

    def sizes_for(self, dataset: Dataset, *, of: str = "") -> Settings:
        """The settings that decide how large and how long models of these sounds are trained.

        Those of this run for recordings. Where a stand-in takes their place, the smoke profile's:
        nobody should wait a night for what decides nothing. of: number of another notebook whose
        models are meant.
        """
        number = of or self.notebook.number
        if dataset.source != "real":
            self._small.add(dataset.name)
            return load_settings(number, paths.SMOKE)
        return self.settings if not of else load_settings(number, self.profile)

    def fit_all(self, wanted: Mapping[Any, Fit], *, of: str = "") -> dict[Any, pd.DataFrame]:
        """Fill in the weights of all models; returns each history (DataFrame) by its name.

        Weights that come with the project are taken first, then those in the cache; what neither
        has is trained, several side by side. What a fit needs must come from a module: a function
        or class written in the notebook can't follow it into another process. of: the name of
        another notebook whose models these are, and with whose weights they come.
        """
        import torch

        known = "" if self.profile == paths.SMOKE else of or self.notebook.name
        shipping = os.environ.get("SAMPLEVAE_SHIP", "")
        plan = Plan(
            known, self._origin(self._datasets), torch.get_num_threads(),
            refit=self._refit,
            ship=bool(known and shipping), half=shipping == "half",
        )  # fmt: skip
        if plan.ship and "all" in plan.refit and self._small:
            raise weights.WeightsError(
                f"models that learnt from stand-ins ({', '.join(self._small)}) are not shipped; "
                "name those that learnt from recordings"
            )
        done = fit_all(wanted, plan)
        show.fits(Counter(fitted.source for fitted in done.values()))
        self.fits |= {weights.file_name(name): fitted for name, fitted in done.items()}
        return {name: fitted.history for name, fitted in done.items()}

    def figure(
        self,
        id: str,
        figure: Figure,
        caption: str,
        *,
        part: str = "",
        data: Iterable[Dataset] | None = None,
    ) -> None:
        """Save and show a figure under a registered id.

        caption: a sentence for under it. part: a name where one id has several figures. data: the
        datasets it was made from, if not all that were loaded.
        """
        target = theses.target(id, self.notebook.number)
        used = self._used(data)
        if warnings := self._warnings(used):
            plots.stamp(figure, "; ".join(warnings))
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

        frame: its index names the rows; rows and columns meet the thesis's by name. Settings that
        the thesis states with its table are shown under it. part, data: as for `figure`.
        """
        target = theses.target(id, self.notebook.number)
        merged, compared = theses.beside(id, frame)
        path, used = self.folder / f"{records.file_name(id, part)}.csv", self._used(data)
        records.save_table(path, merged)
        entry = {"file": path.name, "caption": caption or target.title, "compared": compared}
        self._record(target, "table", entry, used)
        note = [self._note(used)]
        if stated := theses.stated(id):
            note.append("the thesis's: " + ", ".join(f"{k} {v}" for k, v in stated.items()))
        show.table(merged, f"{id} {entry['caption']}", " · ".join(note))

    def claim(
        self,
        id: str,
        *,
        holds: bool | None,
        evidence: str,
        learnt: Mapping[str, float] | None = None,
    ) -> None:
        """Judge a claim and show the verdict.

        holds: whether the finding is found again; None where the evidence decides nothing.
        evidence: the numbers that say so. learnt: of each model that the claim rests on, its
        held-out error as a share of the error of silence or of the mean; where one is above 0.9
        that model has learnt nothing and there is no verdict.
        """
        claim = theses.claim(id, self.notebook.number)
        if learnt:
            told = ", ".join(f"{name} {share:.2f}" for name, share in learnt.items())
            evidence += f"; held-out error in shares of silence's: {told}"
        verdict = self._verdict(claim, holds, evidence, learnt or {})
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
        if lost := set(self._refit) - {"all"} - self.fits.keys():
            raise RecordError(
                f"{self.notebook.name} has no fit named {', '.join(sorted(lost))}; it has "
                f"{', '.join(self.fits) or 'none'}"
            )
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
            "fits": {
                name: {"weights": one.source, "seconds of training": one.seconds}
                for name, one in self.fits.items()
            },
            "shipped weights": dict(sorted(weights.TAKEN.items())),  # vocoders, too
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
        """The lines of every record: run, settings, seed, commit, weights and data used."""
        return {
            "notebook": self.notebook.name,
            "run": self.token,
            "profile": self.profile,
            "seed": self.seed,
            "commit": self._commit,
            "settings": dict(self.settings),
            "weights": dict(Counter(one.source for one in self.fits.values())),
            "data": [self._described(dataset) for dataset in used or ()],
        }

    def _described(self, dataset: Dataset) -> dict[str, Any]:
        small = {"models": "of the smoke profile's sizes"} if dataset.name in self._small else {}
        return records.described(dataset) | small

    def _used(self, data: Iterable[Dataset] | None) -> list[Dataset]:
        return list(self._datasets if data is None else data)

    def _warnings(self, used: list[Dataset]) -> list[str]:
        """Texts to be written into a figure itself, so that they can't get lost."""
        found = ["smoke run: nothing here is trained"] if self.profile == paths.SMOKE else []
        if stand_ins := _stand_ins(used):
            found.append(f"made from stand-in {stand_ins}, not from recordings")
        return found

    def _note(self, used: list[Dataset]) -> str:
        sources = "; ".join(f"{dataset.name}: {dataset.source}" for dataset in used)
        return f"{self.profile} profile, seed {self.seed}, {sources or 'no data'}"

    def _verdict(
        self, claim: theses.Claim, holds: bool | None, evidence: str, learnt: Mapping[str, float]
    ) -> str:
        if not evidence.strip():
            raise RecordError(f"claim {claim.id}: no evidence; say what was measured")
        real = {dataset.name for dataset in self._datasets if dataset.source == "real"}
        lacking = [name for name in claim.needs_real if name not in real]
        if self.profile == "smoke":
            return "not attempted (the smoke profile judges nothing)"
        if lacking:
            return f"not attempted (needs recordings of {', '.join(lacking)})"
        if idle := [name for name, share in learnt.items() if not share <= LEARNT]:
            return f"not attempted (nothing learnt yet: {', '.join(idle)})"
        if holds is None:
            return "not attempted (the evidence decides nothing)"
        return REPRODUCED if holds else DIFFERS


def _stand_ins(used: Iterable[Dataset]) -> str:
    return ", ".join(sorted({dataset.name for dataset in used if dataset.source == "stand-in"}))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
