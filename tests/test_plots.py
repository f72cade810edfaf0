"""Figures: shared scales, spectrograms that show what is there, colours that can be told apart."""

from __future__ import annotations

from itertools import chain, combinations

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplevae_lib import plots
from samplevae_lib.metrics import classification
from samplevae_lib.plots.scatter import Latent
from samplevae_lib.propagation import coverage_curve

mpl.use("agg")
import matplotlib.pyplot as plt

FEW = settings(max_examples=10, deadline=None)
RATE = 16000
LEAST = 15.0  # CIE76 distance of the closest two colours; about 2.3 is the least that is seen
# Viénot, Brettel and Mollon (1999): linear RGB as those without red or green cones see it.
SEEN_AS = {
    "all cones": np.eye(3),
    "no red cones": np.array(
        [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]]
    ),
    "no green cones": np.array(
        [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]
    ),
}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def tone(hertz: float, *, seconds: float = 0.5, level: float = 0.5) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def panels(figure):
    """The waveform and spectrogram axes that can be seen, without the colour bar."""
    seen = [axes for axes in figure.axes if axes.get_visible() and axes.get_label() != "<colorbar>"]
    waves = [axes for axes in seen if axes.lines]
    spectra = [axes for axes in seen if axes.collections]
    return waves, spectra


def mel(hertz: float) -> float:
    """Slaney's mel scale: linear up to 1 kHz, logarithmic above."""
    return hertz * 3 / 200 if hertz < 1000 else 15 + 27 * np.log(hertz / 1000) / np.log(6.4)


def lab(linear: np.ndarray) -> np.ndarray:
    """Linear sRGB in CIE L*a*b* under D65."""
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
         [0.0193339, 0.1191920, 0.9503041]]
    )  # fmt: skip
    ratio = to_xyz @ linear / (to_xyz @ np.ones(3))
    x, y, z = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def linear(colour: str) -> np.ndarray:
    encoded = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def test_every_sound_has_a_waveform_over_a_spectrogram_and_its_title():
    titles = ["kick", "snare", "hat"]
    figure = plots.sounds([tone(200), tone(1000), tone(4000)], RATE, titles, columns=2)
    waves, spectra = panels(figure)
    assert [axes.get_title() for axes in waves] == titles
    assert len(waves) == len(spectra) == 3


@pytest.mark.parametrize(
    ("count", "columns", "drawn"),
    [(1, 4, 2), (2, 4, 4), (2, 2, 4), (3, 2, 8), (4, 2, 8), (3, 1, 6), (4, 3, 12)],
)
def test_panels_that_no_sound_needs_are_hidden(count, columns, drawn):
    figure = plots.sounds([tone(500, seconds=0.1)] * count, RATE, ["x"] * count, columns=columns)
    grid = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    assert len(grid) == drawn
    assert sum(axes.get_visible() for axes in grid) == 2 * count


def test_all_panels_share_one_scale_of_time_and_level():
    sounds = [tone(500, seconds=0.3), tone(500, seconds=0.1, level=0.01), tone(500, seconds=0.2)]
    figure = plots.sounds(sounds, RATE, ["long", "short and quiet", "middle"])
    waves, spectra = panels(figure)
    assert {axes.get_xlim() for axes in [*waves, *spectra]} == {(0.0, 0.3)}
    assert {axes.get_ylim() for axes in waves} == {(-1.05, 1.05)}
    assert {axes.collections[0].get_clim() for axes in spectra} == {(plots.FLOOR_DB, 0.0)}
    assert len({axes.get_ylim() for axes in spectra}) == 1


def test_the_lowest_panel_of_every_column_carries_the_seconds():
    figure = plots.sounds([tone(500)] * 4, RATE, list("abcd"), columns=3)
    _, spectra = panels(figure)
    shown = [axes.xaxis.get_major_ticks()[0].label1.get_visible() for axes in spectra]
    assert shown == [False, True, True, True]


