"""Whether this Python has what the project needs; run_all.sh asks before it installs anything.

Needs nothing but the standard library to say no: `python -m samplevae_lib.ready [EXTRA …]`
prints what is missing and exits with 1.
"""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def lacking(extras: list[str]) -> list[str]:
    """The requirements in pyproject.toml, with those of some extras, that are not met here."""
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return ["packaging"]
    return [text for text in _wanted(extras) if not _met(Requirement(text))]


def _wanted(extras: list[str]) -> list[str]:
    if not PYPROJECT.is_file():  # an installed wheel, for which pip has seen to all it needs
        return []
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    optional = (project["optional-dependencies"][extra] for extra in extras)
    return [*project["dependencies"], *(text for listed in optional for text in listed)]


def _met(requirement) -> bool:
    try:
        return requirement.specifier.contains(version(requirement.name), prereleases=True)
    except PackageNotFoundError:
        return False


if __name__ == "__main__":
    missing = lacking(sys.argv[1:])
    print(*missing, sep="\n", end="\n" if missing else "")
    sys.exit(1 if missing else 0)
