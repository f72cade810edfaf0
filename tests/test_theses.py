"""What the theses published: the registries hold together, and our numbers meet theirs by name."""

from __future__ import annotations

import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from samplevae_lib import theses
from samplevae_lib.theses import UnknownId, beside, published

# Read in the theses' own text, not in numbers.csv. Letter and number name the table or figure.
PRINTED = [
    ("L-T4.1", "dilated · receptive field", "m = 10 (samples)", 5119),
    ("L-T4.1", "dilated · receptive field", "m = 5 (samples)", 319),
    ("L-T4.1", "convolutional · 5", "filters", 1024),
    ("L-T4.1", "dilated · 2", "layer", "50 x dilation_block"),
    ("L-F4.2", "sine 3", "frequency (Hz)", 253.6),
    ("L-T5.2", "convolutional", "1-NN accuracy", 0.94),
    ("L-T5.2", "dilated", "1-NN accuracy", 0.96),
    ("L-T5.2", "hybrid", "1-NN accuracy", 0.09),
    ("L-T5.4", "x0", "x1", 384.67),
    ("L-T5.4", "x1", "x3", 366.413),
    ("L-T5.4", "b", "x7", 88.14),
    ("L-T5.5", "zero", "hybrid mean", 6.89),
    ("L-T5.5", "one", "convolutional sd", 1.72),
    ("L-T5.5", "average", "dilated mean", -0.33),
    ("R-T4.3", "32 kbps", "ODG", -3.67),
    ("R-T4.3", "320 kbps", "cut-off frequency (kHz)", 19.5),
    ("R-T5.1", "cymbal", "mean length (s)", 4.063),
    ("R-T5.1", "snare", "count", 2596),
    ("R-T5.1", "lowest level (dBFS)", "stated", -158.4),
    ("R-T7.1", "GLA · STFT", "ODG mean", -0.585),
    ("R-T7.1", "GLA · CQT", "fingerprint similarity mean", 69),
    ("R-T7.1", "WaveNet vocoder · mel", "ODG mean", -3.911),
    ("R-T7.2", "overfit", "trained steps", 55000),
    ("R-T7.3", "beta", "FID", 163.0),
    ("R-T7.3", "8 dim", "NDB", 0),
    ("R-T7.4", "overfit · snare", "ODG best", -1.118),
    ("R-F7.5", "PCA", "round-trip mean squared distance", 0.22),
    ("R-F7.7", "UMAP", "round-trip mean squared distance", 0.59),
    ("M-T7.1", "ResNet50", "precision", 0.80),
    ("M-T7.1", "PANN CNN14", "precision", 0.87),
    ("M-T8.1", "MFCC · k 6", "labelled share 0.6", 0.1514),
    ("M-T8.1", "spectrogram · k 12", "labelled share 0.9", 0.1489),
    ("M-T8.2", "spectrogram · k 6", "labelled share 0.8", 0.1638),
    ("M-F9.5", "generator and discriminator", "RMSprop learning rate", 4e-4),
]
DRUMS = {
    "clap": 423, "combo": 83, "cymbal": 767, "hand drum": 142, "hi-hat": 1934, "kick": 1594,
    "mallet drum": 644, "metallic": 643, "shaker": 377, "snare": 2596, "tom": 918, "wooden": 154,
}  # fmt: skip
# Cells of L-T5.4 that the thesis prints differently on either side of its diagonal.
LOPSIDED = {("x1", "x3"), ("x1", "x6"), ("x1", "x7"), ("x6", "x7"), ("x7", "x8")}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registries: None):
    """A registry of one table: two rows, three columns, a gap and a text among them."""
    folder = tmp_path / "project" / "data" / "theses"
    folder.mkdir(parents=True)
    (folder / "numbers.csv").write_text(
        "id,row,column,value,note\nX-T1,kick,count,10,\nX-T1,kick,length,0.5,\n"
        "X-T1,snare,count,,lost in the source\nX-T1,snare,kind,drum,\nX-T1,all,count,30,\n"
    )
    monkeypatch.setenv("SAMPLEVAE_ROOT", str(tmp_path / "project"))


def shown(frame: pd.DataFrame) -> list[list]:
    """A frame's cells, with None for every kind of gap."""
    cells = frame.astype(object).to_numpy().tolist()
    return [[None if pd.isna(cell) else cell for cell in row] for row in cells]


