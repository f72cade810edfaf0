"""Fitted weights that come with the project: which fit each belongs to, and whether to believe it.

A shipped fit is `data/weights/NOTEBOOK/NAME.safetensors` beside its card, `NAME.json`. A fit asks
for the card whose settings, seed and layers are its own and whose data is the same sound for sound.
The code may have changed since: the card says which code trained it, and `outdated` compares.

The data is compared by eight sums over all values, each value added or taken away at random, in
shares of the data's size. Another processor computes the last digits of a sound differently, which
moves such a sum by a ten-millionth; another recording among thousands moves it by a thousandth.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from samplevae_lib import cache, paths, provenance
from samplevae_lib.files import plain, read_json, replacing, sha256, write_text

TAKEN: dict[str, str] = {}  # the shipped weights that this process took, and their sha256
TOLERANCE = 1e-5  # of the data's size, by which a sum may differ
_SUMS, _BLOCK = 8, 1 << 16
_DIGITS = 8  # that a card keeps of the values in a history


class WeightsError(RuntimeError):
    """A weights file that is missing, damaged or foreign; says which, and what to do."""


@dataclass(frozen=True)
class Shipped:
    """The weights of one fit and what is known about them.

    notebook: its full name, or "vocoders". name: of the fit, as in the file's name.
    card: settings, data, seed, layers, history, seconds, machine, commit, code (a digest).
    """

    notebook: str
    name: str
    card: Mapping[str, Any]

    @property
    def file(self) -> Path:
        return paths.weights() / self.notebook / f"{self.name}.safetensors"

    @property
    def seconds(self) -> float:
        """How long the training took."""
        return float(self.card["seconds"])

    def arrays(self) -> dict[str, np.ndarray]:
        """The weights by their names, in single precision; refused unless they are the card's."""
        from safetensors.numpy import load_file

        TAKEN[f"{self.notebook}/{self.name}"] = self.card["sha256"]
        if not self.file.is_file():
            raise WeightsError(f"{self.file} is missing, but its card is there; {_MEND}")
        if (found := sha256(self.file)) != self.card["sha256"]:
            raise WeightsError(
                f"{self.file} is damaged or foreign: its sha256 is {found}, its card says "
                f"{self.card['sha256']}; {_MEND}"
            )
        return {name: _single(array) for name, array in load_file(self.file).items()}


_MEND = "restore it (git checkout data/weights, or install again), or delete the card to train anew"


def every(notebook: str = "") -> Iterator[Shipped]:
    """All shipped weights, or those of one notebook, in the order of their names."""
    for path in sorted(paths.weights().glob(f"{notebook or '*'}/*.json")):
        yield Shipped(path.parent.name, path.stem, _card(path))


def _card(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except ValueError as error:
        raise WeightsError(f"{path} is damaged ({error}); {_MEND}") from error


def named(folder: str, name: str) -> Shipped:
    """The weights of this name in this folder below data/weights."""
    found = {one.name: one for one in every(folder)}
    if (known := file_name(name)) not in found:
        raise WeightsError(
            f"{paths.weights() / folder} holds no {known}: restore it (git checkout data/weights, "
            f"or install again), or train it (python -m samplevae_lib weights {folder}/{name})"
        )
    return found[known]


def find(notebook: str, identity: Mapping[str, Any], data: Sequence[Any]) -> Shipped | None:
    """The shipped fit of this notebook with this identity and this data (see `fits.Fit.asked`)."""
    digest = digest_of(identity)
    alike = [one for one in every(notebook) if one.card.get("identity") == digest]
    sums = sums_of(data) if alike else []
    return next((one for one in alike if same_data(sums, one.card["data"])), None)


def keep(
    notebook: str,
    name: str,
    arrays: Mapping[str, np.ndarray],
    *,
    identity: Mapping[str, Any],
    data: Sequence[Any],
    card: Mapping[str, Any],
    half: bool = False,
) -> Shipped:
    """Write a fit's weights and its card; returns what was written.

    notebook: its full name. name: of the fit. arrays: the weights. identity, data: what they are
    served for, see `find`. card: what else is to stand in it (history, seconds, commit, code …).
    half: keep matrices and kernels in half precision, at half the size; vectors and counters stay
    as they are.
    """
    told = {
        "name": name, "identity": digest_of(identity), **identity, **card, "data": sums_of(data),
    }  # fmt: skip
    made = write(notebook, name, arrays, told, half=half)
    _discard_twins(made)
    return made


def write(
    folder: str,
    name: str,
    arrays: Mapping[str, np.ndarray],
    card: Mapping[str, Any],
    *,
    half: bool = False,
) -> Shipped:
    """Write arrays and, beside them, a card with machine, versions and checksum added.

    folder: below data/weights. half: see `keep`.
    """
    from safetensors.numpy import save_file

    shipped = Shipped(folder, file_name(name), {})
    kept = {name: _halved(array) if half else array for name, array in arrays.items()}
    # Without a card a fit is simply trained; an old card beside a new file would be refused.
    shipped.file.with_suffix(".json").unlink(missing_ok=True)
    with replacing(shipped.file) as partial:
        save_file({name: np.require(a, requirements="C") for name, a in kept.items()}, partial)
    told = {
        "half precision": half, **card,
        "machine": provenance.machine(), "versions": provenance.versions(),
        "sha256": sha256(shipped.file),
    }  # fmt: skip
    write_text(shipped.file.with_suffix(".json"), _written(told))
    return Shipped(folder, shipped.name, told)


def _discard_twins(kept: Shipped) -> None:
    """Two cards for one fit would leave it to their names which of them is taken."""
    for other in every(kept.notebook):
        same = other.card.get("identity") == kept.card["identity"]
        if same and other.name != kept.name and same_data(kept.card["data"], other.card["data"]):
            other.file.with_suffix(".json").unlink()
            other.file.unlink(missing_ok=True)


def fill(model: Any, arrays: Mapping[str, np.ndarray], source: str) -> None:
    """Put arrays into a torch module; those of other names or shapes are not this model's.

    source: where they come from, for the error that says so.
    """
    import torch

    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if wanted != (given := {name: array.shape for name, array in arrays.items()}):
        odd = sorted(set(wanted.items()) ^ set(given.items()))[0]
        raise WeightsError(f"{source} holds the weights of another model: {odd[0]} {odd[1]}")
    model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})


