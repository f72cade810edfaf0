"""A notebook's handle: what a run leaves behind, what it refuses, and what it never does twice."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from matplotlib.figure import Figure
from PIL import Image

from samplevae_lib import paths, provenance
from samplevae_lib.audio import AudioError
from samplevae_lib.datasets import Dataset, Problem
from samplevae_lib.experiment import Run, records, start
from samplevae_lib.experiment import run as experiment_run
from samplevae_lib.experiment.records import RecordError
from samplevae_lib.files import write_json
from samplevae_lib.settings import SettingsError
from samplevae_lib.theses import UnknownId
from samplevae_lib.training import Fit

mpl.use("agg")

SETTINGS = "[07.paper]\nsteps = 4\n[07.own]\nnames = ['a', 'b']\n[07.smoke]\nsteps = 1\n"
NOTEBOOK = '[[notebook]]\nnumber="{0}"\nname="{1}"\ntitle="t"\nquestion="q?"\ntheses=["L"]\n'
TARGET = '[[target]]\nid="{0}"\nnotebook="{1}"\nrecords={2}\ntitle="title of {0}"\nwhere="page 1"\n'
CLAIM = (
    '[[claim]]\nid="{0}"\nnotebook="07"\nstatement="It is <so>."\nwhere="page 2"\njudged="seen"\n'
    "needs_real={1}\n"
)
NUMBERS = "id,row,column,value,note\nX-T1,kick,count,10,\nX-T1,snare,count,,lost\n"
RATE = 8000
ALL = ("X-T1", "X-F1", "X-B1", "X-C-any", "X-C-drums")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registries: None):
    """A checkout of its own: two notebooks, three targets and two claims."""
    root = tmp_path / "project"
    (root / "notebooks").mkdir(parents=True)
    (root / "data" / "theses").mkdir(parents=True)
    (root / "notebooks" / "settings.toml").write_text(SETTINGS)
    notebooks = NOTEBOOK.format("07", "07_toy") + NOTEBOOK.format("08", "08_other")
    targets = TARGET.format("X-T1", "07", ["table"]) + TARGET.format("X-F1", "07", ["figure"])
    targets += TARGET.format("X-B1", "07", ["table", "figure"])
    targets += TARGET.format("Y-F1", "08", ["figure"])
    (root / "data/theses/targets.toml").write_text(notebooks + targets)
    claims = CLAIM.format("X-C-any", []) + CLAIM.format("X-C-drums", ["drums"])
    (root / "data/theses/claims.toml").write_text(claims)
    (root / "data/theses/numbers.csv").write_text(NUMBERS)
    monkeypatch.setenv("SAMPLEVAE_ROOT", str(root))
    monkeypatch.delenv("SAMPLEVAE_RUN", raising=False)
    monkeypatch.setattr(provenance, "commit", lambda: "0123456789ab+changes")
    monkeypatch.setattr(records, "DPI", 50)  # print quality takes its time
    return root


@pytest.fixture
def run(project, monkeypatch) -> Run:
    return begin(monkeypatch)


def begin(monkeypatch, source: str = "real", **options) -> Run:
    """A run whose every dataset has this source."""
    monkeypatch.setattr(
        experiment_run.datasets, "load", lambda name, **given: dataset(name, source, given)
    )
    return start("07_toy", **options)


def dataset(name: str = "drums", source: str = "real", options: dict | None = None) -> Dataset:
    audio = np.random.default_rng(0).uniform(-1, 1, (4, 64)).astype(np.float32)
    columns = {column: np.array(list("abcd")) for column in ("labels", "names", "groups")}
    return Dataset(
        name=name, audio=audio, sample_rate=RATE, durations=np.ones(4), source=source,
        provenance={"licence": "none", "reason": "no network", **(options or {})},
        problems=(Problem("x.wav", "is empty"),), **columns,
    )  # fmt: skip


def picture(height: float = 1.0) -> Figure:
    figure = Figure(figsize=(2, 1), layout="constrained")
    figure.subplots().plot([0, height])
    return figure


def frame(value: float = 12.0) -> pd.DataFrame:
    return pd.DataFrame({"count": [value]}, index=["kick"])


def fill(run: Run, *, leave: tuple[str, ...] = ()) -> Run:
    """Record everything registered, but for what to leave."""
    if "X-T1" not in leave:
        run.table("X-T1", frame())
    if "X-F1" not in leave:
        run.figure("X-F1", picture(), "A line.")
    run.table("X-B1", frame())
    if "X-B1" not in leave:
        run.figure("X-B1", picture(), "Another line.")
    for claim in ("X-C-any", "X-C-drums"):
        if claim not in leave:
            run.claim(claim, holds=True, evidence="seen")
    return run


def record(run: Run, name: str) -> dict:
    return json.loads((run.folder / f"{name}.json").read_text(encoding="utf-8"))


def left(run: Run) -> set[str]:
    """Every file in the run's folder."""
    files = (path for path in run.folder.rglob("*") if path.is_file())
    return {path.relative_to(run.folder).as_posix() for path in files}


