"""Sort a folder of drum samples: the class of every file, what it sounds like, what is there twice.

Nothing in the folder is moved, changed or written over: a sorted copy goes somewhere else. A file
that can't be used keeps its row in the table, which says why.
"""

from __future__ import annotations

import filecmp
import itertools
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import lfilter
from sklearn.neighbors import NearestNeighbors

from samplevae_lib import audio, models
from samplevae_lib.datasets.folder import MAX_SECONDS, sound_files
from samplevae_lib.datasets.store import shown
from samplevae_lib.files import write_text
from samplevae_lib.progress import Progress, track

UNSURE = "unsure"
_BATCH = 64  # files that the classifier hears together
_RATE = 16000  # Hz at which sounds are compared with each other
_EMPHASIS = 0.9  # raises the treble, or kicks that differ in their click would pass for the same
_PASSED = (1e-4, 0.99, 0.999)  # shares of its energy after which a sound begins, fades and is over
_ALIKE = 0.97  # correlation: an MP3 of 128 kbit/s is above it, another hit of a machine below
_LONGER = 0.1  # the share by which equal sounds may differ in length
_FINE = 8  # steps a sample: half a sample's delay would hide that two sounds share their treble
_EDGES = np.unique(np.geomspace(1, _RATE + 1, 500).astype(int)) - 1  # of bands, in bins
_NAME_BYTES = 255  # the most that file systems take


def sort(
    folder: str | os.PathLike,
    *,
    classifier: Any = None,
    sure: float = 0.5,
    target: str | os.PathLike | None = None,
) -> pd.DataFrame:
    """One row for every sound file below the folder, but for hidden ones and linked folders.

    classifier: by default the drum classifier that comes with the project.
    sure: the probability, 0 to 1, under which a sound counts as unsure.
    target: where the sorted copy will lie; what is there already isn't sorted.

    The columns: `file` below the folder; `class` and `probability`, `second` and
    `second_probability` of the next likely one; `nearest`, up to three of the sounds that the
    classifier learnt from; `duplicates`, the other files with the same sound at any level and
    rate, in any format, with any silence around it (hits of an analogue machine at nearly the same
    setting count, too); `goes_to`, the folder for the copy; `problem`, why a file has no class.

    >>> from samplevae_lib import sorting
    >>> table = sorting.sort("/home/me/samples")  # doctest: +SKIP
    >>> copies = sorting.copy_sorted("/home/me/samples", table, "/home/me/drums")  # doctest: +SKIP
    """
    folder = Path(folder).expanduser().resolve()
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: name one that holds sound files")
    if not 0 <= sure <= 1:
        raise ValueError(f"sure is {sure}: expected a probability, 0 to 1")
    classifier = models.load("drum_classifier") if classifier is None else classifier
    files = _listed(folder, target and _allowed(folder, target, classifier.classes))
    heard, problems = _listen(folder, files, classifier)
    if not heard:
        reasons = "; ".join(_first(problems))
        raise ValueError(f"{folder}: none of {len(files)} files can be used: {reasons}")
    unread = pd.DataFrame(problems.items(), columns=["file", "problem"], dtype=object)
    table = pd.concat([_classified(heard, classifier, sure), unread])
    return table.sort_values("file", ignore_index=True)


