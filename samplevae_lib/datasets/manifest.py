"""Which files a dataset must hold, by sha256, and whether they still do."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

from samplevae_lib.files import read_json, replacing, sha256, write_json

COLUMNS = ("path", "sha256", "bytes", "label")
_SEEN = ".verified.json"  # size and time of each file when it was last hashed


class IntegrityError(RuntimeError):
    """A file on disk is not the one the manifest names."""


@dataclass(frozen=True)
class Entry:
    """One file: path below the dataset's folder, digest, size in bytes, label."""

    path: str
    sha256: str
    bytes: int
    label: str


def read(path: Path) -> tuple[Entry, ...]:
    """The entries of a manifest CSV."""
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(
            Entry(row["path"], row["sha256"], int(row["bytes"]), row["label"])
            for row in csv.DictReader(file)
        )


def write(path: Path, entries: tuple[Entry, ...]) -> None:
    """Write a manifest CSV, one row a file."""
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows((e.path, e.sha256, e.bytes, e.label) for e in entries)


def describe(folder: Path, labels: dict[str, str]) -> tuple[Entry, ...]:
    """The manifest of files on disk; labels: path below `folder` → label."""
    return tuple(
        Entry(path, sha256(folder / path), (folder / path).stat().st_size, label)
        for path, label in sorted(labels.items())
    )


def missing(folder: Path, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """The entries that have no file."""
    return tuple(entry for entry in entries if not (folder / entry.path).is_file())


def verify(folder: Path, entries: tuple[Entry, ...]) -> None:
    """Raise `IntegrityError` naming every file that differs from its entry.

    A file whose size and time are those of the last check isn't hashed again, so that the check
    of 2,595 files takes milliseconds.
    """
    seen = read_json(folder / _SEEN) or {}
    fresh, wrong = {}, []
    for entry in entries:
        stat = os.stat(folder / entry.path)
        stamp = [stat.st_size, stat.st_mtime_ns, entry.sha256]
        if seen.get(entry.path) != stamp and sha256(folder / entry.path) != entry.sha256:
            wrong.append(entry.path)
        else:
            fresh[entry.path] = stamp
    if fresh != seen:
        write_json(folder / _SEEN, fresh)
    if wrong:
        raise IntegrityError(_explain(folder, wrong))


def _explain(folder: Path, wrong: list[str]) -> str:
    listed = ", ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
    return (
        f"{folder}: {len(wrong)} file(s) differ from the manifest: {listed}. "
        "Delete them and load again: they are taken from the archive anew."
    )