def origin(run: Run) -> dict:
    """What every record has to say of where it came from."""
    return {
        "notebook": "07_toy", "run": run.token, "profile": run.profile, "seed": run.seed,
        "commit": "0123456789ab+changes", "settings": dict(run.settings),
    }  # fmt: skip


# Beginning.


def test_a_run_starts_with_the_settings_of_its_profile(project):
    run = start("07_toy", profile="smoke", data="stand-in", seed=3)
    assert (run.profile, run.data, run.seed) == ("smoke", "stand-in", 3)
    assert dict(run.settings) == {"steps": 1, "names": ["a", "b"]}
    assert run.folder == paths.figures() / "07_toy"
    assert start("07").notebook == run.notebook


def test_a_smoke_run_has_a_folder_of_its_own(project, monkeypatch):
    monkeypatch.delenv("SAMPLEVAE_FIGURES")
    reference, smoke = start("07_toy"), start("07_toy", profile="smoke")
    assert reference.folder == project / "figures" / "07_toy"
    assert smoke.folder == project / ".smoke" / "07_toy"


@pytest.mark.parametrize(
    ("notebook", "options", "error", "named"),
    [
        ("09_nothing", {}, UnknownId, "07_toy, 08_other"),
        ("07_toy", {"profile": "desktop"}, SettingsError, "smoke, reference, paper"),
        ("07_toy", {"data": "fake"}, ValueError, "auto, real, stand-in"),
        ("08_other", {}, SettingsError, "no tables for notebook '08'"),
    ],
)
def test_a_run_of_something_unknown_does_not_start(project, notebook, options, error, named):
    with pytest.raises(error, match=named):
        start(notebook, **options)


def test_starting_takes_away_the_mark_of_a_finished_run(run):
    fill(run).finish()
    assert (run.folder / "run.json").exists()
    start("07_toy")
    assert not (run.folder / "run.json").exists()


def test_data_is_loaded_under_the_runs_profile_data_and_seed(project, monkeypatch):
    run = begin(monkeypatch, profile="smoke", data="stand-in", seed=3)
    assert run.load("drums", count=2).provenance == {
        "licence": "none", "reason": "no network",
        "profile": "smoke", "data": "stand-in", "seed": 3, "count": 2,
    }  # fmt: skip
    assert run.load("drums", seed=5).provenance["seed"] == 5


# What is left behind.


def test_a_figure_is_a_png_beside_a_record_of_where_it_came_from(run):
    run.load("drums")
    run.figure("X-F1", picture(), "A line.")
    assert left(run) == {"X-F1.png", "X-F1.json"}
    assert Image.open(run.folder / "X-F1.png").format == "PNG"
    made = record(run, "X-F1")
    assert made.items() >= origin(run).items()
    assert (made["id"], made["title"], made["where"]) == ("X-F1", "title of X-F1", "page 1")
    assert made["files"] == [{"kind": "figure", "file": "X-F1.png", "caption": "A line."}]


