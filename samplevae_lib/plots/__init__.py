"""Figures in one style, colour-blind safe. Every function returns a figure and saves nothing.

Here are the style, sounds with their mel spectrograms, and the grid that figures of many parts
share. The rooms beside it: `waveforms`, `spectrograms`, `scatter` (latent spaces), `curves`,
`classes` (what classifiers tell apart).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING

import numpy as np

from samplevae_lib import on_first_use
from samplevae_lib.spectral import FLOOR_DB, decibels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__getattr__ = on_first_use(__name__, "classes", "curves", "scatter", "spectrograms", "waveforms")

# Okabe and Ito (2008): told apart with any kind of colour vision.
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442",
)  # fmt: skip
MAP = "magma"  # even in lightness, so it also reads in grey
MARKERS = (">", ".", "*", "s", "^", "d", "v", "X", "P", "<")  # filled: they are drawn without edge
_STYLE = {
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "legend.frameon": False,
    "lines.linewidth": 1.0,
    "image.cmap": MAP,
}


def use_style() -> None:
    """Set the project's style for all figures that follow, as a notebook's run does."""
    import matplotlib as mpl

    mpl.rcParams.update(_style())


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Let a function draw in the project's style, whatever style the caller has set."""

    @wraps(draw)
    def drawn(*arguments: object, **options: object) -> Figure:
        from matplotlib import style

        with style.context(["default", _style()]):
            return draw(*arguments, **options)

    return drawn


def _style() -> dict:
    from cycler import cycler

    return _STYLE | {"axes.prop_cycle": cycler(color=COLOURS)}


def stamp(figure: Figure, text: str) -> None:
    """Write a warning in capitals under a figure, so that it stays with the picture."""
    figure.text(
        0.5, -0.02, text.upper(), ha="center", va="top", fontsize=9, weight="bold",
        color=COLOURS[1],
    )  # fmt: skip


def mel_spectrogram(
    audio: np.ndarray, sample_rate: int, *, n_fft: int = 1024, hop: int = 128, n_mels: int = 96
) -> np.ndarray:
    """Mel spectrogram of a sound (samples,), for looking at: (n_mels, frames).

    In dB below its loudest bin, no lower than FLOOR_DB, at which silence lies. sample_rate: in Hz.
    n_fft, hop: length of a window and from one to the next, in samples. n_mels: bands.
    """
    import librosa

    power = librosa.feature.melspectrogram(
        y=np.asarray(audio), sr=sample_rate, n_fft=n_fft, hop_length=hop, n_mels=n_mels
    )
    return decibels(power, power=2).level


def cells(
    count: int, columns: int, *, size: tuple[float, float], around: tuple[float, float] = (0, 0),
    heights: tuple[float, ...] = (1,), **options: object,
) -> tuple[Figure, np.ndarray]:  # fmt: skip
    """A figure with a grid of cells that are filled line by line, and their axes.

    columns: how many cells stand beside each other, at the most.
    size: width and height of a cell in inches. around: what the figure has on top of that.
    heights: a cell has an axes for each of these, one below the other, in these proportions.
    options: those of matplotlib's `subplots`, such as `sharex`.

    Returns the figure and the axes, (count, axes of a cell). The rest of the last line is hidden.
    """
    import matplotlib.pyplot as plt

    columns, under = min(columns, count), len(heights)
    rows = -(-count // columns)
    figure, axes = plt.subplots(
        under * rows, columns, squeeze=False, height_ratios=heights * rows,
        figsize=(size[0] * columns + around[0], size[1] * rows + around[1]), **options,
    )  # fmt: skip
    for unused in range(count - (rows - 1) * columns, columns):
        for axis in axes[-under:, unused]:
            axis.set_visible(False)
        axes[-under - 1, unused].tick_params(labelbottom=True)  # it is the lowest in its column
    by_cell = axes.reshape(rows, under, columns).swapaxes(1, 2).reshape(-1, under)
    return figure, by_cell[:count]


@styled
def sounds(
    audio: Sequence[np.ndarray], sample_rate: int, titles: Sequence[str], *, columns: int = 4
) -> Figure:
    """Waveform over mel spectrogram for each sound, all on one scale of time.

    audio: (samples,) each, at `sample_rate` Hz. columns: how many stand beside each other.
    Waveforms share one scale of level; each spectrogram is in dB below its own loudest bin.
    """
    figure, panels = cells(
        len(audio), columns, size=(2.2, 2.4), around=(0.8, 0), heights=(1, 2), sharex=True
    )
    for place, (axes, clip, title) in enumerate(zip(panels, audio, titles, strict=True)):
        _sound(*axes, clip, sample_rate, title, numbers=place % columns == 0)
    panels[0, 0].set_xlim(0, max(map(len, audio)) / sample_rate)  # of all, for they share it
    figure.supxlabel("seconds", fontsize=9)
    image = panels[0, 1].collections[0]
    figure.colorbar(image, ax=figure.axes, label="dB below the loudest", shrink=0.6, aspect=30)
    return figure


def _sound(
    wave: Axes, spectrum: Axes, clip: np.ndarray, sample_rate: int, title: str, *, numbers: bool
) -> None:  # fmt: skip
    """A waveform over its spectrogram; numbers: whether their vertical axes carry numbers."""
    wave.plot(np.arange(len(clip)) / sample_rate, clip, linewidth=0.4)
    wave.set(title=title, ylim=(-1.05, 1.05), yticks=(-1, 0, 1))
    _mel_image(spectrum, clip, sample_rate)
    for axes in (wave, spectrum):
        axes.tick_params(labelleft=numbers)
    if numbers:
        spectrum.set_ylabel("kHz")


def _mel_image(axes: Axes, clip: np.ndarray, sample_rate: int, *, hop: int = 128) -> None:
    """Draw a clip's mel spectrogram over seconds and kHz."""
    import librosa

    level = mel_spectrogram(clip, sample_rate, hop=hop)
    time = np.arange(level.shape[1] + 1) * hop / sample_rate
    edges = librosa.mel_frequencies(n_mels=len(level) + 1, fmax=sample_rate / 2)
    axes.pcolormesh(
        time, librosa.hz_to_mel(edges), level, vmin=FLOOR_DB, vmax=0, cmap=MAP, rasterized=True
    )
    marks = [hertz for hertz in (500, 2000, 8000) if hertz < sample_rate / 2]
    axes.set_yticks([librosa.hz_to_mel(hertz) for hertz in marks])
    axes.set_yticklabels([f"{hertz / 1000:g}" for hertz in marks])
