"""Decoded audio in one memory-mapped file, so that a library is decoded once and opened at once.

A store is `<key>.f32` (float32, n × samples, row after row) beside `<key>.json`, which says
what each row is and which files were left out. The key of a folder is made of every file's size
and time, the rate and the length, so a changed folder gets a new store; the key of synthesised
sounds is made of the code and the options they came from.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from samplevae_lib import audio, paths
from samplevae_lib.cache import code_digest
from samplevae_lib.datasets import download
from samplevae_lib.datasets.dataset import Clip, Dataset, Problem
from samplevae_lib.files import read_json, replacing, write_json
from samplevae_lib.progress import track

DATA = ("auto", "real", "stand-in")
RULES = 1  # raise when decoding, mixing or fitting changes, so that old stores are left alone


class StandInWarning(UserWarning):
    """Synthesised sounds take the place of recordings that are out of reach."""


@dataclass(frozen=True)
class Decoding:
    """How files become rows.

    sample_rate: Hz. samples: length of every row; longer sounds are cut, shorter ones padded.
    max_seconds: longer files are left out.
    """

    sample_rate: int
    samples: int
    max_seconds: float = audio.MAX_SECONDS


@dataclass(frozen=True)
class Stored:
    """What a store holds.

    audio: float32 (n, samples), mapped read-only.
    seconds: the natural length of each sound, (n,).
    rows: what else was kept of each sound, n dicts.
    problems: the files that were left out.
    """

    audio: np.ndarray
    seconds: np.ndarray
    rows: list[dict]
    problems: tuple[Problem, ...] = ()


def real_or_stand_in(
    data: str, real: Callable[[], Dataset], stand_in: Callable[[str], Dataset]
) -> Dataset:
    """The recordings, or the stand-in, whose maker is told the reason for it.

    data: "real" insists on recordings, "stand-in" on synthesised sounds; "auto" takes the
    stand-in where no recordings can be had, with a `StandInWarning`. Recordings that are there
    but damaged are an error all the same.
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
    """The files of a folder as a dataset of real recordings.

    rows: path below `folder` → {"label": …, "group": …, further columns}.
    problems: files that the caller left out; those that can't be read are added to them.
    """
    files = list(rows)
    stored = decode_folder(folder, files, how)
    kept = [files[row["position"]] for row in stored.rows]
    columns = _columns([rows[file] for file in kept], list(rows.values()))
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
        problems=(*problems, *stored.problems),
        attributes=columns,
    )


def from_clips(
    name: str, clips: Iterable[Clip], how: Decoding, *, key: tuple, total: int, reason: str
) -> Dataset:
    """Synthesised sounds as a dataset that says of itself that it is a stand-in.

    clips: drawn only where the store doesn't hold them yet; each at the rate of `how`.
    key: all that decides how the clips sound, beside the code of datasets.stand_ins.NAME.
    total: how many clips there are. reason: why they take the place of recordings.
    """
    code = code_digest(f"samplevae_lib.datasets.stand_ins.{name}")
    stored = keep_clips(clips, how, key=(name, code, *key), total=total)
    columns = _columns(stored.rows, stored.rows)
    return Dataset(
        name=name,
        audio=stored.audio,
        sample_rate=how.sample_rate,
        names=columns.pop("name"),
        labels=columns.pop("label"),
        groups=columns.pop("group"),
        durations=stored.seconds,
        source="stand-in",
        provenance={"version": f"synthesiser {code}", "licence": "MIT", "reason": reason},
        attributes=columns,
    )


def _columns(rows: list[dict], named: list[dict]) -> dict[str, np.ndarray]:
    """One array a column; the names come from `named`, for `rows` may be empty."""
    names = named[0] if named else {"label": "", "group": ""}
    return {name: np.array([row[name] for row in rows]) for name in names}


def shown(name: str) -> str:
    """A file's name as text that can be printed, also where its bytes are not valid UTF-8."""
    return os.fsencode(name).decode("utf-8", "replace")


def decode_folder(folder: Path, files: Sequence[str], how: Decoding) -> Stored:
    """Every file below `folder` as one row; a row keeps its file's `position` in `files`."""
    digest = hashlib.sha256(repr((RULES, str(folder), how)).encode())
    for name in files:
        digest.update(os.fsencode(name) + f"\0{_stamp(folder / name)}\0".encode())

    def results() -> Iterator[tuple | Problem]:
        for position, name in enumerate(track(files, f"decoding {shown(folder.name)}")):
            try:
                sound, rate = audio.read(os.path.join(folder, name), max_seconds=how.max_seconds)
            except audio.AudioError as error:
                yield Problem(shown(name), error.reason)
            else:
                yield audio.resample(sound, rate, how.sample_rate), {"position": position}

    return _stored(digest.hexdigest()[:20], how, results)


def keep_clips(clips: Iterable[Clip], how: Decoding, *, key: tuple, total: int) -> Stored:
    """Synthesised sounds, made only where no store of this key exists."""
    digest = hashlib.sha256(repr((RULES, how, key)).encode()).hexdigest()[:20]

    def results() -> Iterator[tuple]:
        for clip in track(clips, "synthesising", total=total):
            row = {"name": clip.name, "label": clip.label, "group": clip.group}
            yield clip.audio, row | clip.attributes

    return _stored(digest, how, results)


def _stamp(path: Path) -> tuple[int, int] | str:
    """Size and time; a link that leads nowhere has neither, and decoding says so by name."""
    try:
        found = os.stat(path)
    except OSError:
        return "missing"
    return found.st_size, found.st_mtime_ns


def _stored(key: str, how: Decoding, results: Callable[[], Iterable[tuple | Problem]]) -> Stored:
    """Open the store of this key; where there is none, fill it with `results()` first."""
    rows, index = (paths.cache() / "audio" / f"{key}{suffix}" for suffix in (".f32", ".json"))
    rows.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(rows.with_suffix(".lock")):
        if not (rows.exists() and index.exists()):
            write_json(index, _fill(rows, how, results()))
    return _open(rows, read_json(index), how.samples)


def _fill(rows: Path, how: Decoding, results: Iterable[tuple | Problem]) -> dict:
    """Write each sound as a row; what a short one leaves of its row is a hole that reads as 0."""
    index: dict[str, list] = {"seconds": [], "rows": [], "problems": []}
    stride = how.samples * np.dtype(np.float32).itemsize
    with replacing(rows) as partial, partial.open("wb") as out:
        for result in results:
            if isinstance(result, Problem):
                index["problems"].append(list(result))
                continue
            sound, kept = result
            short = len(sound) <= how.samples
            row = sound if short else audio.cut_or_pad(sound, how.samples)
            out.seek(len(index["rows"]) * stride)
            out.write(np.ascontiguousarray(row))
            index["seconds"].append(round(len(sound) / how.sample_rate, 6))
            index["rows"].append(kept)
        out.truncate(len(index["rows"]) * stride)
    return index


def _open(rows: Path, index: dict, samples: int) -> Stored:
    shape = (len(index["rows"]), samples)
    empty = np.zeros(shape, dtype=np.float32)  # a file of no bytes can't be mapped
    return Stored(
        audio=np.memmap(rows, dtype=np.float32, mode="r", shape=shape) if shape[0] else empty,
        seconds=np.array(index["seconds"], dtype=np.float64),
        rows=index["rows"],
        problems=tuple(Problem(*problem) for problem in index["problems"]),
    )