def test_a_record_says_which_data_it_was_made_from(run):
    drums = run.load("drums")
    run.figure("X-F1", picture(), "A line.")
    assert record(run, "X-F1")["data"] == [{
        "name": "drums", "source": "real", "sounds": 4, "fingerprint": drums.fingerprint,
        "licence": "none", "reason": "no network",
        "profile": "reference", "data": "auto", "seed": 0,
        "problems": [["x.wav", "is empty"]],
    }]  # fmt: skip


def test_only_the_data_that_was_used_is_named(run):
    drums, _ = run.load("drums"), run.load("digits")
    run.figure("X-F1", picture(), "A line.", data=iter([drums]))
    run.table("X-T1", frame())
    assert [used["name"] for used in record(run, "X-F1")["data"]] == ["drums"]
    assert [used["name"] for used in record(run, "X-T1")["data"]] == ["drums", "digits"]


def test_a_record_of_several_files_names_the_data_of_them_all(run):
    drums = run.load("drums")
    stand_in = dataset("digits", "stand-in")
    run.table("X-B1", frame(), data=[drums])
    run.figure("X-B1", picture(), "Digits.", data=[stand_in])
    run.figure("X-B1", picture(), "Both.", part="both", data=[drums, stand_in])
    sources = [(used["name"], used["source"]) for used in record(run, "X-B1")["data"]]
    assert sources == [("drums", "real"), ("digits", "stand-in")]


def test_the_same_figure_gives_the_same_bytes(run):
    run.figure("X-F1", picture(), "A line.", part="one")
    run.figure("X-F1", picture(), "A line.", part="two")
    run.figure("X-F1", picture(2.0), "A line.", part="three")
    one, two, three = (
        (run.folder / f"X-F1_{part}.png").read_bytes() for part in ("one", "two", "three")
    )
    assert one == two
    assert one != three


def test_a_figure_says_nothing_of_when_and_by_what_it_was_made(run):
    run.figure("X-F1", picture(), "A line.")
    assert set(Image.open(run.folder / "X-F1.png").info) <= {"dpi"}


def test_a_figure_from_stand_ins_is_stamped_and_so_is_its_record(project, monkeypatch):
    run = begin(monkeypatch, source="stand-in")
    drawn = picture()
    run.load("drums")
    run.load("digits")
    run.figure("X-F1", drawn, "A line.")
    assert [text.get_text() for text in drawn.texts] == [
        "MADE FROM STAND-IN DIGITS, DRUMS, NOT FROM RECORDINGS"
    ]
    assert [used["source"] for used in record(run, "X-F1")["data"]] == ["stand-in", "stand-in"]


def test_the_stamp_lies_within_the_saved_picture(project, monkeypatch):
    run = begin(monkeypatch, source="stand-in")
    run.figure("X-F1", picture(), "Nothing used.", part="plain")
    run.load("drums")
    run.figure("X-F1", picture(), "Drums used.", part="stamped")
    plain, stamped = (Image.open(run.folder / f"X-F1_{p}.png") for p in ("plain", "stamped"))
    assert stamped.height > plain.height
    rows = np.asarray(stamped.convert("RGB"))[plain.height :].astype(int)
    assert (rows.min(axis=-1) < 128).any()


def test_a_figure_from_recordings_has_no_stamp(run):
    drawn, stand_in = picture(), dataset("digits", "stand-in")
    run._datasets.append(stand_in)
    run.figure("X-F1", drawn, "Only the drums.", data=[run.load("drums")])
    assert drawn.texts == []


