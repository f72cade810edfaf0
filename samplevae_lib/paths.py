"""Every location the project reads or writes, in one place.

Each is a function, so that an environment variable set later (by the runner, by a test)
takes effect at once.
"""

from __future__ import annotations

import os
from pathlib import Path


def root() -> Path:
    """The checkout: the folder that holds notebooks/, data/ and figures/."""
    return _chosen("SAMPLEVAE_ROOT", Path(__file__).resolve().parent.parent)


def notebooks() -> Path:
    """The numbered notebooks and their settings."""
    return root() / "notebooks"


def settings() -> Path:
    """Every number a thesis fixes, beside what a profile uses instead."""
    return notebooks() / "settings.toml"


def theses() -> Path:
    """The published numbers, claims and targets."""
    return root() / "data" / "theses"


def manifests() -> Path:
    """One CSV per dataset: path, sha256, bytes and label of each file."""
    return root() / "data" / "manifests"


def weights() -> Path:
    """Weights that come with the project: a folder a notebook, and a card beside each file."""
    return root() / "data" / "weights"


def vocoders() -> Path:
    """The vocoders among those weights, and beside each a card with its recipe."""
    return weights() / "vocoders"


def data() -> Path:
    """Unpacked datasets; `SAMPLEVAE_DATA` moves them to another disk."""
    return _chosen("SAMPLEVAE_DATA", root() / "data")


def downloads() -> Path:
    """Archives as they came from the network."""
    return data() / "downloads"


def cache() -> Path:
    """Decoded audio, fitted models and checkpoints: safe to delete at any time."""
    return data() / "cache"


def figures() -> Path:
    """Figures, tables and records; `SAMPLEVAE_FIGURES` sends them elsewhere."""
    return _chosen("SAMPLEVAE_FIGURES", root() / "figures")


def executed() -> Path:
    """Executed copies of the notebooks and their HTML."""
    return figures() / "executed"


def mirror() -> Path | None:
    """A folder with dataset archives for use without a network, if one is named."""
    named = os.environ.get("SAMPLEVAE_MIRROR")
    return Path(named).expanduser().resolve() if named else None


def _chosen(variable: str, default: Path) -> Path:
    named = os.environ.get(variable)
    return Path(named).expanduser().resolve() if named else default