def copy_sorted(
    folder: str | os.PathLike, table: pd.DataFrame, target: str | os.PathLike
) -> list[Path]:
    """Copy every file that has a class to target/class/name or target/unsure/name.

    table: what `sort` made of the folder. A file that the target has under that name stays: where
    it has the same content there is nothing to copy, else the copy is called "name (2)".
    Returns where each file can now be found.
    """
    folder, chosen = Path(folder).expanduser().resolve(), table.dropna(subset="goes_to")
    target, copies = _allowed(folder, target, chosen["goes_to"]), []
    for file, place in track([*zip(chosen["file"], chosen["goes_to"], strict=True)], "copying"):
        try:
            copies.append(_copy(folder / file, target / place))
        except OSError as error:
            raise RuntimeError(
                f"{file!r} was not copied to {str(target / place)!r}: "
                f"{error.strerror}; make room there or name another folder. The {len(copies)} "
                "files before it are copied and stay"
            ) from error
    return copies


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write the table as RFC 4180 has it, in UTF-8; bytes of a name that are none show as �."""
    lists = ("nearest", "duplicates")
    table = table.assign(**{n: table[n].map(" | ".join, na_action="ignore") for n in lists})
    write_text(path, shown(table.to_csv(index=False, float_format="%.4f", lineterminator="\r\n")))


def summary(table: pd.DataFrame) -> str:
    """How many sounds there are of each class, how many are unsure, there twice or unread."""
    counts, unread = table["goes_to"].value_counts().to_dict(), table.dropna(subset="problem")
    twice = int(table["duplicates"].str.len().gt(0).sum())
    counts |= {UNSURE: counts.pop(UNSURE, 0), "with duplicates": twice, "not read": len(unread)}
    lines = [f"{name:<15} {count:>6}" for name, count in counts.items()]
    reasons = _first(dict(unread[["file", "problem"]].to_numpy()))
    return "\n".join([*lines, *(f"  {reason}" for reason in reasons)])


def _first(problems: dict[str, str], *, most: int = 5) -> list[str]:
    told = [f"{file!r} {reason}" for file, reason in problems.items()]
    return told[:most] + ([f"and {len(told) - most} more"] if len(told) > most else [])


def _allowed(folder: Path, target: str | os.PathLike, places: Iterable[str]) -> Path:
    """The full path of a target, unless copies to it would land in the folder that is sorted."""
    target = Path(target).expanduser().resolve()
    if folder in {(target / place).resolve() for place in (".", UNSURE, *places)}:
        raise ValueError(
            f"{target}: copies would go into the folder that is sorted, "
            f"{folder}; name another folder for them"
        )
    return target


def _listed(folder: Path, target: Path | None) -> list[str]:
    """Sound files below the folder, not below the target; also sub-folders that can't be opened."""
    locked: list[OSError] = []
    files = sound_files(folder, onerror=locked.append)
    files += [os.path.relpath(error.filename, folder) for error in locked]
    if target and target.is_relative_to(folder):
        files = [file for file in files if not (folder / file).is_relative_to(target)]
    if not files:
        looked = ", ".join(audio.SUFFIXES)
        raise ValueError(f"{folder}: no sound files to sort; looked for {looked}")
    return files


def _listen(
    folder: Path, files: Sequence[str], classifier: Any
) -> tuple[dict[str, tuple], dict[str, str]]:
    """Probabilities, vector and excerpt of each sound; and why the other files have none."""
    heard, problems, rate = {}, {}, classifier.sample_rate
    with Progress("listening", len(files)) as progress:
        for start in range(0, len(files), _BATCH):
            sounds = {}
            for file in files[start : start + _BATCH]:
                try:
                    sounds[file] = _read(folder / file, rate)
                except (audio.AudioError, OSError) as error:
                    problems[file] = getattr(error, "reason", str(error))
                progress.advance()
            if batch := list(sounds.values()):
                made = classifier.probabilities(batch, rate), classifier.embed(batch, rate)
                excerpts = [_excerpt(sound, rate) for sound in batch]
                heard |= zip(sounds, zip(*made, excerpts, strict=True), strict=True)
    return heard, problems


def _read(path: Path, rate: int) -> np.ndarray:
    if path.exists() and not path.is_file():  # to open a pipe might take for ever
        raise audio.AudioError(path, "is no file, or a folder that cannot be opened")
    return audio.read(path, sample_rate=rate, max_seconds=MAX_SECONDS)[0]