def test_a_table_has_the_thesis_beside_ours_in_its_csv_and_its_record(run):
    run.table("X-T1", pd.DataFrame({"count": [12.0, 5.0]}, index=["kick", "tom"]))
    assert left(run) == {"X-T1.csv", "X-T1.json"}
    with (run.folder / "X-T1.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["row", "count", "count (thesis)"],
            ["kick", "12", "10"],
            ["tom", "5", ""],
            ["snare", "", ""],
        ]
    made = record(run, "X-T1")
    assert made.items() >= origin(run).items()
    compared = [{"row": "kick", "column": "count", "thesis": 10, "ours": 12, "difference": 2}]
    assert made["files"] == [
        {"kind": "table", "file": "X-T1.csv", "caption": "title of X-T1", "compared": compared}
    ]


def test_what_is_not_a_number_is_an_empty_cell_and_null(run):
    run.table("X-T1", pd.DataFrame({"count": [np.nan], "odd": [np.nan]}, index=["kick"]))
    lines = (run.folder / "X-T1.csv").read_text(encoding="utf-8").splitlines()
    assert lines[1] == "kick,,10,"
    text = (run.folder / "X-T1.json").read_text(encoding="utf-8")
    assert "NaN" not in text
    compared = json.loads(text)["files"][0]["compared"]
    assert compared[0]["ours"] is None


def test_infinity_is_null_in_a_record_too(run):
    run.table("X-T1", frame(np.inf))
    compared = record(run, "X-T1")["files"][0]["compared"][0]
    assert (compared["ours"], compared["difference"]) == (None, None)


def test_a_claim_is_a_record_of_verdict_evidence_and_origin(run):
    run.load("drums")
    run.claim("X-C-any", holds=np.True_, evidence="seen <twice>")
    made = record(run, "X-C-any")
    assert made.items() >= origin(run).items()
    told = {"id": "X-C-any", "statement": "It is <so>.", "where": "page 2", "judged": "seen"}
    assert made.items() >= (told | {"verdict": "reproduced", "evidence": "seen <twice>"}).items()
    assert [used["name"] for used in made["data"]] == ["drums"]


def test_a_sound_is_a_wav_beside_a_record(run):
    sound = 0.5 * np.sin(np.arange(800) / 5).astype(np.float32)
    path = run.audio("kick-clean", sound, RATE)
    assert path == run.folder / "audio" / "kick-clean.wav"
    assert left(run) == {"audio/kick-clean.wav", "audio/kick-clean.json"}
    written, rate = sf.read(path, dtype="float32")
    assert rate == RATE
    np.testing.assert_allclose(written, sound, atol=2**-15)
    made = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert made.items() >= (origin(run) | {"name": "kick-clean", "sample_rate": RATE}).items()
    assert made["files"] == [{"kind": "audio", "file": "kick-clean.wav"}]


def test_a_sound_above_full_scale_is_brought_down_and_not_clipped(run):
    sound = 3 * np.sin(np.arange(800) / 5).astype(np.float32)
    written, _ = sf.read(run.audio("loud", sound, RATE), dtype="float32")
    assert np.abs(written).max() == pytest.approx(10 ** (-0.1 / 20), abs=1e-4)
    np.testing.assert_allclose(written / np.abs(written).max(), sound / sound.max(), atol=1e-3)


def test_a_sound_with_nan_is_refused_and_leaves_no_file(run):
    with pytest.raises(AudioError, match="NaN"):
        run.audio("broken", np.array([0.0, np.nan], np.float32), RATE)
    assert left(run) == set()


@pytest.mark.parametrize("name", ["../outside", "kick/one", "", ".hidden"])
def test_a_sounds_name_is_one_file_in_the_runs_folder(run, name):
    with pytest.raises(RecordError, match="name"):
        run.audio(name, np.zeros(8, np.float32), RATE)
    assert left(run) == set()


def test_a_part_names_one_of_several_pictures_of_an_id(run):
    run.figure("X-F1", picture(), "The first.", part="a")
    run.figure("X-F1", picture(), "The second.", part="second-half")
    run.table("X-B1", frame(), part="1")
    assert left(run) == {
        "X-F1_a.png", "X-F1_second-half.png", "X-F1.json", "X-B1_1.csv", "X-B1.json",
    }  # fmt: skip
    captions = {entry["file"]: entry["caption"] for entry in record(run, "X-F1")["files"]}
    assert captions == {"X-F1_a.png": "The first.", "X-F1_second-half.png": "The second."}


