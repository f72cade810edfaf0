"""The runner: notebooks through papermill, believed only as far as the files they wrote."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from samplevae_lib import paths
from samplevae_lib.runner import plan as runner
from samplevae_lib.runner import terminal
from samplevae_lib.runner.execute import Job

IMPORT = "import samplevae_lib as sv\n"
START = IMPORT + "run = sv.experiment.start({name!r}, profile=profile, data=data, seed=seed)"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
CLAIM = 'run.claim("X-{number}", holds=True, evidence="seen")'
FINISH = "run.finish()"


def write_notebook(root: Path, name: str, *cells: str) -> Path:
    """A notebook with a parameters cell and a start cell in front of these."""
    parameters = nbformat.v4.new_code_cell('profile = "reference"\ndata = "auto"\nseed = 0')
    parameters.metadata["tags"] = ["parameters"]
    code = [START.format(name=name), *(cell.format(number=name[:2]) for cell in cells)]
    notebook = nbformat.v4.new_notebook(
        cells=[parameters, *map(nbformat.v4.new_code_cell, code)],
        metadata={"kernelspec": KERNEL},
    )
    path = root / "notebooks" / f"{name}.ipynb"
    nbformat.write(notebook, path)
    return path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registries: None) -> Path:
    """A project of three notebooks, each with one claim and nothing else to record."""
    root = tmp_path / "a project"
    (root / "notebooks").mkdir(parents=True)
    (root / "data" / "theses").mkdir(parents=True)
    (root / "data" / "manifests").mkdir()
    names = ("01_good", "02_bad", "03_slow")
    settings = "".join(f"[{name[:2]}.own]\nsteps = 1\n" for name in names)
    (root / "notebooks" / "settings.toml").write_text(settings)
    notebooks = "".join(
        f'[[notebook]]\nnumber="{n[:2]}"\nname="{n}"\ntitle="t"\nquestion="q"\ntheses=["L"]\n'
        for n in names
    )
    (root / "data/theses/targets.toml").write_text("target = []\n" + notebooks)
    claims = "".join(
        f'[[claim]]\nid="X-{n[:2]}"\nnotebook="{n[:2]}"\nstatement="s"\nwhere=""\njudged=""\n'
        "needs_real=[]\n"
        for n in names
    )
    (root / "data/theses/claims.toml").write_text(claims)
    (root / "data/theses/numbers.csv").write_text("id,row,column,value,note\n")
    monkeypatch.setenv("SAMPLEVAE_ROOT", str(root))
    monkeypatch.setenv("SAMPLEVAE_FIGURES", str(root / "figures"))
    return root


def states(outcomes: list[runner.Outcome]) -> dict[str, str]:
    return {outcome.job.notebook: outcome.state for outcome in outcomes}


def test_a_failure_is_named_and_the_others_go_on_and_are_skipped_next_time(project, capsys):
    write_notebook(project, "01_good", CLAIM, FINISH)
    write_notebook(project, "02_bad", "ratio = 1 / 0  # the culprit", CLAIM, FINISH)
    outcomes = runner.run_jobs(runner.plan_jobs(profile="reference"), workers=2)
    assert states(outcomes) == {"01_good": "done", "02_bad": "failed in cell 3"}
    assert (project / "figures/executed/01_good.html").stat().st_size > 1000
    assert (project / "figures/executed/02_bad.ipynb").exists()
    said = capsys.readouterr().err
    assert "cell 3: ratio = 1 / 0  # the culprit" in said
    assert "ZeroDivisionError: division by zero" in said
    assert "1 reproduced" in terminal.summary(outcomes)

    write_notebook(project, "02_bad", CLAIM, FINISH)  # mended
    again = runner.run_jobs(runner.plan_jobs())
    assert states(again) == {"01_good": "up to date", "02_bad": "done"}
    # Another seed is another run.
    assert not any(runner.fresh(job) for job in runner.plan_jobs(seed=1))


def test_a_notebook_that_ends_without_finish_has_failed_whatever_papermill_says(project):
    write_notebook(project, "01_good", CLAIM)
    (outcome,) = runner.run_jobs(runner.plan_jobs(only=["01"]))
    assert outcome.state == "failed"
    assert outcome.error["error"] == "it ended without run.finish(): there is no run.json"


def test_what_is_unknown_is_an_error_that_lists_what_is_known(project):
    write_notebook(project, "01_good", FINISH)
    write_notebook(project, "02_bad", FINISH)
    for options, message in {
        ("only", "07"): "unknown notebook '07'; known are 01, 02, 01_good, 02_bad",
        ("profile", "huge"): "unknown profile 'huge'; known are smoke, reference, paper",
        ("data", "fake"): "unknown data 'fake'; known are auto, real, stand-in",
        (
            "parameters",
            "epochs",
        ): "01_good.ipynb has no parameter 'epochs'; it has profile, data, seed",
    }.items():
        name, value = options
        given = {"only": [value], "parameters": {value: 3}}.get(name, value)
        with pytest.raises(runner.RunError) as caught:
            runner.plan_jobs(**{name: given})
        assert str(caught.value) == message


def a_finished_job(project: Path, **state: object) -> Job:
    """A job whose files look as if it had just been done."""
    write_notebook(project, "01_good", CLAIM, FINISH)
    (job,) = runner.plan_jobs(only=["01"])
    folder = paths.figures() / "01_good"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"run": "token", "files": ["x.png"]}))
    (folder / "x.png").write_bytes(b"picture")
    paths.executed().mkdir(parents=True)
    job.executed.write_text(
        Path(job.source).read_text().replace('"execution_count": null', '"execution_count": 1')
    )
    job.html.write_text("page")
    known = {"key": job.key, "token": "token", "stand_ins": []} | state
    job.trace("state").write_text(json.dumps(known))
    return job


def test_a_finished_job_is_fresh_until_a_file_or_the_notebook_changes(project):
    job = a_finished_job(project)
    assert runner.fresh(job)
    (paths.figures() / "01_good/x.png").write_bytes(b"")
    assert runner.unwritten(job, "token") == "not written: x.png"
    assert not runner.fresh(job)
    (paths.figures() / "01_good/x.png").unlink()
    assert not runner.fresh(job)


def test_a_cell_that_was_passed_over_in_silence_is_noticed(project):
    job = a_finished_job(project)
    job.executed.write_text(Path(job.source).read_text())
    assert runner.unwritten(job, "token") == "cells never executed: 0, 1, 2, 3"


def test_another_runs_record_does_not_count(project):
    assert runner.unwritten(a_finished_job(project), "other") == "run.json is of another run"


@pytest.mark.parametrize("reachable", [True, False])
def test_stand_ins_are_replaced_once_recordings_are_within_reach(project, monkeypatch, reachable):
    job = a_finished_job(project, stand_ins=["drums"])
    asked = []
    monkeypatch.setattr(runner.datasets, "within_reach", lambda n: asked.append(n) or reachable)
    assert runner.fresh(job) is not reachable
    assert asked == ["drums"]


def test_a_changed_setting_makes_a_new_key(project):
    write_notebook(project, "01_good", FINISH)
    (before,) = runner.plan_jobs(only=["01"])
    settings = project / "notebooks/settings.toml"
    settings.write_text(settings.read_text().replace("[01.own]\nsteps = 1", "[01.own]\nsteps = 2"))
    (after,) = runner.plan_jobs(only=["01"])
    assert before.key != after.key


def test_what_is_trained_anew_and_shipped_is_told_to_the_notebook(project):
    write_notebook(project, "01_good", CLAIM, FINISH)
    (usual,) = runner.plan_jobs()
    assert (usual.environment["SAMPLEVAE_REFIT"], usual.environment["SAMPLEVAE_SHIP"]) == ("", "")
    (anew,) = runner.plan_jobs(refit=("dilated-0", "hybrid-1"), ship="half")
    assert anew.environment["SAMPLEVAE_REFIT"] == "dilated-0,hybrid-1"
    assert anew.environment["SAMPLEVAE_SHIP"] == "half"
    assert anew.key != usual.key  # what is trained anew doesn't stand for what comes along


def test_a_smoke_run_leaves_the_results_of_a_longer_one_alone(project, monkeypatch):
    monkeypatch.delenv("SAMPLEVAE_FIGURES")
    write_notebook(project, "01_good", CLAIM, FINISH)
    (smoke,), (longer,) = runner.plan_jobs(profile="smoke"), runner.plan_jobs()
    assert smoke.figures == project / ".smoke" / "01_good"
    assert longer.figures == project / "figures" / "01_good"
    assert smoke.environment["SAMPLEVAE_FIGURES"] == str(project / ".smoke")


def test_two_runs_into_one_folder_do_not_mix(project):
    from filelock import FileLock

    write_notebook(project, "01_good", FINISH)
    paths.executed().mkdir(parents=True)
    with FileLock(paths.executed() / ".lock"), pytest.raises(runner.RunError, match="another run"):
        runner.run_jobs(runner.plan_jobs(only=["01"]))


def test_the_clock_reads_like_a_clock():
    assert [terminal.clock(s) for s in (0, 59.6, 61, 3599.6, 3725)] == [
        "0:00", "1:00", "1:01", "1:00:00", "1:02:05",
    ]  # fmt: skip


def command(project: Path, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "samplevae_lib", "run", *arguments],
        cwd=Path(runner.LIBRARY).parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # As in a terminal, also where these tests run in the background of a script.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def wait_for(path: Path, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} never came"
        time.sleep(0.1)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


SLEEP = (
    "import os, pathlib, time\n"
    'pathlib.Path("../pid").write_text(str(os.getpid()))\n'
    'if not pathlib.Path("../go").exists():\n    time.sleep(300)'
)


def started_and_asleep(project: Path) -> tuple[subprocess.Popen, int]:
    write_notebook(project, "03_slow", SLEEP.replace("{", "{{"), CLAIM, FINISH)
    process = command(project, "--only", "03")
    wait_for(project / "pid")
    time.sleep(0.3)
    return process, int((project / "pid").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_killed_leaves_no_kernel_and_can_be_run_again(project, blow):
    process, kernel = started_and_asleep(project)
    process.send_signal(blow)
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    if blow == signal.SIGINT:
        assert "stopping" in said
        assert "03_slow: stopped" in said
    deadline = time.monotonic() + 30
    while alive(kernel):
        assert time.monotonic() < deadline, "the kernel outlived its runner"
        time.sleep(0.2)
    assert not (project / "figures/03_slow/run.json").exists()

    (project / "go").touch()
    again = command(project, "--only", "03")
    table, said = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert "1 reproduced" in table


@pytest.mark.slow
def test_a_cluster_does_the_same_work(project):
    distributed = pytest.importorskip("distributed")
    write_notebook(project, "01_good", CLAIM, FINISH)
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        jobs = runner.plan_jobs(only=["01"])
        outcomes = runner.run_jobs(jobs, scheduler=cluster.scheduler_address)
    assert states(outcomes) == {"01_good": "done"}