def test_notebooks_are_numbered_from_00_to_13_and_named_after_their_number():
    known = theses.notebooks()
    assert list(known) == [f"{number:02d}" for number in range(14)]
    assert all(re.fullmatch(rf"{number}_[a-z_]+", book.name) for number, book in known.items())
    assert all(book.question.endswith("?") for book in known.values())
    assert all(set(book.theses) <= set("LRMG") and book.theses for book in known.values())


def test_ids_are_unique_across_targets_and_claims():
    counted = Counter([*theses.targets(), *theses.claims()])
    assert [id for id, times in counted.items() if times > 1] == []


def test_every_target_and_claim_belongs_to_a_registered_notebook():
    entries = [*theses.targets().values(), *theses.claims().values()]
    assert [e.id for e in entries if e.notebook not in theses.notebooks()] == []


def test_every_target_asks_for_a_table_or_a_figure_and_says_where_it_stands():
    for target in theses.targets().values():
        assert target.records, target.id
        assert set(target.records) <= set(theses.RECORDS), target.id
        assert target.title, target.id
        ours = target.id.startswith(f"{target.notebook}-")
        assert bool(target.where) != ours, f"{target.id}: only what is ours stands nowhere"


def test_every_claim_says_what_decides_it_and_asks_for_datasets_that_exist():
    for claim in theses.claims().values():
        assert claim.statement.strip(), claim.id
        assert claim.judged.strip(), claim.id
        assert set(claim.needs_real) <= {"digits", "drums", "notes"}, claim.id


def test_ids_serve_as_file_names():
    for id in [*theses.targets(), *theses.claims()]:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", id), id


def test_every_published_number_belongs_to_a_registered_table_or_figure():
    assert [id for id in theses.numbers() if id not in theses.targets()] == []


def test_every_published_value_is_a_finite_number_a_text_or_a_gap_with_a_note():
    for id, listed in theses.numbers().items():
        for number in listed:
            where = (id, number.row, number.column)
            if number.value is None:
                assert number.note, where
            elif isinstance(number.value, float):
                assert math.isfinite(number.value), where
            else:
                assert number.value == number.value.strip() != "", where


def test_no_published_value_is_given_twice():
    for id, listed in theses.numbers().items():
        counted = Counter((number.row, number.column) for number in listed)
        assert [cell for cell, times in counted.items() if times > 1] == [], id


@pytest.mark.parametrize(("id", "row", "column", "value"), PRINTED)
def test_the_registry_has_what_the_thesis_prints(id, row, column, value):
    assert published(id).loc[row, column] == value


def test_the_twelve_categories_of_the_drum_library_add_up_to_10275():
    table = published("R-T5.1")
    counts = {row: table.loc[row, "count"] for row in DRUMS}
    assert counts == DRUMS
    assert sum(counts.values()) == table.loc["all", "count"] == 10275


def test_the_lengths_of_the_drum_library_average_to_the_stated_mean():
    table = published("R-T5.1").loc[list(DRUMS)].astype(float)
    mean = np.average(table["mean length (s)"], weights=table["count"])
    assert round(mean, 3) == 1.214


@pytest.mark.parametrize(("model", "scored"), [("overfit", 845), ("beta", 768)])
def test_the_scored_clips_of_two_models_add_up_to_the_printed_totals(model, scored):
    counts = published("R-T7.4")["clips scored"]
    assert sum(counts[f"{model} · {drum}"] for drum in DRUMS) == scored
    assert counts[f"{model} · all"] == scored


def test_the_distance_table_is_symmetric_but_for_five_cells_printed_otherwise():
    table = published("L-T5.4")
    names = [f"x{i}" for i in range(10)]
    lopsided = {
        (a, b) for a in names for b in names if a < b and table.loc[a, b] != table.loc[b, a]
    }
    assert lopsided == LOPSIDED
    assert all(table.loc[name, name] == 0 for name in names)


def test_a_notebook_is_found_by_number_and_by_name():
    assert theses.notebook("04") is theses.notebook("04_spoken_digits")
    assert theses.notebook("00").exists


def test_an_unknown_notebook_lists_the_known():
    with pytest.raises(UnknownId) as caught:
        theses.notebook("99_nothing")
    message = str(caught.value)
    assert message.startswith("unknown notebook '99_nothing'")
    assert all(known.name in message for known in theses.notebooks().values())