@pytest.mark.parametrize("part", ["A", "a b", "../a", "-a", "a_b", "ä"])
def test_a_part_that_makes_no_good_file_name_is_refused(run, part):
    with pytest.raises(RecordError, match="lower-case letters, digits and hyphens"):
        run.figure("X-F1", picture(), "A line.", part=part)
    with pytest.raises(RecordError, match="part="):
        run.table("X-T1", frame(), part=part)
    assert left(run) == set()


def test_a_figure_drawn_again_takes_the_place_of_the_first(run):
    run.figure("X-F1", picture(), "Before.")
    run.figure("X-F1", picture(2.0), "After.")
    assert [entry["caption"] for entry in record(run, "X-F1")["files"]] == ["After."]


def test_a_second_run_replaces_the_records_of_the_first(run):
    run.figure("X-F1", picture(), "Old.", part="old")
    run.audio("kick", np.zeros(8, np.float32), RATE)
    again = start("07_toy", seed=1)
    again.figure("X-F1", picture(), "New.", part="new")
    again.audio("kick", np.zeros(8, np.float32), RATE)
    made = record(again, "X-F1")
    assert [entry["file"] for entry in made["files"]] == ["X-F1_new.png"]
    assert (made["seed"], made["run"]) == (1, again.token)
    assert again.token != run.token
    assert len(record(again, "audio/kick")["files"]) == 1


def test_the_runner_names_the_run(project, monkeypatch):
    monkeypatch.setenv("SAMPLEVAE_RUN", "named-by-the-runner")
    assert start("07_toy").token == "named-by-the-runner"


# Ids.


@pytest.mark.parametrize("id", ["X-T9", "Y-F1", "X-C-any"])
def test_an_unknown_id_is_an_error_that_lists_the_known(run, id):
    for record_it in (
        lambda: run.figure(id, picture(), "A line."),
        lambda: run.table(id, frame()),
    ):
        with pytest.raises(UnknownId, match=f"no target '{id}'; registered are X-T1, X-F1, X-B1"):
            record_it()
    assert left(run) == set()


def test_an_unknown_claim_is_an_error_that_lists_the_known(run):
    with pytest.raises(UnknownId, match="no claim 'X-T1'; registered are X-C-any, X-C-drums"):
        run.claim("X-T1", holds=True, evidence="seen")
    assert left(run) == set()


# Verdicts.


def verdict(run: Run, claim: str, holds: bool | None, evidence: str = "seen") -> str:
    run.claim(claim, holds=holds, evidence=evidence)
    assert record(run, claim)["verdict"] == run.verdicts[claim]
    return run.verdicts[claim]


@pytest.mark.parametrize("profile", ["reference", "paper"])
@pytest.mark.parametrize(("holds", "word"), [(True, "reproduced"), (False, "differs")])
def test_what_holds_is_reproduced_and_what_does_not_differs(
    project, monkeypatch, profile, holds, word
):
    run = begin(monkeypatch, profile=profile)
    run.load("drums")
    assert verdict(run, "X-C-any", holds) == word
    assert verdict(run, "X-C-drums", holds) == word
    assert verdict(run, "X-C-any", np.bool_(holds)) == word


@pytest.mark.parametrize("holds", [True, False, None])
def test_the_smoke_profile_judges_nothing(project, monkeypatch, holds):
    run = begin(monkeypatch, profile="smoke")
    run.load("drums")
    for claim in ("X-C-any", "X-C-drums"):
        assert verdict(run, claim, holds).startswith("not attempted (the smoke profile")


@pytest.mark.parametrize("holds", [True, False, None])
def test_stand_ins_never_decide_a_claim_that_needs_recordings(project, monkeypatch, holds):
    run = begin(monkeypatch, source="stand-in")
    run.load("drums")
    assert verdict(run, "X-C-drums", holds) == "not attempted (needs recordings of drums)"