def _classified(heard: dict[str, tuple], classifier: Any, sure: float) -> pd.DataFrame:
    files, (chances, vectors, excerpts) = list(heard), zip(*heard.values(), strict=True)
    chances = np.array(chances, dtype=float)
    order = np.argsort(-chances, axis=1)[:, :2]
    best, second = np.array(classifier.classes, dtype=object)[order].T
    first, then = np.take_along_axis(chances, order, axis=1).T
    known, same = classifier.known, np.array(_first_of_each(excerpts))
    index = NearestNeighbors(n_neighbors=min(3, len(known.names))).fit(known.vectors)
    near = index.kneighbors(vectors, return_distance=False)
    twins = ([j for j in np.flatnonzero(same == k) if j != i] for i, k in enumerate(same))
    return pd.DataFrame({
        # Not every kind of text that pandas knows takes a name that is not valid UTF-8.
        "file": pd.Series(files, dtype=object),
        "class": best, "probability": first, "second": second, "second_probability": then,
        "nearest": [tuple(f"{known.names[k]} ({known.labels[k]})" for k in row) for row in near],
        "duplicates": [tuple(files[j] for j in row) for row in twins],
        "goes_to": np.where(first >= sure, best, UNSURE),
    })  # fmt: skip


def _excerpt(sound: np.ndarray, rate: int) -> tuple[np.ndarray, float]:
    """A sound's first second at 16 kHz, of energy 1, and after how many seconds it fades."""
    energy = np.cumsum(np.square(sound, dtype=np.float64))
    start, fading, over = np.searchsorted(energy, energy[-1] * np.array(_PASSED))
    begun = audio.resample(sound[start : over + 1][:rate], rate, _RATE)
    bright = lfilter([1, -_EMPHASIS], 1, begun).astype(np.float32)
    return bright / max(float(np.linalg.norm(bright)), 1e-9), (fading - start) / rate


def _first_of_each(excerpts: Sequence[tuple[np.ndarray, float]]) -> list[int]:
    """For each sound the number of the first one that is the same; its own if there is none.

    Two sounds correlate no more than their spectra in bands do, at any delay (Cauchy-Schwarz), so
    only sounds with neighbouring bands need be compared.
    """
    powers = (np.square(np.abs(rfft(excerpt, 2 * _RATE))) for excerpt, _ in excerpts)
    bands = np.sqrt([np.add.reduceat(power, _EDGES) for power in powers])
    bands /= np.maximum(np.linalg.norm(bands, axis=1, keepdims=True), 1e-9)
    index = NearestNeighbors(radius=np.sqrt(2 - 2 * _ALIKE)).fit(bands)
    firsts: list[int] = []
    for i, near in enumerate(index.radius_neighbors(bands, return_distance=False)):
        earlier = (j for j in sorted(near) if j < i and firsts[j] == j)
        firsts.append(next((j for j in earlier if _alike(*excerpts[j], *excerpts[i])), i))
    return firsts


def _alike(a: np.ndarray, a_seconds: float, b: np.ndarray, b_seconds: float) -> bool:
    if abs(a_seconds - b_seconds) > _LONGER * max(a_seconds, b_seconds):
        return False
    length = next_fast_len(len(a) + len(b), real=True)
    finely = irfft(rfft(a, length).conj() * rfft(b, length), _FINE * length)
    return bool(_FINE * np.abs(finely).max() > _ALIKE)


def _copy(source: Path, folder: Path) -> Path:
    """The copy of a file in a folder: a new one, or one of the same content that is there."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        stem, ending = source.stem, f" ({number})" * (number > 1) + source.suffix
        while len(os.fsencode(stem + ending)) > _NAME_BYTES:
            stem = stem[:-1]
        path = folder / (stem + ending)
        if not os.path.lexists(path):
            break
        if path.is_file() and filecmp.cmp(source, path, shallow=False):
            return path
    # Not named after the file: its own name may be as long as a name can be.
    partial = folder / f".{os.getpid()}.partial"
    try:
        shutil.copyfile(source, partial)
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
    return path
