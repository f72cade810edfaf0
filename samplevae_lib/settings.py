"""The numbers of a notebook: what its thesis fixes, what this project adds, what a profile changes.

`notebooks/settings.toml` has for each notebook NN the tables [NN.paper] (the thesis's values),
[NN.own] (what the thesis leaves open), and [NN.reference], [NN.smoke] (only what differs).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samplevae_lib import paths

if TYPE_CHECKING:
    import pandas as pd

PROFILES = ("smoke", "reference", "paper")
_TABLES = ("paper", "own", "reference", "smoke")


class SettingsError(ValueError):
    """A setting that is unknown, of the wrong type, or missing."""


class Settings(Mapping[str, Any]):
    """The values of one notebook under one profile, as attributes: `run.settings.batch_size`."""

    def __init__(self, notebook: str, profile: str, values: dict[str, Any], thesis: dict[str, Any]):
        self.__dict__.update(notebook=notebook, profile=profile, _values=values, _thesis=thesis)

    def __getattr__(self, name: str) -> Any:
        values = self.__dict__.get("_values", {})
        if name in values:
            return values[name]
        raise AttributeError(
            f"notebook {self.__dict__.get('notebook')} has no setting {name!r}; "
            f"it has {', '.join(values) or 'none'}"
        )

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"settings don't change while a run goes on ({name} = {value!r})")

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Settings({self.notebook}, {self.profile}, {self._values})"

    def table(self) -> pd.DataFrame:
        """One row a setting: the thesis's value ("—" where it states none) beside this run's."""
        import pandas as pd

        rows = {
            name: {"thesis": _text(self._thesis.get(name, "—")), "this run": _text(value)}
            for name, value in self._values.items()
        }
        frame = pd.DataFrame.from_dict(rows, orient="index", columns=["thesis", "this run"])
        return frame.rename_axis("setting")


# As attributes these would give the method or the run's own facts, never the setting.
_TAKEN = {*dir(Settings), "notebook", "profile"}


def load(notebook: str, profile: str, *, file: Path | None = None) -> Settings:
    """The settings of a notebook under a profile.

    notebook: its number ("04") or name ("04_spoken_digits"). profile: one of PROFILES. file: other
    settings than the project's.

    >>> from samplevae_lib import settings
    >>> settings.load("04", "paper").dimensions
    20
    """
    if profile not in PROFILES:
        raise SettingsError(f"unknown profile {profile!r}; known are {', '.join(PROFILES)}")
    file = file or paths.settings()
    number = notebook[:2]
    tables = read(file).get(number)
    if tables is None:
        raise SettingsError(f"{file}: no tables for notebook {number!r}")
    thesis = tables.get("paper", {})
    changes = {} if profile == "paper" else tables.get(profile, {})
    return Settings(number, profile, thesis | tables.get("own", {}) | changes, thesis)


def read(file: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """All tables of a settings file, checked."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file}: {error}") from error
    for number, tables in content.items():
        _check(file, number, tables)
    return content


def _check(file: Path, number: str, tables: dict[str, dict[str, Any]]) -> None:
    _check_tables(file, number, tables)
    thesis, own = tables.get("paper", {}), tables.get("own", {})
    if both := sorted(set(thesis) & set(own)):
        raise SettingsError(f"{file}: {both[0]} stands in [{number}.paper] and in [{number}.own]")
    base = thesis | own
    for key in _TAKEN.intersection(base):
        where = f"{file}: [{number}.{'paper' if key in thesis else 'own'}] {key} = {base[key]!r}"
        raise SettingsError(f"{where}: the name is taken; choose another")
    for profile in ("reference", "smoke"):
        for key, value in tables.get(profile, {}).items():
            _check_one(f"{file}: [{number}.{profile}] {key} = {value!r}", key, value, base)


def _check_tables(file: Path, number: str, tables: Any) -> None:
    if not isinstance(tables, dict):
        raise SettingsError(f"{file}: {number} = {tables!r} stands outside of a table")
    for name, table in tables.items():
        if name not in _TABLES:
            known = ", ".join(f"[{number}.{known}]" for known in _TABLES)
            raise SettingsError(f"{file}: unknown table [{number}.{name}]; known are {known}")
        if not isinstance(table, dict):
            raise SettingsError(f"{file}: [{number}] {name} = {table!r}: a table is expected")


def _check_one(where: str, key: str, value: Any, base: dict[str, Any]) -> None:
    if key not in base:
        raise SettingsError(f"{where}: unknown setting; known are {', '.join(base)}")
    wanted = base[key]
    if not _same_type(value, wanted):
        raise SettingsError(
            f"{where}: is {_type_name(value)}, expected {_type_name(wanted)} like {wanted!r}"
        )


def _same_type(value: Any, wanted: Any) -> bool:
    if isinstance(value, list) and isinstance(wanted, list):
        return not wanted or all(any(_same_type(item, w) for w in wanted) for item in value)
    if isinstance(wanted, float) and type(value) is int:
        return True  # 1 is a fine way to write 1.0
    return type(value) is type(wanted)


def _type_name(value: Any) -> str:
    if isinstance(value, list) and value:
        return f"a list of {' and '.join(dict.fromkeys(map(_type_name, value)))}"
    return type(value).__name__


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