def test_stand_ins_may_decide_a_claim_that_needs_no_recordings(project, monkeypatch):
    run = begin(monkeypatch, source="stand-in")
    run.load("drums")
    assert verdict(run, "X-C-any", True) == "reproduced"


def test_recordings_of_something_else_decide_nothing(run):
    run.load("digits")
    assert verdict(run, "X-C-drums", True) == "not attempted (needs recordings of drums)"


def test_evidence_that_decides_nothing_gives_no_verdict(run):
    run.load("drums")
    assert verdict(run, "X-C-drums", None) == "not attempted (the evidence decides nothing)"


@pytest.mark.parametrize("evidence", ["", "  \n"])
def test_a_verdict_without_evidence_is_an_error(run, evidence):
    with pytest.raises(RecordError, match="X-C-any: no evidence"):
        run.claim("X-C-any", holds=True, evidence=evidence)
    assert run.verdicts == {}
    assert left(run) == set()


# The end.


def test_a_finished_run_lists_all_it_left_and_how_it_was_made(run):
    run.load("drums")
    fill(run)
    run.figure("X-F1", picture(), "A part.", part="a")
    run.audio("kick", np.zeros(8, np.float32), RATE)
    run.finish()
    made = record(run, "run")
    assert made.items() >= origin(run).items()
    assert made["files"] == sorted(left(run) - {"run.json"})
    assert made["verdicts"] == {"X-C-any": "reproduced", "X-C-drums": "reproduced"}
    assert made["seconds"] >= 0
    assert made["peak_memory_gib"] > 0
    assert set(made["machine"]) == {"system", "processor", "cores", "memory_gib", "gpu"}
    assert set(made["versions"]) >= {"python", "torch", "numpy", "librosa"}
    assert made["finished"].endswith("+00:00")


def test_the_mark_of_a_finished_run_is_written_last(run, monkeypatch):
    there = {}

    def watched(path, content):
        there[path.name] = left(run)
        write_json(path, content)

    monkeypatch.setattr(experiment_run, "write_json", watched)
    fill(run).finish()
    assert there["run.json"] == left(run) - {"run.json"} == set(record(run, "run")["files"])


@pytest.mark.parametrize(
    ("absent", "named"),
    [
        ("X-T1", "table X-T1"), ("X-F1", "figure X-F1"), ("X-B1", "figure X-B1"),
        ("X-C-drums", "claim X-C-drums"),
    ],
)  # fmt: skip
def test_finishing_names_what_is_missing_and_leaves_no_mark(run, absent, named):
    fill(run, leave=(absent,))
    with pytest.raises(RecordError) as caught:
        run.finish()
    assert str(caught.value).startswith("07_toy: registered in data/theses but not recorded: ")
    assert str(caught.value).partition("recorded: ")[2] == named
    assert not (run.folder / "run.json").exists()


def test_finishing_an_empty_run_names_all_that_is_registered(run):
    with pytest.raises(RecordError) as caught:
        run.finish()
    assert str(caught.value).partition("recorded: ")[2] == (
        "table X-T1, figure X-F1, table X-B1, figure X-B1, claim X-C-any, claim X-C-drums"
    )


def test_what_an_earlier_run_recorded_does_not_count_for_this_one(run):
    fill(run).finish()
    with pytest.raises(RecordError, match="table X-T1"):
        fill(start("07_toy"), leave=("X-T1",)).finish()


def test_json_that_cannot_be_written_is_an_error_and_leaves_the_old_file(run):
    run.figure("X-F1", picture(), "Before.")
    before = (run.folder / "X-F1.json").read_bytes()
    with pytest.raises(TypeError):
        run.figure("X-F1", picture(), object())
    assert (run.folder / "X-F1.json").read_bytes() == before


# What is never done twice.


def network(seed: int = 0):
    import torch

    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(64, 3), torch.nn.BatchNorm1d(3))


