"""Every location the project reads or writes, in one place.

Each is a function, so that an environment variable set later (by the runner, by a test)
takes effect at once. In a checkout everything lies in its folders. Installed by pip, notebooks,
published numbers, manifests and weights lie within the package, downloads and the cache in the
user's cache folder, and results in `figures/` where the command was given.
"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

PACKAGE = Path(__file__).resolve().parent
SMOKE = "smoke"


def root() -> Path:
    """The checkout, or the package's own copy of what stands there: notebooks/ and data/."""
    return _chosen("SAMPLEVAE_ROOT", PACKAGE.parent if in_checkout() else PACKAGE / "_project")


def in_checkout() -> bool:
    """Whether this is a checkout of the project and not an installed wheel."""
    return (PACKAGE.parent / "notebooks" / "settings.toml").is_file()


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
    installed = Path(platformdirs.user_cache_dir("samplevae"))
    return _chosen("SAMPLEVAE_DATA", root() / "data" if in_checkout() else installed)


def downloads() -> Path:
    """Archives as they came from the network."""
    return data() / "downloads"


def cache() -> Path:
    """Decoded audio, fitted models and checkpoints: safe to delete at any time."""
    return data() / "cache"


def figures(profile: str = "reference") -> Path:
    """Figures, tables and records of a profile; `SAMPLEVAE_FIGURES` sends them elsewhere.

    A smoke run, which proves only that everything runs, has a folder of its own beside figures/.
    """
    home = root() if in_checkout() else Path.cwd()
    return _chosen("SAMPLEVAE_FIGURES", home / (".smoke" if profile == SMOKE else "figures"))


def executed(profile: str = "reference") -> Path:
    """Executed copies of the notebooks and their HTML."""
    return figures(profile) / "executed"


def mirror() -> Path | None:
    """A folder with dataset archives for use without a network, if one is named."""
    named = os.environ.get("SAMPLEVAE_MIRROR")
    return Path(named).expanduser().resolve() if named else None


def _chosen(variable: str, default: Path) -> Path:
    named = os.environ.get(variable)
    return Path(named).expanduser().resolve() if named else default