def overview() -> str:
    """A line for each shipped fit: name, size, training time, commit, how old its code is."""
    head = ("weights", "kB", "seconds of training", "commit", "trained by")
    rows = [head]
    for one in every():
        size = str(round(one.file.stat().st_size / 1000)) if one.file.is_file() else "missing"
        code = {True: "older code", False: "this code", None: "unknown code"}[outdated(one)]
        rows.append(
            (
                f"{one.notebook}/{one.name}",
                size,
                f"{one.seconds:.0f}",
                str(one.card.get("commit", "unknown")),
                code,
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def outdated(shipped: Shipped) -> bool | None:
    """Whether the code that trained these weights has changed since; None where no card says."""
    if not (trained_by := shipped.card.get("trained by")):
        return None
    try:
        return cache.code_digest(*trained_by) != shipped.card["code"]
    except ModuleNotFoundError:  # renamed since
        return True


def digest_of(identity: Mapping[str, Any]) -> str:
    """One word for all that decides a fit but its data and code."""
    text = json.dumps(plain(identity), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def file_name(name: Any) -> str:
    """A fit's name, such as ("hybrid", 0), as a file's: "hybrid-0"."""
    parts = name if isinstance(name, tuple) else (name,)
    words = re.sub(r"[^\w.]+", "-", "-".join(map(str, parts)).lower()).strip("-")
    if not words:
        raise ValueError(f"the fit's name {name!r} holds no letter or digit to name a file by")
    return words


def sums_of(arrays: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    """For each array its shape, size and eight sums, by which datasets are told apart."""
    return [_sums(np.asarray(array)) for array in arrays]


def same_data(ours: Sequence[Mapping], theirs: Sequence[Mapping]) -> bool:
    """Whether two datasets, each as `sums_of` has it, hold nearly the same values."""
    if [entry["shape"] for entry in ours] != [entry["shape"] for entry in theirs]:
        return False
    return all(
        np.allclose(one[what], other[what], rtol=TOLERANCE, atol=TOLERANCE)
        for one, other in zip(ours, theirs, strict=True)
        for what in ("size", "sums")
    )


def _sums(array: np.ndarray) -> dict[str, Any]:
    """Shape, size (root mean square) and eight sums with random signs, in shares of the size."""
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise ValueError(
            f"a fit learns from finite numbers, not from {array.dtype} values that are text or NaN"
        )
    values = array.astype(np.float64).reshape(-1)
    size = float(np.sqrt(np.square(values).mean())) if values.size else 0.0
    rng, signs = np.random.default_rng(1), _signs()
    blocks = np.pad(values, (0, -len(values) % _BLOCK)).reshape(-1, _BLOCK)
    # A weight of its own for each block, or equal blocks could change places unnoticed.
    totals = ((blocks @ signs) * rng.normal(size=(len(blocks), _SUMS))).sum(0)
    scale = size * np.sqrt(max(1, values.size))
    sums = totals / scale if scale else totals
    return {"shape": list(array.shape), "size": size, "sums": sums.round(_DIGITS).tolist()}


@lru_cache(maxsize=1)
def _signs() -> np.ndarray:
    return np.random.default_rng(0).choice([-1.0, 1.0], (_BLOCK, _SUMS))


def _halved(array: np.ndarray) -> np.ndarray:
    small = array.dtype == np.float32 and array.ndim > 1
    return array.astype(np.float16) if small and np.abs(array).max(initial=0) < 6e4 else array


def _single(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _written(card: Mapping[str, Any]) -> str:
    """JSON with every list of numbers on one line: a history would fill a hundred pages."""
    text = json.dumps(plain(_rounded(card)), indent=1, ensure_ascii=False, allow_nan=False)
    number = r"(?:-?\d[\d.e+-]*|null)"
    rows = rf"\[\s+({number}(?:,\s+{number})*)\s+\]"
    return re.sub(rows, lambda row: "[" + " ".join(row[1].split()) + "]", text) + "\n"


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