class Training:
    """Counts how often `train` was called, and ends it early when told to."""

    calls = 0
    killed = False
    found: list[str] | None = None  # in the checkpoint folder, when the last training began

    @staticmethod
    def train(model, data, *, seed, checkpoint, steps=2):
        import torch

        Training.calls += 1
        Training.found = [file.name for file in checkpoint.iterdir()]
        (checkpoint / "state").write_text("so far")
        if Training.killed:
            raise KeyboardInterrupt
        for _ in range(steps):  # by hand: torch.optim takes seconds to import
            loss = model(torch.from_numpy(np.array(data.audio))).square().mean()
            parameters = list(model.parameters())
            with torch.no_grad():
                for weight, slope in zip(
                    parameters, torch.autograd.grad(loss, parameters), strict=True
                ):
                    weight -= 0.1 * slope
        return pd.DataFrame({"step": range(steps), "loss": [loss.item()] * steps})


@pytest.fixture
def training(monkeypatch) -> type[Training]:
    monkeypatch.setattr(Training, "calls", 0)
    monkeypatch.setattr(Training, "killed", False)
    monkeypatch.setattr("torch.get_num_threads", lambda: 1)  # in this process, to be counted
    return Training


def weights(model) -> dict[str, bytes]:
    return {
        name: (str(t.dtype), tuple(t.shape), t.numpy().tobytes())
        for name, t in model.state_dict().items()
    }


def fit(run: Run, model, train, *, data, **options) -> pd.DataFrame:
    """One model through the run's door."""
    return run.fit_all({"it": Fit(model, train, data, run.seed, options)})["it"]


def test_a_model_is_trained_once_and_comes_back_bit_for_bit(run, training):
    first, again = network(), network()
    before = weights(first)
    history = fit(run, first, training.train, data=dataset(), steps=3)
    assert weights(first) != before
    assert first[1].num_batches_tracked.item() == 3
    restored = fit(run, again, training.train, data=dataset(), steps=3)
    assert training.calls == 1
    assert weights(again) == weights(first)
    pd.testing.assert_frame_equal(restored, history)


def test_another_run_takes_the_trained_model_too(run, training, monkeypatch):
    first, again = network(), network()
    fit(run, first, training.train, data=dataset())
    fit(begin(monkeypatch), again, training.train, data=dataset())
    assert training.calls == 1
    assert weights(again) == weights(first)


def test_a_cached_model_says_which_run_trained_it(run, training):
    fit(run, network(), training.train, data=dataset())
    (notes,) = (paths.cache() / "models").glob("*.json")
    assert json.loads(notes.read_text(encoding="utf-8")).items() >= origin(run).items()


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 3},
        {"data": dataset("digits").select([0, 1, 2])},
        {"model": 1},
        {"seed": 1},
    ],
    ids=["option", "data", "first weights", "seed"],
)
def test_what_decides_the_weights_trains_anew_when_it_changes(run, training, change, monkeypatch):
    fit(run, network(), training.train, data=dataset(), steps=2)
    changed = {"steps": 2, "data": dataset()} | change
    model = network(changed.pop("model", 0))
    other = begin(monkeypatch, seed=changed.pop("seed", 0))
    fit(other, model, training.train, **changed)
    assert training.calls == 2


def test_other_code_or_layers_train_anew(run, training):
    import torch

    def train(model, data, *, seed, checkpoint):
        return training.train(model, data, seed=seed, checkpoint=checkpoint)

    fit(run, network(), training.train, data=dataset())
    fit(run, network(), train, data=dataset())
    torch.manual_seed(0)
    sloped = torch.nn.Sequential(torch.nn.Linear(64, 3), torch.nn.BatchNorm1d(3, eps=1e-3))
    fit(run, sloped, training.train, data=dataset())
    assert training.calls == 3


