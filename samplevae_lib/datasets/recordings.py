"""The way from a folder of sound files, or a synthesiser in its place, to a `Dataset`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from samplevae_lib.datasets import download
from samplevae_lib.datasets.clip import Clip
from samplevae_lib.datasets.dataset import Dataset, Problem
from samplevae_lib.datasets.store import Decoding, decode_folder, keep_clips, shown
from samplevae_lib.provenance import code_digest

DATA = ("auto", "real", "stand-in")


class StandInWarning(UserWarning):
    """Synthesised sounds take the place of recordings that are out of reach."""


def real_or_stand_in(
    data: str, real: Callable[[], Dataset], stand_in: Callable[[str], Dataset]
) -> Dataset:
    """The recordings; under "auto" the stand-in where they are out of reach, said aloud.

    Only `DataUnavailable` leads to the stand-in. Files that are there but damaged are an error.
    """
    if data not in DATA:
        raise ValueError(f"data must be one of {', '.join(DATA)}, not {data!r}")
    if data == "stand-in":
        return stand_in("asked for")
    try:
        return real()
    except download.DataUnavailable as error:
        if data == "real":
            raise
        reason = str(error)
    warnings.warn(f"Stand-in sounds, not recordings: {reason}", StandInWarning, stacklevel=2)
    return stand_in(reason)


def from_files(
    name: str,
    folder: Path,
    rows: Mapping[str, dict],
    how: Decoding,
    *,
    provenance: Mapping[str, str | int],
    problems: Iterable[Problem] = (),
) -> Dataset:
    """Decode the files named by `rows`: path → {"label", "group", further columns}."""
    files = list(rows)
    stored = decode_folder(folder, files, how)
    kept = [files[position] for position in stored.column("position")] if stored.rows else []
    columns = _columns([rows[file] for file in kept], list(rows.values()))
    left_out = [Problem(shown(files[int(p.path)]), p.reason) for p in stored.problems]
    return Dataset(
        name=name,
        audio=stored.audio,
        sample_rate=how.sample_rate,
        names=np.array([shown(file) for file in kept], dtype=str),
        labels=columns.pop("label").astype(str),
        groups=columns.pop("group").astype(str),
        durations=stored.seconds,
        source="real",
        provenance=provenance,
        problems=(*problems, *left_out),
        attributes=columns,
    )


def from_clips(
    name: str, clips: Iterable[Clip], how: Decoding, *, key: tuple, total: int, reason: str
) -> Dataset:
    """Synthesised sounds as a dataset that says of itself that it is a stand-in."""
    code = code_digest(f"samplevae_lib.datasets.stand_ins.{name}")
    stored = keep_clips(clips, how.samples, key=(name, code, how.sample_rate, *key), total=total)
    columns = _columns(stored.rows, stored.rows)
    return Dataset(
        name=name,
        audio=stored.audio,
        sample_rate=how.sample_rate,
        names=columns.pop("name"),
        labels=columns.pop("label"),
        groups=columns.pop("group"),
        durations=stored.seconds / how.sample_rate,
        source="stand-in",
        provenance={"version": f"synthesiser {code}", "licence": "MIT", "reason": reason},
        attributes=columns,
    )


def _columns(rows: list[dict], named: list[dict]) -> dict[str, np.ndarray]:
    """One array a column; the names come from `named`, for `rows` may be empty."""
    names = named[0] if named else {"label": "", "group": ""}
    return {name: np.array([row[name] for row in rows]) for name in names}