@pytest.mark.parametrize(("find", "kind"), [(theses.target, "target"), (theses.claim, "claim")])
def test_an_unknown_id_lists_those_of_its_notebook_alone(find, kind):
    known = {"target": theses.targets, "claim": theses.claims}[kind]()
    with pytest.raises(UnknownId) as caught:
        find("R-T99", "00")
    message = str(caught.value)
    assert message.startswith(f"notebook 00 has no {kind} 'R-T99'")
    listed = message.partition("registered are ")[2].split(", ")
    assert listed == [entry.id for entry in known.values() if entry.notebook == "00"]


def test_an_id_of_another_notebook_is_unknown_here():
    with pytest.raises(UnknownId, match=r"notebook 00 has no target 'R-T7\.1'"):
        theses.target("R-T7.1", "00")


def test_the_overview_has_a_row_a_notebook_and_counts_what_it_regenerates():
    table = theses.overview()
    assert list(table.index) == list(theses.notebooks())
    assert table["tables and figures"].sum() == len(theses.targets())
    assert table["claims"].sum() == len(theses.claims())
    assert table.loc["00", "written"] == "yes"


def test_an_id_that_occurs_twice_is_refused(small, tmp_path):
    entry = '[[claim]]\nid="C"\nnotebook="00"\nstatement=""\nwhere=""\njudged=""\nneeds_real=[]\n'
    (tmp_path / "project/data/theses/claims.toml").write_text(entry * 2)
    with pytest.raises(ValueError, match="claim id occurs twice"):
        theses.claims()


def test_published_numbers_are_a_table_in_the_order_of_the_source(small):
    table = published("X-T1")
    assert list(table.index) == ["kick", "snare", "all"]
    assert list(table.columns) == ["count", "length", "kind"]
    assert shown(table) == [[10.0, 0.5, None], [None, None, "drum"], [30.0, None, None]]


def test_an_id_without_published_numbers_is_an_empty_table(small):
    assert published("X-T9").shape == (0, 0)


def test_rows_and_columns_meet_by_name_and_gaps_stay_on_either_side(small):
    ours = pd.DataFrame({"count": [28, 11], "odd": [1.0, 2.0]}, index=["all", "kick"])
    merged, _ = beside("X-T1", ours)
    assert list(merged.index) == ["all", "kick", "snare"]
    assert list(merged.columns) == [
        "count", "count (thesis)", "odd", "length (thesis)", "kind (thesis)",
    ]  # fmt: skip
    assert shown(merged) == [
        [28, 30.0, 1.0, None, None],
        [11, 10.0, 2.0, 0.5, None],
        [None, None, None, None, "drum"],
    ]


def test_what_both_have_is_compared_with_its_difference(small):
    ours = pd.DataFrame(
        {"length": [0.7, np.nan], "count": [11, 12], "kind": ["tom", "drum"]},
        index=["kick", "snare"],
    )
    _, compared = beside("X-T1", ours)
    assert compared == [
        {"row": "kick", "column": "count", "thesis": 10.0, "ours": 11.0, "difference": 1.0},
        {"row": "kick", "column": "length", "thesis": 0.5, "ours": 0.7, "difference": 0.2},
        {"row": "snare", "column": "count", "thesis": None, "ours": 12.0},
        {"row": "snare", "column": "kind", "thesis": "drum", "ours": "drum"},
    ]


def test_a_table_of_ours_alone_passes_through_unchanged(small):
    ours = pd.DataFrame({"a": [1, 2]}, index=["x", "y"])
    merged, compared = beside("X-T9", ours)
    pd.testing.assert_frame_equal(merged, ours.rename_axis("row"))
    assert compared == []


def test_setting_side_by_side_leaves_the_callers_table_alone(small):
    ours = pd.DataFrame({"count": [1]}, index=["kick"])
    before = ours.copy(deep=True)
    beside("X-T1", ours)
    pd.testing.assert_frame_equal(ours, before)
    assert ours.index.name is None


@pytest.mark.parametrize(
    ("ours", "named"),
    [
        (pd.DataFrame({"count": [1, 2]}, index=["kick", "kick"]), "row 'kick'"),
        (pd.DataFrame([[1, 2]], columns=["count", "count"], index=["kick"]), "column 'count'"),
    ],
)
def test_a_name_that_occurs_twice_in_our_table_is_refused(small, ours, named):
    with pytest.raises(ValueError, match=rf"X-T1: .*{named}.* twice"):
        beside("X-T1", ours)
