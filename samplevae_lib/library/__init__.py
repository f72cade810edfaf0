"""A folder of sounds as a map that is played: `open` listens to it, encodes it and lays it out.

What was heard of each file is kept, so that only new and changed files are read again; the code
fitted on them and their map are kept too, so that a folder that is as it was opens at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock
from safetensors import SafetensorError
from scipy.stats import rankdata

from samplevae_lib import cache, models, paths, propagation, weights
from samplevae_lib.audio import SUFFIXES
from samplevae_lib.datasets.dataset import Problem
from samplevae_lib.datasets.store import shown
from samplevae_lib.files import sha256
from samplevae_lib.library import reading
from samplevae_lib.library.instrument import Library, Made
from samplevae_lib.models import drum_classifier
from samplevae_lib.models.envelope_vae import EnvelopeVAE
from samplevae_lib.progress import Progress, announce
from samplevae_lib.sample_map import METHODS, SampleMap

__all__ = ["Library", "Made", "open"]

DIMENSIONS = 128  # of the code; of few sounds, one fewer than there are
FEWEST = 4  # sounds that make a map
_FITTED = 8000  # of more sounds, so many are drawn to fit the code
_BATCH = 1000  # sounds that are encoded together
_ASIDE = 10  # neighbours that answer for a sound that the classifier didn't hear
_ALIKE = 1e-3  # dB: sounds that differ by less lie in one place, where t-SNE can't begin
_KINDS = 24  # more first sub-folders than these are not labels
_KIND = "library"  # the folder in the cache
# Of drums, closer to the latents than UMAP in every respect, and with nothing to compile first.
_OPTIONS = {"tsne": {"neighbours": 30, "iterations": 500}}


def open(
    folder: str | os.PathLike,
    *,
    method: str = "tsne",
    labels: bool | Mapping[str, str] = True,
    seed: int = 0,
) -> Library:
    """Every WAV, FLAC, OGG, MP3 and AIFF below a folder, but for hidden ones, as a `Library`.

    Sounds are kept whole, mixed to mono, and heard at the rate that most files have of those with
    16 kHz or more. What can't be read, is silent, is shorter than 5 ms or longer than a minute is
    left out: a line says so, and `problems` says why.

    method: of the map, "tsne", "umap" or "pca".
    labels: True takes the first sub-folders by which the paths differ, False none; or a label for
    each name, as in the column `name` of `sounds`.
    seed: of code and map, and of which sounds the classifier hears if there are more than 5,000.

    >>> import samplevae_lib as sv
    >>> lib = sv.library.open("/home/me/samples")  # doctest: +SKIP
    >>> audio, guess = lib.render([0.4, 0.7])  # doctest: +SKIP
    """
    folder = Path(folder).expanduser().resolve()
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: name one that holds sound files")
    if method not in METHODS:  # before minutes of reading
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    files, stamps, locked = reading.found(folder)
    arrays, notes = _state(folder, files, stamps, method, seed)
    problems = [Problem(*problem) for problem in notes["problems"]]
    problems += [Problem(shown(name), "is a folder that can't be opened") for name in locked]
    opened = _library(folder, arrays, problems, labels, seed)
    if problems:
        count = len(problems) + len(opened)
        announce(f"{len(problems)} of {count} files are left out: {_first(problems)}")
    if not opened.sounds["label"].any() and (opened.sounds["heard"] == "").mean() > 0.5:
        announce("Most of these are no drums that are known: features name the map's regions")
    opened.combine({0: 0.5, 1: 0.5})  # what is slow at first is not so at the first click
    opened.make(opened.points.mean(0))
    return opened


def _state(
    folder: Path, files: list[str], stamps: np.ndarray, method: str, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """All that a library is made of, from the cache if the files are what they were."""
    heard_by = sha256(weights.named(drum_classifier.FOLDER, drum_classifier.NAME).file)
    of = {"folder": str(folder), "seed": seed, "classifier": heard_by}
    of["code"] = cache.code_digest(__name__)
    heard, laid = cache.key(what="heard", **of), cache.key(what="laid", method=method, **of)
    now = cache.key(files=files, stamps=stamps)
    home = paths.cache() / _KIND
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / f"{heard}.lock"):
        kept = _kept(laid)
        if kept is None or kept[1]["files"] != now:
            with Progress(f"opening {shown(folder.name)}", 2 * len(files)) as progress:
                rows = _listened(folder, files, stamps, heard, progress, seed)
                kept = _laid_out(folder, rows, method, seed), {"files": now}
                progress.advance(len(files))
            kept[1]["problems"] = rows.problems()
            _keep(laid, *kept)
    return kept


def _listened(
    folder: Path, files: list[str], stamps: np.ndarray, entry: str, progress: Progress, seed: int
) -> reading.Rows:
    """What is heard of each file, which is read only where nothing is kept of it."""
    classifier = models.load("drum_classifier")
    rows, old = reading.Rows.unread(files, stamps), _kept(entry)
    fresh = rows.take(reading.Rows.of(*old)) if old else range(len(files))
    progress.advance(len(files) - len(fresh))
    reading.listen(folder, rows, fresh, classifier, progress=progress, seed=seed)
    if len(fresh):
        _keep(entry, *rows.state())
    return rows


def _laid_out(folder: Path, rows: reading.Rows, method: str, seed: int) -> dict[str, np.ndarray]:
    """The code and the map of all sounds, and the class that each is heard as."""
    good = np.flatnonzero([not reason for reason in rows.reasons])
    if len(good) < FEWEST:
        raise ValueError(f"{folder}: {_too_few(rows, len(good))}")
    drawn = np.sort(np.random.default_rng(seed).permutation(good)[:_FITTED])
    vae = EnvelopeVAE.fit(rows.levels[drawn], DIMENSIONS, seed=seed)
    parts = np.split(good, range(_BATCH, len(good), _BATCH))
    vectors = np.concatenate([vae.encode(rows.levels[part]) for part in parts]) * vae.deviations
    method = method if np.ptp(vectors, axis=0).max() > _ALIKE else "pca"
    laid = SampleMap.fit(vectors, method=method, seed=seed, **_OPTIONS.get(method, {}))
    heard, sure = _heard_as(rows.heard[good], rows.sure[good], vectors)
    return {
        "names": reading.packed([rows.files[i] for i in good]), "facts": rows.facts[good],
        "heard": heard, "sure": sure, "noise": np.array([vae.noise]),
        "mean": vae.mean, "basis": vae.basis, "deviations": vae.deviations,
        **{f"map.{name}": array for name, array in laid.state().items()},
    }  # fmt: skip


def _too_few(rows: reading.Rows, usable: int) -> str:
    if not rows.files:
        return f"no sound files; looked for {', '.join(SUFFIXES)}"
    told = f"{usable} of {len(rows.files)} files can be used, and a map needs {FEWEST} or more"
    problems = [Problem(*problem) for problem in rows.problems()]
    return f"{told}: {_first(problems)}" if problems else told


def _first(problems: Sequence[Problem], *, most: int = 3) -> str:
    told = [f"{problem.path!r} {problem.reason}" for problem in problems[:most]]
    return "; ".join(told + [f"and {len(problems) - most} more"] * (len(problems) > most))


def _heard_as(
    heard: np.ndarray, sure: np.ndarray, vectors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The class of each sound and how sure that is, also where the classifier wasn't asked.

    There it is what most of the nearest sounds are that were, and their share.
    """
    known, classes = heard >= 0, len(drum_classifier.CLASSES) + 1
    near = min(_ASIDE, int(known.sum()))
    shares = propagation.vote(vectors, heard, known, classes=classes, k=near)
    heard[~known], sure[~known] = shares.argmax(1), shares.max(1)
    return heard, sure


