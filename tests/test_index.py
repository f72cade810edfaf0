"""The index: from an id to the notebook, the cell, the library's functions and the files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from samplevae_lib import cli, theses
from samplevae_lib.experiment import index

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def committed_figures(monkeypatch):
    monkeypatch.setenv("SAMPLEVAE_FIGURES", str(ROOT / "figures"))


def test_a_table_is_found_with_its_cell_its_functions_and_its_files():
    entry = index.find("R-T7.1")
    assert entry.notebook == "01_spectrogram_inversion"
    cells = json.loads((ROOT / "notebooks" / f"{entry.notebook}.ipynb").read_text())["cells"]
    for cell in entry.cells:
        assert '"R-T7.1"' in "".join(cells[cell]["source"])
    assert any(name.startswith("samplevae_lib.inversion") for name in entry.functions)
    assert "R-T7.1.csv" in [file.name for file in entry.files]


def test_only_what_is_behind_an_id_is_listed():
    names = index.find("R-F7.1").functions  # the loss curve of WaveNet
    assert "samplevae_lib.inversion.wavenet.train_wavenet" in names
    assert "samplevae_lib.plots.curves.histories" in names
    assert not any(name.endswith(("odg", "through_mp3", "phases")) for name in names)


def test_functions_are_named_with_file_and_line():
    assert index.place_of("samplevae_lib.metrics.odg").startswith(
        "samplevae_lib/metrics/peaq/grade.py:"
    )
    assert index.place_of("samplevae_lib.metrics.nothing") == ""
    assert index.place_of("samplevae_lib.settings.PROFILES") == ""


def test_every_id_of_a_written_notebook_has_a_cell():
    written = {notebook.name for notebook in theses.notebooks().values() if notebook.exists}
    lost = [entry.id for entry in index.every() if entry.notebook in written and not entry.cells]
    assert lost == []


def test_an_id_of_a_notebook_to_come_says_so():
    coming = next(n for n in theses.notebooks().values() if not n.exists and _targets(n))
    entry = index.find(_targets(coming)[0].id)
    assert "is not written yet" in str(entry)


def _targets(notebook) -> list:
    return theses.of_notebook(theses.targets(), notebook.number)


def test_an_unknown_id_is_an_error_of_the_command(capsys):
    assert cli.main(["index", "R-T99"]) == 2
    assert "unknown id 'R-T99'" in capsys.readouterr().err


def test_the_command_prints_one_or_all(capsys):
    assert cli.main(["index", "L-F4.5"]) == 0
    shown = capsys.readouterr().out
    assert "notebooks/03_signal_vaes.ipynb, cell" in shown
    assert "figures/03_signal_vaes/L-F4.5.png" in shown
    assert cli.main(["index"]) == 0
    listed = capsys.readouterr().out
    assert all(f"{id}  " in listed for id in (*theses.targets(), *theses.claims()))
