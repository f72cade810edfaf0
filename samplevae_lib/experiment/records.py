"""The files a run leaves: a PNG, CSV or WAV, and beside each a JSON of where it came from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from samplevae_lib import audio as sound
from samplevae_lib import paths
from samplevae_lib.files import plain, read_json, replacing, write_json

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from samplevae_lib.datasets import Dataset

DPI = 200
_NAME = re.compile(r"\w[^/\\]*")
_PART = re.compile(r"[a-z0-9][a-z0-9-]*")


class RecordError(RuntimeError):
    """A result that is missing, or can't be recorded as it is."""


def file_name(id: str, part: str) -> str:
    """`id`, or `id_part` where one id has several pictures or tables."""
    if not _NAME.fullmatch(id):
        raise RecordError(f"the name {id!r} must begin with a letter or digit and hold no slash")
    if part and not _PART.fullmatch(part):
        raise RecordError(f"part={part!r} must be lower-case letters, digits and hyphens")
    return f"{id}_{part}" if part else id


def save_figure(path: Path, figure: Figure) -> None:
    """A PNG of print quality; the same figure gives the same bytes."""
    with replacing(path) as partial:
        figure.savefig(
            partial, format="png", dpi=DPI, bbox_inches="tight", metadata={"Software": None}
        )


def save_table(path: Path, frame: pd.DataFrame) -> None:
    """A CSV whose first column names the rows."""
    with replacing(path) as partial:
        frame.to_csv(partial, lineterminator="\n", float_format="%.6g")


def save_audio(path: Path, audio: np.ndarray, sample_rate: int) -> None:
    """A 16-bit WAV; louder than full scale is brought down, never clipped."""
    peak = float(np.abs(audio).max(initial=0.0))
    sound.write(path, sound.match_peak(audio, -0.1) if peak > 1.0 else audio, sample_rate)


def add(
    path: Path, origin: Mapping[str, Any], about: Mapping[str, Any], kind: str, entry: dict
) -> None:
    """Put `entry` into the record at `path`; what another run left in it goes.

    origin: what every record of the run says of itself. about: what this id is. kind: "figure",
    "table" or "audio". entry: the file and what is known of it.
    """
    record = read_json(path) or {}
    if record.get("run") != origin["run"]:
        record = plain({**about, **origin, "files": []})
    # The files of one id need not come from the same sounds: the record names those of all.
    more = [used for used in plain(origin["data"]) if used not in record["data"]]
    record["data"] = [*record["data"], *more]
    record["weights"] = plain(origin.get("weights", {}))  # a later file may rest on more models
    kept = [known for known in record["files"] if known["file"] != entry["file"]]
    record["files"] = [*kept, {"kind": kind, **entry}]
    write_json(path, plain(record))


def described(dataset: Dataset) -> dict[str, Any]:
    """What a record says of a dataset: name, source, count, fingerprint, origin, files left out."""
    described = {"name": dataset.name, "source": dataset.source, "sounds": len(dataset)}
    described |= {"fingerprint": dataset.fingerprint}
    described |= {name: _placeless(value) for name, value in dataset.provenance.items()}
    return described | {"problems": [list(problem) for problem in dataset.problems]}


def _placeless(value: str | int) -> str | int:
    """Without this machine's folders, which say nothing on another."""
    for place in filter(None, (paths.data(), paths.mirror())):
        value = value.replace(str(place), "…") if isinstance(value, str) else value
    return value
