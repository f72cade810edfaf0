"""Any folder of the user's own sounds."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from samplevae_lib.audio import SUFFIXES
from samplevae_lib.datasets.dataset import Dataset
from samplevae_lib.datasets.store import Decoding, from_files, shown

LABELS_FROM = ("auto", "sub-folder", "file name")
MAX_SECONDS = 60.0


def load(
    path: str | os.PathLike,
    *,
    labels: str = "auto",
    sample_rate: int = 22050,
    samples: int = 16384,
    max_seconds: float = MAX_SECONDS,
) -> Dataset:
    """Every WAV, FLAC, OGG, MP3 and AIFF below the folder; what can't be read is in `problems`.

    labels: "sub-folder" names a sound after the folder it lies in, "file name" after the letters
    that its name begins with (kick_01.wav → kick); "auto" takes the sub-folder where there is one.
    sample_rate: Hz. samples: what each sound is padded or cut to.
    max_seconds: longer files are left out.
    Groups are the sub-folders.
    """
    folder = Path(path).expanduser().resolve()
    if labels not in LABELS_FROM:
        raise ValueError(f"labels must be one of {', '.join(LABELS_FROM)}, not {labels!r}")
    files = sound_files(folder)
    if not files:
        raise ValueError(f"{folder}: no sound files; looked for {', '.join(SUFFIXES)}")
    rows = {file: _row(folder, file, labels) for file in files}
    how = Decoding(sample_rate, samples, max_seconds)
    name = shown(folder.name)
    provenance = {"version": f"folder {name}", "licence": "the user's own"}
    return from_files(name, folder, rows, how, provenance=provenance)


def sound_files(folder: Path, *, onerror: Callable[[OSError], None] | None = None) -> list[str]:
    """The paths of all sound files below the folder, sorted, without hidden ones.

    onerror: is told of each sub-folder that can't be opened.
    """
    found = []
    for parent, folders, files in os.walk(folder, onerror=onerror):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            os.path.relpath(os.path.join(parent, name), folder)
            for name in files
            if name.lower().endswith(SUFFIXES) and not name.startswith(".")
        ]
    return sorted(found)


def _row(folder: Path, file: str, labels: str) -> dict:
    parent = os.path.dirname(file)
    by_folder = labels == "sub-folder" or (labels == "auto" and parent)
    label = os.path.basename(parent) or folder.name if by_folder else _leading_letters(file)
    return {"label": shown(label), "group": shown(parent) or "."}


def _leading_letters(file: str) -> str:
    stem = os.path.splitext(os.path.basename(file))[0]
    letters = re.match(r"[^\W\d_]+", stem)
    return letters[0].lower() if letters else stem
