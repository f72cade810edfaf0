"""Figures in one style, colour-blind safe. Every function returns a figure and saves nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito (2008): told apart with any kind of colour vision.
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442",
)  # fmt: skip
MAP = "magma"  # even in lightness, so it also reads in grey
FLOOR_DB = -80.0
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
    """Draw in the project's style, whatever the caller's is."""

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
    """Write a warning into the figure itself, so that it can't get lost on the way."""
    figure.text(
        0.5, -0.02, text.upper(), ha="center", va="top", fontsize=9, weight="bold",
        color=COLOURS[1],
    )  # fmt: skip


def mel_spectrogram(
    audio: np.ndarray, sample_rate: int, *, n_fft: int = 1024, hop: int = 128, n_mels: int = 96
) -> np.ndarray:
    """dB below the loudest bin, (n_mels, frames), for looking at; silence is at the floor."""
    import librosa

    power = librosa.feature.melspectrogram(
        y=np.asarray(audio), sr=sample_rate, n_fft=n_fft, hop_length=hop, n_mels=n_mels
    )
    if not (loudest := power.max()):
        return np.full_like(power, FLOOR_DB)
    # Divided first: power_to_db takes whatever is under 1e-10, so all of a quiet sound, for equal.
    return librosa.power_to_db(power / loudest, top_db=-FLOOR_DB)


@styled
def sounds(
    audio: Sequence[np.ndarray], sample_rate: int, titles: Sequence[str], *, columns: int = 4
) -> Figure:
    """Waveform over mel spectrogram for each sound, all on one scale of time.

    Waveforms share one scale of level; each spectrogram is in dB below its own loudest bin.
    """
    import matplotlib.pyplot as plt

    columns = min(columns, len(audio))
    rows = -(-len(audio) // columns)
    figure, axes = plt.subplots(
        2 * rows, columns, figsize=(2.2 * columns + 0.8, 2.4 * rows), sharex=True, squeeze=False,
        height_ratios=(1, 2) * rows,
    )  # fmt: skip
    for position, (clip, title) in enumerate(zip(audio, titles, strict=True)):
        row, column = divmod(position, columns)
        _sound(axes[2 * row], axes[2 * row + 1], column, clip, sample_rate, title)
    axes[0, 0].set_xlim(0, max(map(len, audio)) / sample_rate)  # of all, for they share it
    _hide_unused(axes, len(audio))
    figure.supxlabel("seconds", fontsize=9)
    image = axes[1, 0].collections[0]
    figure.colorbar(image, ax=axes, label="dB below the loudest", shrink=0.6, aspect=30)
    return figure


def _hide_unused(axes: np.ndarray, used: int) -> None:
    """Hide the panels that no sound needs; those above them then carry the numbers of time."""
    columns = axes.shape[1]
    for unused in range(used, axes.size // 2):
        row, column = divmod(unused, columns)
        for axis in axes[2 * row :, column]:
            axis.set_visible(False)
        axes[2 * row - 1, column].tick_params(labelbottom=True)


def _sound(
    waves: np.ndarray, spectra: np.ndarray, column: int, clip: np.ndarray, sample_rate: int,
    title: str,
) -> None:  # fmt: skip
    """One waveform over its spectrogram; only the left column carries numbers."""
    wave, spectrum = waves[column], spectra[column]
    wave.plot(np.arange(len(clip)) / sample_rate, clip, linewidth=0.4)
    wave.set(title=title, ylim=(-1.05, 1.05), yticks=(-1, 0, 1))
    _mel_image(spectrum, clip, sample_rate)
    for axes in (wave, spectrum):
        axes.tick_params(labelleft=column == 0)
    if column == 0:
        spectrum.set_ylabel("kHz")


def _mel_image(axes: Axes, clip: np.ndarray, sample_rate: int, *, hop: int = 128) -> None:
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