def test_only_the_left_column_carries_numbers():
    figure = plots.sounds([tone(500)] * 4, RATE, list("abcd"), columns=2)
    for axes in chain(*panels(figure)):
        left = axes.get_subplotspec().colspan.start == 0
        shown = any(label.label1.get_visible() for label in axes.yaxis.get_major_ticks())
        assert shown == left, axes.get_title()


def test_titles_and_sounds_must_be_as_many():
    with pytest.raises(ValueError, match="zip"):
        plots.sounds([tone(500)] * 2, RATE, ["only one"])


def test_the_frequency_axis_is_in_kilohertz_up_to_half_the_rate():
    _, spectra = panels(plots.sounds([tone(500)], RATE, ["x"]))
    assert [label.get_text() for label in spectra[0].get_yticklabels()] == ["0.5", "2"]
    assert spectra[0].get_yticks().tolist() == pytest.approx([mel(500), mel(2000)])
    assert spectra[0].get_ylim() == pytest.approx((0.0, mel(8000)))


@FEW
@given(st.floats(150, 7500), st.floats(1e-3, 1))
def test_a_sine_lies_in_its_mel_band_and_its_peak_is_at_0_db(hertz, level):
    picture = plots.mel_spectrogram(tone(hertz, level=level), RATE, n_mels=64)
    assert picture.max() == pytest.approx(0.0, abs=1e-4)
    assert picture.min() >= plots.FLOOR_DB - 1e-4
    centres = np.linspace(0, mel(RATE / 2), 66)[1:-1]
    nearest = int(np.abs(centres - mel(hertz)).argmin())
    loudest = int(picture.mean(axis=1).argmax())
    assert abs(loudest - nearest) <= 1


