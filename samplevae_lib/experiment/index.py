"""Where each table, figure and claim is made: notebook, cell, library functions, files.

Read off the notebooks' text, so nothing is run: `python -m samplevae_lib index R-T7.1`.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from samplevae_lib import paths, theses

LIBRARY = "samplevae_lib"
_RECORDING = ("figure", "table", "claim")


@dataclass(frozen=True)
class Entry:
    """One id and where it comes from.

    cells: positions in the notebook, 0 the first. functions: the library's, by their full names.
    files: those of the last run that are there.
    """

    id: str
    title: str
    notebook: str
    cells: tuple[int, ...]
    functions: tuple[str, ...]
    files: tuple[Path, ...]

    def __str__(self) -> str:
        cells = ", ".join(map(str, self.cells)) or "none (the notebook is not written yet)"
        lines = [
            f"{self.id}  {self.title}",
            f"  notebook  notebooks/{self.notebook}.ipynb, cell {cells}",
            *(f"  library   {name}  {place_of(name)}" for name in self.functions),
            *(f"  file      {_shown(path)}" for path in self.files),
        ]
        return "\n".join(lines)


def find(id: str) -> Entry:
    """The entry of a table, figure or claim by its id; an unknown id is an error."""
    if id in theses.targets():
        target = theses.targets()[id]
        return _entry(id, target.title, theses.notebooks()[target.notebook].name)
    if id in theses.claims():
        claim = theses.claims()[id]
        return _entry(id, claim.statement, theses.notebooks()[claim.notebook].name)
    raise theses.UnknownId(
        f"unknown id {id!r}; `python -m {LIBRARY} index` lists all "
        f"{len(theses.targets()) + len(theses.claims())}"
    )


def every() -> Iterator[Entry]:
    """All tables and figures, then all claims, in the order of the notebooks."""
    for id in (*theses.targets(), *theses.claims()):
        yield find(id)


def _entry(id: str, title: str, notebook: str) -> Entry:
    cells = _cells(paths.notebooks() / f"{notebook}.ipynb")
    making = [place for place, tree in cells.items() if id in _recorded(tree)]
    behind = sorted({at for place in making for at in _behind(place, cells)})
    imported = _imported(cells)
    used = sorted({name for at in behind for name in _library_names(cells[at], imported)})
    folder = paths.figures() / notebook
    files = sorted(folder.glob(f"{id}.*")) + sorted(folder.glob(f"{id}_*"))
    functions = tuple(name for name in used if place_of(name))
    return Entry(id, title, notebook, tuple(making), functions, tuple(files))


@cache
def _cells(notebook: Path) -> Mapping[int, ast.Module]:
    """The code cells of a notebook by their position; empty where it is not written yet."""
    if not notebook.is_file():
        return {}
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return {
        place: ast.parse("".join(cell["source"]))
        for place, cell in enumerate(cells)
        if cell["cell_type"] == "code"
    }


def _recorded(tree: ast.Module) -> set[str]:
    """The ids that a cell records: all texts in one that calls run.figure, .table or .claim."""
    called = {node.func.attr for node in ast.walk(tree) if _is_method_of_run(node)}
    if not called & set(_RECORDING):
        return set()
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {value for value in constants if isinstance(value, str)}


def _is_method_of_run(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "run"
    )


def _behind(place: int, cells: Mapping[int, ast.Module]) -> set[int]:
    """A cell and the earlier ones that made the names it uses, and so on.

    The names that every cell shares (run, settings) lead nowhere: all would hang together.
    """
    waiting, met = [place], set()
    while waiting:
        at = waiting.pop()
        met.add(at)
        needed = _read(cells[at]) - {"run", "settings", "sv"}
        for earlier in sorted((c for c in cells if c < at), reverse=True):
            made, changed = _made(cells[earlier]), _changed(cells[earlier])
            if needed & (made | changed) and earlier not in met:
                waiting.append(earlier)
            needed -= made  # what only changed a name leaves it to be made still earlier
    return met


@cache
def _read(tree: ast.Module) -> set[str]:
    """Variables that a cell reads before it has made them itself."""
    read, own = set(), set()
    for statement in tree.body:
        part = ast.Module([statement], [])
        loaded = {n.id for n in _variables(part) if isinstance(n.ctx, ast.Load)}
        read |= (loaded | _changed(part)) - own - _local(part)
        own |= _made(part)
    return read


@cache
def _made(tree: ast.Module) -> set[str]:
    """Variables, functions and classes that a cell makes anew."""
    stored = {n.id for n in _variables(tree) if isinstance(n.ctx, ast.Store)}
    defined = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    return (stored - _local(tree) - _changed(tree)) | defined


@cache
def _changed(tree: ast.Module) -> set[str]:
    """Variables that a cell adds to: `x |= …`, `x[key] = …`."""
    added = [n.target for n in ast.walk(tree) if isinstance(n, ast.AugAssign)]
    items = [n for n in ast.walk(tree) if isinstance(n, ast.Subscript)]
    added += [n.value for n in items if isinstance(n.ctx, ast.Store)]
    return {n.id for n in added if isinstance(n, ast.Name)}


def _local(tree: ast.Module) -> set[str]:
    """Variables that live within a comprehension, a function or a lambda alone."""
    inner = [n.target for n in ast.walk(tree) if isinstance(n, ast.comprehension)]
    names = {n.id for part in inner for n in _variables(part)}
    for function in (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.Lambda)):
        names |= {argument.arg for argument in ast.walk(function) if isinstance(argument, ast.arg)}
        if isinstance(function, ast.FunctionDef):
            names |= {n.id for n in _variables(function) if isinstance(n.ctx, ast.Store)}
    return names


def _variables(tree: ast.AST) -> Iterator[ast.Name]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Name))


def _imported(cells: Mapping[int, ast.Module]) -> dict[str, str]:
    """Names in the notebook and what they stand for in the library."""
    found = {}
    for node in (node for tree in cells.values() for node in ast.walk(tree)):
        if isinstance(node, ast.Import):
            found |= {a.asname or a.name: a.name for a in node.names if a.name == LIBRARY}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(LIBRARY):
            found |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return found


def _library_names(tree: ast.Module, imported: Mapping[str, str]) -> Iterator[str]:
    """The full names of what a cell takes from the library: `sv.metrics.odg`, `invert`, …"""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            head, dot, rest = ast.unparse(node).partition(".")
            if head in imported:
                yield f"{imported[head]}{dot}{rest}"


@cache
def place_of(name: str) -> str:
    """File and line of a function or class of the library by its full name; "" for all else."""
    found = inspect.unwrap(_object(name))  # what a decorator such as `plots.styled` wraps
    if not (inspect.isfunction(found) or inspect.isclass(found)):
        return ""
    if not found.__module__.startswith(LIBRARY):
        return ""
    file, line = inspect.getsourcefile(found), inspect.getsourcelines(found)[1]
    return f"{_shown(Path(file))}:{line}"


def _object(name: str) -> object:
    """The object of a dotted name, modules first, then attributes; None if there is none."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ImportError:
            continue
        for part in parts[end:]:
            found = getattr(found, part, None)
        return found
    return None


def _shown(path: Path) -> str:
    """A path below the checkout, as one would type it there."""
    home = paths.PACKAGE.parent
    return str(path.relative_to(home)) if path.is_relative_to(home) else str(path)
