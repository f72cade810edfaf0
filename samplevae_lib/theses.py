"""What the theses published: targets, claims and numbers, and our numbers set beside theirs."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from samplevae_lib import paths

if TYPE_CHECKING:
    import pandas as pd

RECORDS = ("table", "figure")
SETTINGS = "settings"  # the row of numbers.csv that holds what a table was made with


class UnknownId(KeyError):
    """A target, claim or notebook that is not registered."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class Notebook:
    """One chapter of the project; theses are their letters."""

    number: str
    name: str
    title: str
    question: str
    theses: tuple[str, ...]

    @property
    def exists(self) -> bool:
        return (paths.notebooks() / f"{self.name}.ipynb").is_file()


@dataclass(frozen=True)
class Target:
    """A table or figure to regenerate; `where` it stands in the thesis is empty for our own."""

    id: str
    notebook: str
    records: tuple[str, ...]
    title: str
    where: str


@dataclass(frozen=True)
class Claim:
    """A finding, what decides it, and the recordings without which there is no verdict."""

    id: str
    notebook: str
    statement: str
    where: str
    judged: str
    needs_real: tuple[str, ...]


@dataclass(frozen=True)
class Number:
    """One published value; None where the source can't be read, as its note then says."""

    row: str
    column: str
    value: float | str | None
    note: str


@cache
def notebooks() -> dict[str, Notebook]:
    """Every notebook by its number."""
    return _keyed(Notebook, _toml("targets.toml")["notebook"], "number")


@cache
def targets() -> dict[str, Target]:
    """Every target by id."""
    return _keyed(Target, _toml("targets.toml")["target"], "id")


@cache
def claims() -> dict[str, Claim]:
    """Every claim by id."""
    return _keyed(Claim, _toml("claims.toml")["claim"], "id")


@cache
def numbers() -> dict[str, tuple[Number, ...]]:
    """The published numbers of each id, in the order of the source."""
    found: dict[str, list[Number]] = {}
    with (paths.theses() / "numbers.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            number = Number(line["row"], line["column"], _value(line["value"]), line["note"])
            found.setdefault(line["id"], []).append(number)
    return {id: tuple(listed) for id, listed in found.items()}


def notebook(name: str) -> Notebook:
    """A notebook by number ("04") or name ("04_spoken_digits")."""
    for known in notebooks().values():
        if name in (known.number, known.name):
            return known
    names = ", ".join(known.name for known in notebooks().values())
    raise UnknownId(f"unknown notebook {name!r}; known are {names}")


def overview() -> pd.DataFrame:
    """The map of the project: one row a notebook, with what it asks and what it regenerates."""
    import pandas as pd

    rows = {
        known.number: {
            "notebook": known.title,
            "asks": known.question,
            "theses": " ".join(known.theses),
            "tables and figures": len(of_notebook(targets(), known.number)),
            "claims": len(of_notebook(claims(), known.number)),
            "written": "yes" if known.exists else "not yet",
        }
        for known in notebooks().values()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("")


def target(id: str, notebook: str) -> Target:
    """A target of this notebook."""
    return _of(targets(), id, notebook, "target")


def claim(id: str, notebook: str) -> Claim:
    """A claim of this notebook."""
    return _of(claims(), id, notebook, "claim")


def of_notebook(registered: dict[str, Any], notebook: str) -> list[Any]:
    """The targets or claims of one notebook, in order."""
    return [entry for entry in registered.values() if entry.notebook == notebook]


def published(id: str) -> pd.DataFrame:
    """The numbers of a table as the thesis has them: rows × columns, without its settings."""
    import pandas as pd

    listed = [number for number in numbers().get(id, ()) if number.row != SETTINGS]
    frame = pd.DataFrame(
        index=pd.Index(dict.fromkeys(number.row for number in listed), name="row"),
        columns=list(dict.fromkeys(number.column for number in listed)),
        dtype=object,
    )
    for number in listed:
        frame.loc[number.row, number.column] = number.value
    return frame


def stated(id: str) -> dict[str, float | str | None]:
    """The settings that the thesis states with a table, by name: they are no part of the table."""
    listed = (number for number in numbers().get(id, ()) if number.row == SETTINGS)
    return {n.column: f"{n.value:g}" if isinstance(n.value, float) else n.value for n in listed}


def beside(id: str, ours: pd.DataFrame) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Our table with the thesis's columns next to ours, and every value that can be compared.

    id: of the table. ours: a DataFrame whose index names the rows.

    Rows meet by their index, columns by their name. What only one side has stays, with a gap.
    """
    _refuse_repeated(id, ours)
    theirs = published(id)
    ours = ours.rename_axis("row")
    order = [*ours.index, *(row for row in theirs.index if row not in ours.index)]
    merged = ours.reindex(order)
    for column in theirs.columns:
        there = column in merged.columns
        position = merged.columns.get_loc(column) + 1 if there else merged.shape[1]
        merged.insert(position, f"{column} (thesis)", theirs[column].reindex(order))
    return merged.infer_objects(), list(_compared(id, ours))


def _refuse_repeated(id: str, ours: pd.DataFrame) -> None:
    for kind, names in (("row", ours.index), ("column", ours.columns)):
        if names.has_duplicates:
            raise ValueError(f"{id}: {kind} {names[names.duplicated()][0]!r} occurs twice")


def _compared(id: str, ours: pd.DataFrame) -> Iterable[dict[str, Any]]:
    for number in numbers().get(id, ()):
        if number.row not in ours.index or number.column not in ours.columns:
            continue
        value = _plain(ours.loc[number.row, number.column])
        pair = {"row": number.row, "column": number.column, "thesis": number.value, "ours": value}
        if isinstance(number.value, float) and isinstance(value, float):
            pair["difference"] = round(value - number.value, 6)
        yield pair


def _plain(value: Any) -> float | str | None:
    """A table's cell as JSON knows it."""
    import pandas as pd

    if pd.isna(value):
        return None
    return value if isinstance(value, str) else float(value)


def _of(registered: dict[str, Any], id: str, notebook: str, kind: str) -> Any:
    known = [entry.id for entry in of_notebook(registered, notebook)]
    if id not in known:
        raise UnknownId(
            f"notebook {notebook} has no {kind} {id!r}; registered are {', '.join(known) or 'none'}"
        )
    return registered[id]


def _keyed(kind: type, entries: list[dict], key: str) -> dict[str, Any]:
    made = [
        kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in entry.items()})
        for entry in entries
    ]
    keyed = {getattr(entry, key): entry for entry in made}
    if len(keyed) < len(made):
        raise ValueError(f"{kind.__name__.lower()} {key} occurs twice in {paths.theses()}")
    return keyed


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads((paths.theses() / name).read_text(encoding="utf-8"))


def _value(text: str) -> float | str | None:
    try:
        return float(text)
    except ValueError:
        return text or None
