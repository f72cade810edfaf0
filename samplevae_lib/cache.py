"""What was computed once: fitted weights and arrays under a key of everything that decides them.

An entry is `<key>.safetensors` beside `<key>.json`; the JSON is written last and makes it whole.
Nothing here is ever unpickled.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import inspect
import io
import json
import shutil
import tokenize
from collections.abc import Callable, Mapping
from functools import cache as remember
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from samplevae_lib import paths
from samplevae_lib.files import read_json, replacing, write_json

PACKAGE = __package__
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def key(**parts: Any) -> str:
    """A digest of named parts: plain values, arrays, tensors, datasets, functions, dataclasses.

    >>> from samplevae_lib import cache
    >>> cache.key(rate=0.1, layers=[4, 8]) == cache.key(layers=[4, 8], rate=0.1)
    True
    """
    described = {name: describe(part, name) for name, part in parts.items()}
    text = json.dumps(described, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def describe(part: Any, name: str = "value", *, apart: list[np.ndarray] | None = None) -> Any:
    """A part of a key as JSON: what is large or is code becomes a digest.

    name: what an error calls the part. apart: a list to compare descriptions across machines and
    versions: arrays, tensors and the audio of datasets are appended to it and only counted here,
    and the library's own code counts by its name, so that editing it changes nothing.
    """
    if isinstance(part, np.generic):
        part = part.item()
    if part is None or isinstance(part, bool | int | float | str):
        return part
    if hasattr(part, "detach"):  # a tensor, recognised without importing torch
        part = part.detach().cpu().numpy()
    if isinstance(part, np.ndarray) and not part.dtype.hasobject:
        return _array(part, apart)
    if hasattr(part, "fingerprint"):
        if apart is None:
            return ["dataset", part.fingerprint]
        return ["dataset", part.sample_rate, list(map(str, part.labels)), _array(part.audio, apart)]
    if isinstance(part, Mapping):
        return {str(k): describe(v, f"{name}[{k!r}]", apart=apart) for k, v in part.items()}
    if isinstance(part, list | tuple | set | frozenset):
        listed = [describe(item, f"{name}[{i}]", apart=apart) for i, item in enumerate(part)]
        return sorted(listed, key=repr) if isinstance(part, set | frozenset) else listed
    if dataclasses.is_dataclass(part) and not isinstance(part, type):
        fields = {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
        return [type(part).__qualname__, describe(fields, name, apart=apart)]
    if callable(part):
        return _code(part, name, apart)
    raise _refusal(part, name, f"a {type(part).__name__}")


def _array(array: np.ndarray, apart: list[np.ndarray] | None) -> list[Any]:
    if apart is not None:
        apart.append(array)
        return ["array", len(apart)]
    digest = hashlib.sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8)).hexdigest()
    return ["array", str(array.dtype), list(array.shape), digest]


def _code(function: Callable, name: str, apart: list[np.ndarray] | None) -> list[Any]:
    """A function or class as its name, a digest of its source, and what it was made with."""
    held = {"self": function.__self__} if inspect.ismethod(function) else {}
    plain = inspect.unwrap(function)  # a decorator, such as torch.no_grad, hides the source
    plain = getattr(plain, "__func__", plain)
    if not (inspect.isfunction(plain) or inspect.isclass(plain)):
        raise _refusal(function, name, f"a {type(function).__name__}")
    held |= _held(plain)
    described = {key: describe(v, f"{name}.{key}", apart=apart) for key, v in held.items()}
    # A function written in a notebook has no name that says what it does.
    by_name = apart is not None and _of_package(plain)
    source = [] if by_name else [_source_digest(plain, name)]
    return ["code", plain.__qualname__, *source, described]


def _held(function: Callable) -> dict[str, Any]:
    """The variables that an inner function captured, and the defaults of one in a notebook."""
    if inspect.isclass(function):
        return {}
    captured = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    held = {name: cell.cell_contents for name, cell in captured}
    if not _of_package(function):
        parameters = inspect.signature(function).parameters.values()
        held |= {p.name: p.default for p in parameters if p.default is not p.empty}
    return {name: value for name, value in held.items() if value is not function}


def _source_digest(function: Callable, name: str) -> str:
    if _of_package(function):
        return code_digest(function.__module__)
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError) as error:
        raise _refusal(function, name, "code without a source at hand") from error
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def _of_package(function: Callable) -> bool:
    return (function.__module__ or "").startswith(f"{PACKAGE}.")


def _refusal(part: Any, name: str, what: str) -> TypeError:
    return TypeError(f"{name} = {part!r}: {what} can't be part of a cache key")


def code_digest(*modules: str) -> str:
    """A digest of these modules and of all they import from this package.

    Comments and docstrings don't count, for they change no number.
    """
    digest = hashlib.sha256()
    for module in sorted(_closure(modules)):
        source = _source(module)
        digest.update(f"{module}\0{_bare(source, source.stat().st_mtime_ns)}\0".encode())
    return digest.hexdigest()[:16]


@remember
def _bare(source: Path, _changed: int) -> str:
    """A module's text without comments, docstrings and empty lines; read once until it changes.

    Taken from the text itself, for what Python makes of it differs from version to version.
    """
    text = source.read_text(encoding="utf-8")
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node) is not None:
            said = node.body[0]
            lines[said.lineno - 1 : said.end_lineno] = [""] * (said.end_lineno - said.lineno + 1)
    return "\n".join(line.rstrip() for line in lines if line.strip())


def _closure(modules: tuple[str, ...]) -> set[str]:
    """The modules and, through their imports, every module of this package below them."""
    waiting, met = list(modules), set()
    while waiting:
        module = waiting.pop()
        if module not in met:
            met.add(module)
            waiting += imports(module)
    return met


@remember
def imports(module: str) -> tuple[str, ...]:
    """The modules of this package that a module imports, anywhere in its text."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(_source(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            # "from package import module" and "from package.module import name" look alike.
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if _is_module(name) else node.module for name in inside}
    ours = {name for name in found if name.startswith(f"{PACKAGE}.")}
    return tuple(sorted(name for name in ours if _is_module(name)))


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is a module, not a package: a name inside it
        return False


def _source(module: str) -> Path:
    spec = find_spec(module)
    if spec is None or not spec.origin:
        raise ModuleNotFoundError(f"no source for module {module!r}")
    return Path(spec.origin)


def load(kind: str, entry: str) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """The arrays and the notes of an entry, or None."""
    from safetensors.numpy import load_file

    arrays, notes = _files(kind, entry)
    if not (arrays.exists() and notes.exists()):
        return None
    return load_file(arrays), read_json(notes)


def store(kind: str, entry: str, arrays: Mapping[str, np.ndarray], notes: dict[str, Any]) -> None:
    """Keep arrays and notes under a key."""
    from safetensors.numpy import save_file

    weights, text = _files(kind, entry)
    with replacing(weights) as partial:
        # Not ascontiguousarray: that would turn a scalar, such as a batch counter, into a vector.
        save_file({name: np.require(a, requirements="C") for name, a in arrays.items()}, partial)
    write_json(text, notes)


def checkpoint(kind: str, entry: str) -> Path:
    """Where unfinished work of this key leaves its state; an empty folder at first."""
    folder = paths.cache() / kind / f"{entry}.checkpoint"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _files(kind: str, entry: str) -> tuple[Path, Path]:
    folder = paths.cache() / kind
    return folder / f"{entry}.safetensors", folder / f"{entry}.json"


def discard(folder: Path) -> None:
    """Remove the checkpoint of work that is finished."""
    shutil.rmtree(folder, ignore_errors=True)
