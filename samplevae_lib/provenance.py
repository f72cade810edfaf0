"""What a result was made by and on: code, commit, versions, machine, time and memory."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

from samplevae_lib import paths

_VERSIONS_OF = ("torch", "librosa", "numpy", "scikit-learn", "umap-learn", "soundfile")


def commit() -> str:
    """The commit of the checkout, "+changes" where files differ from it, or "unknown"."""
    top = _git("rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != paths.root().resolve():
        return "unknown"  # an installed wheel may lie in somebody else's repository
    head = _git("rev-parse", "--short=12", "HEAD")
    if head is None:
        return "unknown"
    # Not figures and weights, which a run writes and which have records of their own.
    deciding = ("samplevae_lib", "notebooks", "data/theses", "data/manifests")
    changed = _git("status", "--porcelain", "--", *deciding)
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
