"""How well classes are told apart, against closed forms; and how classifiers are taught."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor, nn

from samplevae_lib import metrics
from samplevae_lib.metrics import (
    balanced,
    calibration,
    calibration_error,
    over_sounds,
    scores,
    share,
)
from samplevae_lib.training import classification
from samplevae_lib.training.classification import SILENT, train_classifier, vary_levels, vary_waves

# Scores.


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1))
def test_scores_are_those_of_the_confusion_matrix(pairs):
    table = np.zeros((5, 5))
    np.add.at(table, tuple(np.transpose(pairs)), 1)
    hits, there, told = table.diagonal(), table.sum(1), table.sum(0)
    recall, precision = hits / np.maximum(there, 1), hits / np.maximum(told, 1)
    f1 = 2 * hits / np.maximum(there + told, 1)
    means = [values[there > 0].mean() for values in (recall, precision, recall, f1)]
    assert list(scores(*np.transpose(pairs)).values()) == pytest.approx(
        [hits.sum() / len(pairs), *means]
    )


# Intervals.


def test_over_sounds_one_training_has_the_interval_of_drawing_sounds_anew():
    right = np.arange(400) % 5 > 0  # 0.8 of them
    found = over_sounds(right)
    low, high = stats.binom.interval(0.95, 400, 0.8)
    assert found == pytest.approx((0.8, low / 400, high / 400), abs=0.006)
    assert found == over_sounds([right] * 5)  # trainings that agree add nothing
    assert found == over_sounds(right, seed=0) != over_sounds(right, seed=1)


def test_over_sounds_trainings_that_disagree_have_students_interval():
    means = np.array([0.2, 0.9, 0.5, 0.7])
    values = np.random.default_rng(0).permuted(np.arange(1000) < 1000 * means[:, None], axis=1)
    assert over_sounds(values) == pytest.approx(metrics.interval(means))


def test_balanced_accuracy_has_an_interval_that_weighs_classes_alike():
    targets = ["kick"] * 300 + ["ride"] * 100
    told = np.where(np.arange(400) % 5 > 0, targets, "none")
    told[300:350] = "none"  # recalls of 0.8 and 0.4
    found, error = balanced(targets, told), np.sqrt(0.16 / 300 + 0.24 / 100) / 2
    assert found == pytest.approx((0.6, 0.6 - 1.96 * error, 0.6 + 1.96 * error), abs=0.01)
    assert found.mean == pytest.approx(scores(targets, told)["balanced accuracy"])
    disagreeing = [targets, ["none"] * 400]
    assert balanced(targets, disagreeing) == pytest.approx(metrics.interval([1.0, 0.0]))


# Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611)],
)
def test_a_share_has_wilsons_interval(hits, count, low, high):
    assert share(hits, count) == pytest.approx((hits / count, low, high), abs=5e-5)


# Calibration.


def sure_of_two(sure: float, count: int, right: int) -> tuple[np.ndarray, np.ndarray]:
    """Predictions of class 1, all as sure, of which so many are right."""
    return np.tile([1 - sure, sure], (count, 1)), (np.arange(count) < right).astype(int)


def test_who_is_right_as_often_as_sure_has_no_error_and_who_is_too_sure_has_the_difference():
    calm, vain = sure_of_two(0.75, 40, 30), sure_of_two(0.95, 60, 30)
    assert calibration_error(*calm) == pytest.approx(0)
    assert calibration_error(*vain) == pytest.approx(0.45)
    both = [np.concatenate(parts) for parts in zip(calm, vain, strict=True)]
    assert calibration_error(*both) == pytest.approx(0.6 * 0.45)
    expected = np.array([[0.75, 0.75, 40], [0.95, 0.5, 60]])
    assert calibration(*both).to_numpy() == pytest.approx(expected)
    assert calibration(np.eye(3), np.arange(3)).index.tolist() == [9]  # quite sure: the last bin


def test_classes_drawn_by_their_probabilities_are_calibrated_and_sharper_ones_are_not():
    rng = np.random.default_rng(0)
    likely = rng.dirichlet(np.full(4, 0.5), 20_000)
    drawn = (likely.cumsum(1) < rng.random((20_000, 1))).sum(1)
    sharper = likely**3 / (likely**3).sum(1, keepdims=True)
    assert calibration_error(likely, drawn) < 0.02 < 0.1 < calibration_error(sharper, drawn)


@pytest.mark.parametrize(
    ("measure", "given", "message"),
    [
        (scores, ([0, 1], [0]), r"targets \(2,\) and predicted \(1,\): .* of the same sounds"),
        (scores, ([], []), r"targets \(0,\)"),
        (over_sounds, (np.zeros((2, 0)),), r"values of shape \(2, 0\): expected finite"),
        (over_sounds, ([0.5, np.nan],), r"values of shape \(1, 2\): expected finite"),
        (balanced, ([0, 1], [[1], [0]]), "of the same sounds"),
        (calibration, (np.eye(2), [0]), "of the same sounds"),
        (calibration, (np.eye(2), ["kick", "tom"]), "positions of classes, not <U4"),
        (calibration, (np.full((2, 2), np.nan), [0, 1]), "probabilities hold NaN"),
    ],
)
def test_what_cannot_be_judged_is_refused(measure, given, message):
    with pytest.raises(ValueError, match=message):
        measure(*given)


# Teaching.


class Told(nn.Module):
    """Takes a row for the probabilities of its classes."""

    def __init__(self):
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(()))

    def forward(self, rows: Tensor) -> Tensor:
        return torch.log(rows + 1e-9) + 0 * self.nothing


def taught(model: nn.Module, **options):
    classes = np.arange(96) % 3 * (np.arange(96) % 2)  # 64 of class 0, 16 of 1, 16 of 2
    data = (np.eye(3, dtype=np.float16)[classes], classes) * 2
    usual = {"seed": 0, "epochs": 2, "batch": 16, "rate": 1e-3, "smooth": 0.0}
    return train_classifier(model, data, **(usual | options))


def test_labels_are_mixed_as_rows_are_and_what_is_held_out_is_neither_mixed_nor_varied():
    history = taught(Told(), mixed=0.3)
    assert history["train classes"].between(0.05, np.log(2)).all()  # two shares' largest doubt
    assert history["validation classes"].abs().max() < 1e-6
    assert taught(Told(), mixed=0.0)["train classes"].abs().max() < 1e-6
    blind = taught(Told(), mixed=0.0, smooth=0.1, vary=torch.zeros_like)
    assert blind["train classes"].to_numpy() == pytest.approx(np.log(3))
    assert blind["validation classes"].abs().max() < 1e-6


def test_a_classifier_learns_and_the_same_seed_gives_the_same_weights():
    made = []
    for seed in (0, 0, 1):
        torch.manual_seed(0)
        model = nn.Linear(3, 3)
        losses = taught(model, seed=seed, epochs=8, rate=0.2)["validation classes"]
        assert losses.iloc[-1] < 0.5 * losses.iloc[0]
        made.append(model.weight)
    assert torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])


def test_balance_draws_every_row_equally_often_or_every_class():
    classes = np.repeat([0, 1, 3], [240, 60, 7])
    drawn = {share: classification._drawn(classes, share, 0) for share in (0.0, 0.5, 1.0)}
    often = {share: np.bincount(classes[rows]).tolist() for share, rows in drawn.items()}
    assert all(set(rows) == set(range(307)) for rows in drawn.values())  # each at least once
    assert often[0.0] == [240, 60, 0, 7] and often[0.5][:2] == [240, 120]
    assert often[1.0][:3] == [240, 240, 0] and abs(often[1.0][3] - 240) < 7


# Varying.


def varied(vary, rows: Tensor) -> Tensor:
    """Rows as a seed varies them; another seed varies them otherwise."""
    made = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        made.append(vary(rows))
    assert torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])
    assert made[0].shape == rows.shape and bool(made[0].isfinite().all())
    return made[0]


def struck(count: int = 200) -> Tensor:
    """Levels of ten loud bands in the first third; the rest is silent."""
    levels = torch.full((count, 2, 64, 63), SILENT)
    levels[:, :, 20:30, :20] = torch.rand(10, 20)
    levels[:, :, 24, 3] = 1.0
    return levels


def test_varied_levels_are_levels_and_the_loudest_is_at_one_unless_it_is_left_out(monkeypatch):
    made = varied(vary_levels, struck())
    assert (made.min(), made.max()) == (SILENT, 1)
    monkeypatch.setattr(classification, "_with_gap", lambda levels, axis: levels)
    torch.testing.assert_close(vary_levels(struck()).amax((1, 2, 3)), torch.ones(200))
    silence = vary_levels(torch.full((8, 2, 64, 63), SILENT))
    assert silence.min() >= SILENT and silence.max() <= 1


def test_where_nothing_was_heard_comes_at_most_a_floor_in_half_of_the_sounds(monkeypatch):
    monkeypatch.setattr(classification, "_with_gap", lambda levels, axis: levels)
    torch.manual_seed(0)
    made = vary_levels(struck())
    end = made[..., 58:].flatten(1)
    even = end.amax(1) == end.amin(1)
    assert 80 < int(even.sum()) < 120
    torch.testing.assert_close(end[even, 0], made[even].amin((1, 2, 3)))
    assert end.mean(1).max() < 0.5  # 40 dB below what was the loudest


def test_varied_waves_keep_their_peak_and_silence_gets_at_most_noise():
    time = torch.arange(8000) / 8000
    tone = torch.sin(2 * torch.pi * 440 * time) * torch.exp(-3 * time)
    made = varied(vary_waves, torch.stack([tone] * 32 + [0 * tone] * 32))
    sounds, silence = made.split(32)
    peaks = sounds.abs().amax(1)
    assert peaks.min() > 0.99 and peaks.max() < 1.2
    assert 8 <= int((silence.abs().amax(1) == 0).sum()) <= 24 and silence.abs().max() < 0.2
    pitches = torch.fft.rfft(sounds).abs().argmax(1).double() / 440
    assert 0.05 < float(pitches.log2().std()) < 0.3
    upright = sounds.amax(1) > -sounds.amin(1)
    assert 4 < int(upright.sum()) < 28
