"""What a result was made by and on: code, commit, versions, machine, time and memory."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from samplevae_lib import paths

PACKAGE = __package__
_VERSIONS_OF = ("torch", "librosa", "numpy", "scikit-learn", "umap-learn", "soundfile")


def code_digest(*modules: str) -> str:
    """A digest of these modules and of all they import from this package, comments and all."""
    digest = hashlib.sha256()
    for module in sorted(_closure(modules)):
        digest.update(module.encode())
        digest.update(_source(module).read_bytes())
    return digest.hexdigest()[:16]


def commit() -> str:
    """The commit of the checkout, "+changes" where files differ from it, or "unknown"."""
    head = _git("rev-parse", "--short=12", "HEAD")
    if head is None:
        return "unknown"
    # Figures and executed notebooks are what a run writes: they don't make the code differ.
    changed = _git("status", "--porcelain", "--", "samplevae_lib", "notebooks", "data")
    return f"{head}+changes" if changed else head


def machine() -> dict[str, str | int | float]:
    """Processor, cores, memory and, where there is one, the GPU."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "system": platform.system(),
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory_gib": round(memory, 1),
        "gpu": _gpu(),
    }


def versions() -> dict[str, str]:
    """Python and the libraries whose version can change a number."""
    found = {"python": platform.python_version()}
    for name in _VERSIONS_OF:
        found[name] = importlib.metadata.version(name)
    return found


def peak_memory_gib() -> float:
    """The most memory this process held at once."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB here
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30, 2)


def _closure(modules: tuple[str, ...]) -> set[str]:
    """The modules and, through their imports, every module of this package below them."""
    waiting, met = list(modules), set()
    while waiting:
        module = waiting.pop()
        if module not in met:
            met.add(module)
            waiting += imports(module)
    return met


@cache
def imports(module: str) -> tuple[str, ...]:
    """The modules of this package that a module imports, anywhere in its text."""
    names: list[str] = []
    for node in ast.walk(ast.parse(_source(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            # "from package import module" and "from package.module import name" look alike.
            names += [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
    ours = {name for name in names if name.startswith(f"{PACKAGE}.")}
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


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(paths.root()), *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpu() -> str:
    torch = sys.modules.get("torch")  # not imported for this alone: it takes seconds
    return torch.cuda.get_device_name() if torch and torch.cuda.is_available() else "none"