def _library(
    folder: Path, arrays: Mapping[str, np.ndarray], problems: Sequence[Problem],
    labels: bool | Mapping[str, str], seed: int,
) -> Library:  # fmt: skip
    vae = EnvelopeVAE(
        arrays["mean"], arrays["basis"], arrays["deviations"], arrays["noise"].item()
    )  # fmt: skip
    laid = {name[4:]: array for name, array in arrays.items() if name.startswith("map.")}
    sounds = _table(folder, arrays, labels)
    own = arrays["facts"][:, reading.FACTS.index("rate")]
    rates, counts = np.unique(own[own >= 2 * reading.ENVELOPE.top], return_counts=True)
    rate = int(rates[counts.argmax()]) if len(rates) else int(2 * reading.ENVELOPE.top)
    return Library(folder, rate, sounds, SampleMap.from_state(laid), vae, tuple(problems), seed)


def _table(
    folder: Path, arrays: Mapping[str, np.ndarray], labels: bool | Mapping[str, str]
) -> pd.DataFrame:
    """`Library.sounds`. Texts are objects: not every other kind takes a name that is no UTF-8."""
    files = reading.unpacked(arrays["names"])
    names = [shown(file) for file in files]
    facts = dict(zip(reading.FACTS, arrays["facts"].T, strict=True))
    given = [labels.get(name, "") for name in names] if isinstance(labels, Mapping) else None
    label = given or (_sub_folders(files) if labels else [""] * len(files))
    heard = np.array([*drum_classifier.CLASSES, ""], object)[arrays["heard"]]
    ranks = {
        feature: (rankdata(facts[fact]) - 1) / (len(files) - 1)
        for feature, fact in (("bright", "centroid"), ("noisy", "flatness"), ("long", "rings"))
    }
    texts = {"name": names, "path": [os.path.join(folder, f) for f in files], "label": label}
    return pd.DataFrame({
        **{name: pd.Series(text, dtype=object) for name, text in texts.items()},
        "seconds": facts["seconds"], **ranks,
        "heard": heard, "sure": arrays["sure"], "kind": label if any(label) else heard,
        "centroid": facts["centroid"], "peak": facts["peak"], "begins": facts["begins"],
    })  # fmt: skip


def _sub_folders(files: Sequence[str]) -> list[str]:
    """For each path the first folder after those that all share; "" for all if there is but one,
    or if there are so many that they must be packs or machines and no kinds of sound.
    """
    parents = [Path(file).parent.parts for file in files]
    shared = len([*takewhile(lambda level: len({*level}) == 1, zip(*parents, strict=False))])
    firsts = [shown(parent[shared]) if len(parent) > shared else "" for parent in parents]
    return firsts if 1 < len({*firsts} - {""}) <= _KINDS else [""] * len(files)


def _keep(entry: str, arrays: Mapping[str, np.ndarray], notes: Mapping[str, Any]) -> None:
    cache.store(_KIND, entry, arrays, {**notes, "whole": cache.key(**arrays)})


def _kept(entry: str) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """An entry of the cache, or None where there is none or it is damaged."""
    try:
        found = cache.load(_KIND, entry)
        return found if found and found[1]["whole"] == cache.key(**found[0]) else None
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        return None
