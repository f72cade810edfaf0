"""run_all.sh: the face that a visitor meets first."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from samplevae_lib import ready
from samplevae_lib.cli import _parser

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "run_all.sh"


def call(
    script: Path, *arguments: str, cwd: Path, **environment: str
) -> subprocess.CompletedProcess:
    """Call the script from some folder, with this test's own environment activated."""
    active = {
        "VIRTUAL_ENV": sys.prefix,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    return subprocess.run(
        [script, *arguments], cwd=cwd, env=os.environ | active | environment,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_help_explains_every_option_that_it_names(tmp_path):
    shown = call(SCRIPT, "--help", cwd=tmp_path)
    assert shown.returncode == 0
    named = set(re.findall(r"--[a-z]+", shown.stdout)) - {"--test"}
    assert {"--profile", "--data", "--only", "--seed", "--jobs"} <= named
    known = re.findall(
        r"--[a-z]+", _parser()._subparsers._group_actions[0].choices["run"].format_help()
    )
    assert named <= set(known)


def test_it_works_from_any_folder_in_an_active_environment(tmp_path):
    answer = call(SCRIPT, "--profile", "huge", cwd=tmp_path)
    assert answer.returncode == 2
    assert "unknown profile 'huge'; known are smoke, reference, paper" in answer.stderr
    assert "Setting up" not in answer.stderr


def test_it_works_where_the_path_has_spaces(tmp_path):
    home = tmp_path / "my sounds & code"
    home.mkdir()
    for name in ("run_all.sh", "samplevae_lib", "notebooks", "data", "pyproject.toml"):
        (home / name).symlink_to(ROOT / name)
    answer = call(home / "run_all.sh", "--only", "99", cwd=tmp_path, SAMPLEVAE_ROOT=str(home))
    assert "unknown notebook '99'; known are 00" in answer.stderr


@pytest.mark.slow
def test_a_set_up_that_fails_is_no_set_up(tmp_path):
    for name in ("run_all.sh", "samplevae_lib", "pyproject.toml", "requirements.lock"):
        (tmp_path / name).symlink_to(ROOT / name)
    nothing = {"VIRTUAL_ENV": "", "CONDA_PREFIX": "", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
    answer = call(tmp_path / "run_all.sh", "--only", "00", cwd=tmp_path, **nothing)
    assert answer.returncode != 0
    assert "No matching distribution found" in answer.stderr
    assert not (tmp_path / ".venv" / ".installed").exists()
    assert "notebook" not in answer.stdout  # nothing was run


def test_an_environment_that_lacks_something_is_not_used(monkeypatch):
    assert ready.lacking(["test"]) == []
    monkeypatch.setattr(ready, "version", lambda name: "2.0" if name == "torch" else "999")
    assert "torch>=2.11" in ready.lacking([])
    assert "librosa>=0.11,<0.12" in ready.lacking([])
    assert "numpy>=2.0" not in ready.lacking([])


def test_the_environment_file_installs_the_lock_and_the_package():
    import yaml

    content = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert content["name"] == "samplevae"
    (pip,) = [entry["pip"] for entry in content["dependencies"] if isinstance(entry, dict)]
    assert pip == ["-r requirements.lock", "-e ."]
