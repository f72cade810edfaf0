"""A wheel installed by pip: what stands beside the package in a checkout comes along."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from samplevae_lib import theses

ROOT = Path(__file__).resolve().parent.parent
BUILT_FROM = (
    "samplevae_lib", "notebooks", "data/theses", "data/manifests", "data/weights", "setup.py",
    "pyproject.toml", "README.md", "LICENSE",
)  # fmt: skip
PROGRAM = """
import samplevae_lib as sv
from samplevae_lib import weights
print(sv.paths.in_checkout())
print(sv.paths.data())
print(sv.paths.figures())
print(len(sv.theses.targets()), len(sv.settings.read(sv.paths.settings())))
print(len(list(weights.every())), len(list(sv.paths.manifests().glob("*.csv"))))
print(sorted(sv.inversion.available()))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with the wheel's content, as pip leaves it."""
    folder, copy = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("copy")
    for name in BUILT_FROM:  # a copy, so that nothing is built within the checkout
        kind = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        kind(ROOT / name, copy / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, copy]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run(
        [*pip, "install", "-q", "--no-deps", "--target", folder / "site", wheel],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder / "site"


@pytest.mark.slow
def test_an_installed_wheel_brings_numbers_settings_and_weights(installed, tmp_path):
    bare = {k: v for k, v in os.environ.items() if not k.startswith(("SAMPLEVAE", "PYTHONPATH"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=True,
        env=bare | {"PYTHONPATH": str(installed), "XDG_CACHE_HOME": str(tmp_path / "cache")},
    )  # fmt: skip
    checkout, data, figures, registered, kept, vocoders = done.stdout.splitlines()
    assert checkout == "False"
    assert Path(data) == tmp_path / "cache" / "samplevae"
    assert Path(figures) == tmp_path / "figures"
    assert registered.split()[0] == str(len(theses.targets()))
    cards = list((ROOT / "data" / "weights").glob("*/*.json"))
    manifests = list((ROOT / "data" / "manifests").glob("*.csv"))
    assert kept.split() == [str(len(cards)), str(len(manifests))]
    assert vocoders == "['16000', '22050']"
