"""Decoded audio in one memory-mapped file, so that a library is decoded once and opened at once.

A store is `<key>.f32` (float32, n × samples, row after row) beside `<key>.json`, which says
what each row is and which files were left out. The key of a folder is made of every file's size
and time, the rate and the length, so a changed folder gets a new store; the key of synthesised
sounds is made of the code and the options they came from.
"""

from __future__ import annotations

import errno
import hashlib
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from filelock import FileLock

from samplevae_lib import audio, paths
from samplevae_lib.cache import code_digest
from samplevae_lib.datasets import download
from samplevae_lib.datasets.dataset import Clip, Dataset, Problem
from samplevae_lib.files import read_json, replacing, write_json
from samplevae_lib.progress import Progress, track

RULES = 1  # raise when decoding, mixing or fitting changes, so that old stores are left alone
_BLOCK = 32  # files that a thread finishes in one go


@dataclass(frozen=True)
class Decoding:
    """How files become rows: rate in Hz, length in samples, longest sound in seconds."""

    sample_rate: int
    samples: int
    max_seconds: float = audio.MAX_SECONDS


@dataclass(frozen=True)
class Stored:
    """The rows of a store, and for each its natural length and what else was kept."""

    audio: np.ndarray
    seconds: np.ndarray
    rows: list[dict]
    problems: tuple[Problem, ...] = ()

    def column(self, name: str) -> np.ndarray:
        """One value a row."""
        return np.array([row[name] for row in self.rows])


def decode_folder(folder: Path, files: Sequence[str], how: Decoding) -> Stored:
    """Every file below `folder` as one row; a row keeps its file's `position` in `files`."""
    key = _folder_key(folder, files, how)
    return _stored(key, how.samples, lambda: _decode(folder, files, how))


def keep_clips(clips: Iterable[Clip], samples: int, *, key: tuple, total: int) -> Stored:
    """Synthesised sounds, made only where no store of this key exists."""
    digest = hashlib.sha256(repr((RULES, samples, key)).encode()).hexdigest()[:20]

    def rows() -> Iterator[tuple[np.ndarray, float, dict]]:
        for clip in track(clips, "synthesising", total=total):
            row = {"name": clip.name, "label": clip.label, "group": clip.group}
            yield _cut(clip.audio, samples), len(clip.audio), row | clip.attributes

    return _stored(digest, samples, rows)


def shown(name: str) -> str:
    """A file's name as text that can be printed, also where its bytes are not valid UTF-8."""
    return os.fsencode(name).decode("utf-8", "replace")


def decode_one(path: str, how: Decoding) -> tuple[np.ndarray, float] | str:
    """One file, cut to a row, and its natural length in seconds, or why it can't be read."""
    return _finish(_read(path, how), how)


def _read(path: str, how: Decoding) -> tuple[np.ndarray, int] | str:
    try:
        return audio.read(path, max_seconds=how.max_seconds)
    except audio.AudioError as error:
        return error.reason


def _finish(read: tuple[np.ndarray, int] | str, how: Decoding) -> tuple[np.ndarray, float] | str:
    if isinstance(read, str):
        return read
    sound = audio.resample(*read, how.sample_rate)
    return _cut(sound, how.samples), len(sound) / how.sample_rate


def _decode(folder: Path, files: Sequence[str], how: Decoding) -> Iterator[tuple | Problem]:
    """Each file's row or problem, in order."""

    def begin(name: str) -> Callable | tuple | str:
        read = partial(_read, os.path.join(folder, name), how)
        # Reading a WAV is work for the interpreter, which has one lock: two threads that share
        # it are slower than one. Compressed sounds are decoded outside it, so in the pool.
        return read() if name.lower().endswith(".wav") else read

    def finish(block: list[Callable | tuple | str]) -> list[tuple[np.ndarray, float] | str]:
        return [_finish(begun() if callable(begun) else begun, how) for begun in block]

    starts = range(0, len(files), _BLOCK)
    blocks = ([begin(name) for name in files[start : start + _BLOCK]] for start in starts)
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        Progress(f"decoding {shown(folder.name)}", len(files)) as progress,
    ):
        for start, results in zip(starts, _a_few_ahead(pool, finish, blocks), strict=True):
            for position, result in enumerate(results, start):
                if isinstance(result, str):
                    yield Problem(str(position), result)
                else:
                    yield *result, {"position": position}
            progress.advance(len(results))


def _a_few_ahead(pool: ThreadPoolExecutor, work: Callable, items: Iterable) -> Iterator:
    """`pool.map` that never works far ahead: a slow disk must not fill the memory."""
    waiting: deque[Future] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > 2 * (os.cpu_count() or 1):
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _stored(key: str, samples: int, produce) -> Stored:
    """Open the store of this key; where there is none, fill it from `produce()` first."""
    rows, index = (paths.cache() / "audio" / f"{key}{suffix}" for suffix in (".f32", ".json"))
    rows.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(rows.with_suffix(".lock")):
        if not (rows.exists() and index.exists()):
            write_json(index, _fill(rows, samples, produce()))
    return _open(rows, read_json(index), samples)


def _cut(sound: np.ndarray, samples: int) -> np.ndarray:
    return sound if len(sound) <= samples else audio.cut_or_pad(sound, samples)


def _fill(rows: Path, samples: int, results: Iterable[tuple | Problem]) -> dict:
    """Write row after row; what a short sound leaves of its row is a hole that reads as 0."""
    index: dict[str, list] = {"seconds": [], "rows": [], "problems": []}
    stride = samples * np.dtype(np.float32).itemsize
    with replacing(rows) as partial, partial.open("wb", buffering=0) as out:
        for result in results:
            if isinstance(result, Problem):
                index["problems"].append(list(result))
                continue
            row, seconds, kept = result
            _put(out.fileno(), np.ascontiguousarray(row), len(index["rows"]) * stride)
            index["seconds"].append(round(seconds, 6))
            index["rows"].append(kept)
        out.truncate(len(index["rows"]) * stride)
    return index


def _put(file: int, row: np.ndarray, place: int) -> None:
    """Write a row at a byte; a disk that has room for half of it is full."""
    if os.pwrite(file, memoryview(row), place) < row.nbytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _open(rows: Path, index: dict, samples: int) -> Stored:
    shape = (len(index["rows"]), samples)
    empty = np.zeros(shape, dtype=np.float32)  # a file of no bytes can't be mapped
    return Stored(
        audio=np.memmap(rows, dtype=np.float32, mode="r", shape=shape) if shape[0] else empty,
        seconds=np.array(index["seconds"], dtype=np.float64),
        rows=index["rows"],
        problems=tuple(Problem(*problem) for problem in index["problems"]),
    )


def _folder_key(folder: Path, files: Sequence[str], how: Decoding) -> str:
    digest = hashlib.sha256(repr((RULES, str(folder), how)).encode())
    for name in files:
        digest.update(os.fsencode(name) + f"\0{_stamp(folder / name)}\0".encode())
    return digest.hexdigest()[:20]


def _stamp(path: Path) -> tuple[int, int] | str:
    """Size and time; a link that leads nowhere has neither, and decoding says so by name."""
    try:
        found = os.stat(path)
    except OSError:
        return "missing"
    return found.st_size, found.st_mtime_ns


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
