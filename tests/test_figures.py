"""Waveforms, spectrograms, scatter plots and curves show what they were given, on named scales."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from samplevae_lib.datasets.signals import sine
from samplevae_lib.metrics import folded, interval
from samplevae_lib.plots import COLOURS, curves, scatter, spectrograms, waveforms
from samplevae_lib.spectral import Spectrogram

mpl.use("agg")
import matplotlib.pyplot as plt

RATE = 22050
STFT = Spectrogram("stft", RATE, 512, 128)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def hit() -> np.ndarray:
    """A decaying tone, (samples,)."""
    time = np.arange(RATE // 4) / RATE
    return (0.3 * np.sin(2 * np.pi * 1000 * time) * np.exp(-20 * time)).astype(np.float32)


def drawn(axis) -> list[np.ndarray]:
    return [np.column_stack(line.get_data()) for line in axis.lines]


def families() -> scatter.Latent:
    rng = np.random.default_rng(0)
    return scatter.Latent(rng.normal(size=(30, 2)), np.repeat(["a", "b", "c"], 10))


# Waveforms.


def test_waveforms_have_a_panel_each_over_seconds():
    figure = waveforms.stacked(np.arange(20.0).reshape(2, 10), 5.0, ["one", "two"])
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["one", "two"]
    assert drawn(figure.axes[1])[0][[0, -1]].tolist() == [[0, 10], [1.8, 19]]
    assert figure.axes[1].get_xlim() == (0, 2)


def test_steps_share_their_scales():
    figure = waveforms.steps(np.array([[0.0, 1], [0, 3], [0, -2]]), ["1", "2", "3"], columns=2)
    assert len({axis.get_ylim() for axis in figure.axes}) == 1
    assert [axis.get_visible() for axis in figure.axes] == [True, True, True, False]
    assert [axis.get_xlabel() for axis in figure.axes[:3]] == ["", "sample", "sample"]
    ticks = [axis.xaxis.get_major_ticks()[0].label1 for axis in figure.axes[:3]]
    assert [tick.get_visible() for tick in ticks] == [False, True, True]


# Spectrograms.


def test_a_triple_shows_input_output_and_what_is_missing_on_one_scale():
    tone = sine(500.0)
    figure = spectrograms.triples(tone[None], 0.9 * tone[None], 16000, ["model"])
    left, middle, right = (axis.images[0].get_array() for axis in figure.axes[:3])
    assert left.max() == pytest.approx(0)
    assert middle.max() == pytest.approx(20 * np.log10(0.9))
    assert right.max() == pytest.approx(-20, abs=1e-3)
    loudest = left.max(axis=1).argmax() * 16000 / 1024
    assert loudest == pytest.approx(500, abs=16)
    assert [axis.get_title() for axis in figure.axes[:3]] == ["input", "model", "residual"]


def test_a_sound_and_its_kin_lie_below_each_other():
    spec = Spectrogram("stft", 8000, 256, 64)
    rng = np.random.default_rng(0)
    pairs = {str(n): tuple(rng.normal(size=(2, 2048)).astype(np.float32)) for n in range(3)}
    figure = spectrograms.beside(pairs, spec, ("made", "real"), columns=2)
    shown = [axis for axis in figure.axes if axis.get_visible() and axis.get_title()]
    titles = [axis.get_title() for axis in shown]
    assert titles == ["0, made", "1, made", "0, real", "1, real", "2, made", "2, real"]
    assert all(axis.images[0].get_array().max() == 0 for axis in shown)


def test_pictures_over_time_carry_units():
    sound = hit()
    magnitudes = STFT.forward(sound)
    phase = np.angle(np.exp(1j * np.arange(magnitudes.size))).reshape(magnitudes.shape)
    figures = [
        spectrograms.linear(magnitudes, STFT),
        spectrograms.phases([phase, phase], magnitudes, STFT, ["a", "b"], up_to=2000, begins=0.5),
        spectrograms.residuals([magnitudes, 0 * magnitudes], STFT, ["a", "b"]),
        waveforms.waves([sound, -sound], RATE, ["a", "b"], closer=(0.1, 0.11)),
    ]
    for figure in figures:
        texts = [figure.get_supxlabel(), *(axes.get_xlabel() for axes in figure.axes)]
        assert "seconds" in texts
    assert figures[1].axes[0].get_images()[0].get_extent()[0] == 0.5


def test_views_show_three_pictures():
    cqt = Spectrogram("cqt", RATE, 512, 128, fmin=65.4, n_bins=48)
    sound = hit()
    figure = spectrograms.views(
        STFT.forward(sound), STFT, np.ones((48, 44)), cqt, np.zeros((257, 44))
    )
    assert [axes.get_title() for axes in figure.axes[:3]] == [
        "STFT", "constant Q", "phase of the STFT",
    ]  # fmt: skip


# Scatter plots.


def test_a_scatter_has_every_point_under_its_label():
    figure = scatter.scatters({"one": families(), "two": families()})
    lines = figure.axes[0].lines
    assert [line.get_label() for line in lines] == ["a", "b", "c"]
    assert np.array_equal(np.concatenate(drawn(figure.axes[0])), families().points)
    assert figure.axes[0].get_legend() is not None
    assert figure.axes[1].get_legend() is None


def test_panels_that_no_latent_needs_are_hidden():
    figure = scatter.scatters({str(i): families() for i in range(5)}, columns=3)
    assert [axis.get_visible() for axis in figure.axes] == [True] * 5 + [False]


def test_pairs_stand_beside_their_model():
    pair = scatter.Pair(np.zeros(8), np.ones(8))
    pairs = {"model": dict.fromkeys("abc", pair)}
    figure = scatter.with_pairs({"model": families()}, pairs, heads=("noisy", "clean"))
    left, *grid = figure.axes
    assert left.get_title() == "model"
    assert [axis.get_title() for axis in grid[:2]] == ["noisy", "clean"]
    assert [axis.get_ylabel() for axis in grid[::2]] == ["a", "b", "c"]
    assert drawn(grid[1])[0][:, 1].tolist() == [1.0] * 8


def test_a_path_is_numbered_from_its_beginning():
    points = np.linspace([0, 0], [1, 1], 4)
    figure = scatter.path(families(), points, "way")
    axis = figure.axes[0]
    assert [text.get_text() for text in axis.texts] == ["1", "2", "3", "4"]
    assert np.array_equal(drawn(axis)[-1], points)


def test_every_point_is_drawn_as_its_label_within_the_axes():
    rng = np.random.default_rng(0)
    labels = np.array(list("0123456789") * 3)
    latent = scatter.Latent(rng.normal(size=(30, 2)) * [1, 1e-6], labels)
    figure = scatter.glyphs({"one": latent, "two": latent, "three": latent})
    axes = figure.axes
    assert [axis.get_visible() for axis in axes] == [True, True, True, False]
    for axis in axes[:3]:
        assert [text.get_text() for text in axis.texts] == sorted(labels)
        low, high = np.array([axis.get_xlim(), axis.get_ylim()]).T
        for text in axis.texts:
            assert (low < text.get_position()).all() and (text.get_position() < high).all()


# Curves.


def test_the_sweep_tells_what_fits_from_what_does_not():
    hertz = np.array([100.0, 300.0, 480.0, 120.0])
    latent = np.array([[100.5, 200.0, 120.0, 240.0]])
    figure = curves.folding(hertz, {"model": latent}, 500, bin_width=2.0)
    formula, fits, doubled, others = drawn(figure.axes[0])
    assert doubled.tolist() == [[120, 240]]
    assert np.allclose(formula[:, 1], folded(formula[:, 0], 500))
    assert fits[:, 0].tolist() == [100, 300]
    assert others.tolist() == [[480, 120]]
    assert figure.axes[0].get_title() == "model: 50% fit"


def test_histories_have_a_colour_for_each_model_and_one_entry_in_the_legend():
    history = pd.DataFrame({"epoch": [0, 1], "error": [1.0, 0.5]})
    figure = curves.histories({"a": [history, history], "b": [history]}, "error", "error")
    axis = figure.axes[0]
    assert [line.get_color() for line in axis.lines] == [COLOURS[0], COLOURS[0], COLOURS[1]]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["a", "b"]
    assert drawn(axis)[0].tolist() == [[1, 1], [2, 0.5]]


def test_divergences_are_drawn_the_most_first():
    figure = curves.divergences({"a": np.array([1.0, 3.0, 2.0])})
    (line,) = figure.axes[0].lines
    assert line.get_xydata().tolist() == [[1, 3], [2, 2], [3, 1]]


def test_curves_have_a_line_for_each_name_and_a_band_for_intervals():
    lines = {"a": [interval([1, 2, 3]), interval([2, 3, 4])], "b": [1.0, 2.0]}
    (axes,) = curves.lines([1, 8], lines, over="iterations", label="distance", log=True).axes
    assert [line.get_label() for line in axes.lines] == ["a", "b"]
    assert len(axes.collections) == 1 and axes.get_xscale() == "log"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "8"]


def test_a_single_clip_without_an_interval_is_drawn_all_the_same():
    (axes,) = curves.over_speed({"one": interval([-1.0])}, {"one": 3.0}).axes
    assert axes.get_xlabel() and axes.get_ylabel() == "ODG"


def test_classes_stand_side_by_side_within_the_limits():
    rated = {"x": {"kick": interval([-1, -2]), "hat": interval([-3, -2])}}
    (axes,) = curves.by_class(rated, "ODG", limits=(-4, 0.3)).axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["kick", "hat"]
    assert axes.get_ylim() == (-4, 0.3)