def test_a_spectrogram_has_a_row_a_band_and_a_column_a_hop():
    assert plots.mel_spectrogram(tone(500), RATE).shape == (96, 8000 // 128 + 1)
    assert plots.mel_spectrogram(tone(500), RATE, n_mels=32, hop=400).shape == (32, 21)


@pytest.mark.parametrize("level", [1.0, 1e-4, 1e-9])
def test_a_spectrogram_does_not_depend_on_the_level(level):
    loud = plots.mel_spectrogram(tone(500, level=0.5), RATE)
    np.testing.assert_allclose(plots.mel_spectrogram(tone(500, level=level), RATE), loud, atol=0.1)


@pytest.mark.filterwarnings("ignore:n_fft")
@pytest.mark.parametrize("samples", [1, 100, 8000])
def test_silence_is_drawn_at_the_floor(samples):
    picture = plots.mel_spectrogram(np.zeros(samples, np.float32), RATE)
    assert picture.shape[0] == 96
    assert (picture == plots.FLOOR_DB).all()


def test_a_figure_of_silence_can_be_drawn():
    figure = plots.sounds([np.zeros(1600, np.float32), tone(500)], RATE, ["silence", "tone"])
    figure.canvas.draw()
    _, spectra = panels(figure)
    assert np.isfinite(spectra[0].collections[0].get_array()).all()


def test_a_stamp_is_written_into_the_figure_in_capitals():
    figure, _ = plt.subplots()
    plots.stamp(figure, "made from stand-in drums")
    (text,) = figure.texts
    assert text.get_text() == "MADE FROM STAND-IN DRUMS"
    assert text.get_color() == plots.COLOURS[1]


def test_the_style_takes_the_colours_in_their_order():
    with mpl.rc_context():
        plots.use_style()
        cycle = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
        assert tuple(cycle) == plots.COLOURS
        assert mpl.rcParams["image.cmap"] == plots.MAP


@pytest.mark.parametrize("eyes", SEEN_AS)
def test_no_two_colours_look_alike(eyes):
    seen = {c: lab(np.clip(SEEN_AS[eyes] @ linear(c), 0, 1)) for c in plots.COLOURS}
    distances = {
        pair: float(np.linalg.norm(seen[pair[0]] - seen[pair[1]]))
        for pair in combinations(plots.COLOURS, 2)
    }
    closest = min(distances, key=distances.get)
    assert distances[closest] >= LEAST, f"{closest}: {distances[closest]:.1f}"


def test_the_colour_map_gets_lighter_from_end_to_end():
    colours = mpl.colormaps[plots.MAP](np.linspace(0, 1, 64))[:, :3]
    lightness = [lab(linear(mpl.colors.to_hex(colour)))[0] for colour in colours]
    assert (np.diff(lightness) > 0).all()


def test_a_figure_looks_the_same_whatever_the_callers_style():
    clip = np.sin(np.arange(4000) / 9).astype(np.float32)

    def pixels(style):
        with mpl.style.context(style):
            drawn = plots.sounds([clip], 8000, ["sine"])
        drawn.canvas.draw()
        return np.asarray(drawn.canvas.buffer_rgba()).copy()

    assert np.array_equal(pixels("default"), pixels("dark_background"))


# Classes.

NAMES = ["kick", "snare", "hat"]
TAKEN = np.array([[3, 1, 0], [0, 0, 0], [0, 1, 299]])


def written(axes) -> dict[tuple[int, int], str]:
    """Texts by row and column."""
    return {text.get_position()[::-1]: text.get_text() for text in axes.texts}


def ticks(axis) -> list[str]:
    """The names along an axis, if they are shown."""
    return [tick.label1.get_text() for tick in axis.get_major_ticks() if tick.label1.get_visible()]


def test_confusions_are_in_percent_of_the_true_class_and_empty_where_there_are_none():
    figure = plots.classes.confusions({"counts": TAKEN, "shares": TAKEN / 300}, NAMES)
    for axes in figure.axes:
        assert written(axes) == {(0, 0): "75", (0, 1): "25", (2, 2): "100"}
        expected = [[0.75, 0.25, 0], [0, 0, 0], [0, 1 / 300, 299 / 300]]
        np.testing.assert_allclose(axes.images[0].get_array(), expected)
    assert {axes.images[0].get_clim() for axes in figure.axes} == {(0, 1)}
    assert [text.get_color() for text in figure.axes[0].texts] == ["white", "black", "white"]


def test_classes_are_named_at_the_left_and_below_with_their_sounds():
    figure = plots.classes.confusions(dict.fromkeys("abcde", TAKEN), NAMES, columns=3)
    figure.canvas.draw()
    *shown, hidden = figure.axes
    assert [axes.get_title() for axes in shown] == list("abcde")
    assert not hidden.get_visible()
    counted = ["kick (4)", "snare (0)", "hat (300)"]
    assert [ticks(axes.yaxis) for axes in shown] == [counted, [], [], counted, []]
    assert [ticks(axes.xaxis) for axes in shown] == [[], [], NAMES, NAMES, NAMES]
    assert {tick.label1.get_rotation() for tick in shown[4].xaxis.get_major_ticks()} == {90}


@pytest.mark.parametrize("other", [TAKEN * 2, np.eye(3)])
def test_sounds_are_not_counted_where_panels_do_not_have_the_same(other):
    figure = plots.classes.confusions({"one": other / other.sum(), "other": other}, NAMES)
    figure.canvas.draw()
    assert ticks(figure.axes[0].yaxis) == NAMES


@pytest.mark.parametrize("matrix", [np.eye(2), -np.eye(3), np.full((3, 3), np.nan)])
def test_a_matrix_that_does_not_fit_is_named(matrix):
    told = rf"'net' has shape \({len(matrix)}, .*expected \(3, 3\) for 3 classes"
    with pytest.raises(ValueError, match=told):
        plots.classes.confusions({"net": matrix}, NAMES)


def test_reliability_has_a_marker_and_a_bar_for_each_bin_and_a_diagonal():
    sure = np.array([0.55, 0.65, 0.85, 0.85])
    probabilities = np.stack([sure, 1 - sure], axis=1)
    table = classification.calibration(probabilities, np.array([1, 0, 0, 1]))
    figure = plots.classes.reliability({"one": table, "two": table})
    assert [axes.get_title() for axes in figure.axes] == ["one", "two", "", ""]
    for upper, lower in zip(figure.axes[:2], figure.axes[2:], strict=True):
        assert np.array_equal(upper.lines[0].get_data(), [[0, 1], [0, 1]])
        (markers,), (bars,) = upper.collections, lower.collections
        np.testing.assert_allclose(markers.get_offsets(), [[0.55, 0], [0.65, 1], [0.85, 0.5]])
        assert (markers.get_sizes() / markers.get_sizes()[0]).tolist() == pytest.approx([1, 1, 2])
        tops = [segment[1] for segment in bars.get_segments()]
        np.testing.assert_allclose(tops, [[0.55, 1], [0.65, 1], [0.85, 2]])
        assert upper.get_xlim() == lower.get_xlim() == (-0.05, 1.05)
        assert lower.get_ylim()[1] > 2


def test_coverage_has_a_line_for_each_name_that_ends_in_a_marker():
    sure = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]])
    curve = coverage_curve(sure, np.array([True, False, True]))
    (axes,) = plots.classes.coverage({"net": curve, "always sure": curve.tail(1)}).axes
    whole, last = axes.lines
    np.testing.assert_allclose(whole.get_xydata(), [[1 / 3, 1], [2 / 3, 1], [1, 2 / 3]])
    np.testing.assert_allclose(last.get_xydata(), [[1, 2 / 3]])
    assert [line.get_markevery() for line in axes.lines] == [[-1], [-1]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["net", "always sure"]


# Maps.


def spots(dimensions: int, labels: str) -> Latent:
    rng = np.random.default_rng(dimensions)
    return Latent(rng.normal(size=(len(labels), dimensions)), np.array(list(labels)))


def test_maps_stand_flat_and_in_space_with_every_point_under_its_label():
    latents = {"flat": spots(2, "babac"), "space": spots(3, "cab"), "few": spots(2, "cc")}
    figure = plots.scatter.maps(latents, columns=2)
    assert [axes.name for axes in figure.axes] == ["rectilinear", "3d", "rectilinear"]
    assert [axes.get_title() for axes in figure.axes] == list(latents)
    for axes, latent in zip(figure.axes, latents.values(), strict=True):
        for line, label in zip(axes.lines, "abc", strict=True):
            at = line.get_data_3d() if axes.name == "3d" else line.get_data()
            assert np.array_equal(np.transpose(at), latent.points[latent.labels == label])
    figure.canvas.draw()


def test_maps_share_one_legend_and_one_look_of_each_label_and_carry_no_numbers():
    figure = plots.scatter.maps({"one": spots(2, "abc"), "other": spots(3, "ca")})
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b", "c"]
    assert all(axes.get_legend() is None for axes in figure.axes)
    looks = [[(line.get_color(), line.get_marker()) for line in a.lines] for a in figure.axes]
    assert looks[0] == looks[1]
    assert len(set(looks[0])) == 3
    for axes in figure.axes:
        assert len(axes.get_xticks()) == len(axes.get_yticks()) == 0
    assert len(figure.axes[1].get_zticks()) == 0


def test_labels_that_few_points_have_lie_on_top():
    (axes,) = plots.scatter.maps({"one": spots(2, "abbccc")}).axes
    few, some, many = (line.get_zorder() for line in axes.lines)
    assert few > some > many


def test_markers_can_be_seen_without_an_edge():
    assert set(plots.MARKERS) <= set(mpl.lines.Line2D.filled_markers)
    assert len(set(plots.MARKERS)) == 10


@pytest.mark.parametrize("dimensions", [1, 4])
def test_points_in_no_plane_and_no_space_are_refused(dimensions):
    told = rf"'net' has points \(2, {dimensions}\): expected \(items, 2\) or \(items, 3\)"
    with pytest.raises(ValueError, match=told):
        plots.scatter.maps({"net": spots(dimensions, "ab")})