def test_a_killed_training_finds_its_checkpoint_again_and_then_clears_it(run, training):
    training.killed = True
    with pytest.raises(KeyboardInterrupt):
        fit(run, network(), training.train, data=dataset())
    assert training.found == []
    assert fit(run, network(1), untrained, data=dataset()).empty  # another key
    training.killed = False
    fit(run, network(), training.train, data=dataset())
    assert training.found == ["state"]
    assert training.calls == 2
    assert list((paths.cache() / "models").glob("*.checkpoint")) == []


def untrained(model, data, *, seed, checkpoint):
    assert list(checkpoint.iterdir()) == []
    return pd.DataFrame()


# The commit.


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


def test_the_commit_is_told_and_whether_the_files_differ_from_it(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMPLEVAE_ROOT", str(tmp_path))
    assert provenance.commit() == "unknown"
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "settings.toml").write_text("")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "one")
    head = provenance.commit()
    assert len(head) == 12
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "x.png").write_text("made by a run")
    assert provenance.commit() == head
    (tmp_path / "notebooks" / "settings.toml").write_text("[00.own]\n")
    assert provenance.commit() == f"{head}+changes"


def test_records_name_no_folder_of_this_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("SAMPLEVAE_MIRROR", str(tmp_path / "mirror"))
    said = f"not in {paths.data()}, not in the mirror ({tmp_path / 'mirror'}); 3 tries"
    assert records._placeless(said) == "not in …, not in the mirror (…); 3 tries"
    assert records._placeless(7) == 7


def test_fits_of_a_run_are_recorded_with_where_their_weights_came_from(run, training):
    fit(run, network(), training.train, data=dataset())
    fill(run).finish()
    assert record(run, "run")["fits"]["it"]["weights"] == "trained"
    assert record(run, "X-T1")["weights"] == {"trained": 1}
    fit(run, network(), training.train, data=dataset())
    run.table("X-T1", frame())
    assert record(run, "X-T1")["weights"] == {"cached": 1}


def test_models_of_recordings_have_this_runs_sizes_and_those_of_stand_ins_the_smallest(
    project, monkeypatch
):
    real = begin(monkeypatch)
    assert real.sizes_for(real.load("drums")) is real.settings
    stood_in = begin(monkeypatch, source="stand-in")
    assert dict(stood_in.sizes_for(stood_in.load("drums"))) == {"steps": 1, "names": ["a", "b"]}
    stood_in.table("X-T1", frame())
    (used,) = record(stood_in, "X-T1")["data"]
    assert used["models"] == "of the smoke profile's sizes"


@pytest.mark.parametrize(
    ("learnt", "verdict"),
    [
        ({"a": 0.3, "b": 0.9}, "reproduced"),
        ({"a": 0.3, "b": 0.91}, "not attempted (nothing learnt yet: b)"),
        ({"a": float("nan")}, "not attempted (nothing learnt yet: a)"),
    ],
)
def test_a_claim_that_rests_on_a_model_that_learnt_nothing_gets_no_verdict(run, learnt, verdict):
    run.claim("X-C-any", holds=True, evidence="seen", learnt=learnt)
    told = record(run, "X-C-any")
    assert told["verdict"] == verdict
    assert "held-out error in shares of silence's: a" in told["evidence"]


def test_a_smoke_run_says_so_in_its_figures_and_above_its_widgets(project, monkeypatch):
    from samplevae_lib import plots, widgets

    stamps = []
    monkeypatch.setattr(plots, "stamp", lambda figure, text: stamps.append(text))
    smoke = begin(monkeypatch, profile="smoke")
    smoke.load("drums")
    smoke.figure("X-F1", picture(), "A line.")
    assert stamps == ["smoke run: nothing here is trained"]
    steps = np.zeros((2, 64), np.float32)
    assert "nothing here is trained" in widgets.Morph(steps, 8000)._repr_html_()
    assert "nothing here is trained" in widgets.compare(*steps, 8000)._repr_html_()
    start("07_toy")
    assert "nothing here is trained" not in widgets.Morph(steps, 8000)._repr_html_()
