"""Pictures of spectrograms and phases, and of what inverters make of them.

Spectrograms are (bins, frames) with the `Spectrogram` they were made with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from samplevae_lib.plots import COLOURS, FLOOR_DB, MAP, styled
from samplevae_lib.spectral import Spectrogram, decibels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROUND = "twilight"  # the same colour for −π and π
_LOUD_DB = -60.0  # below the loudest: what lies lower has a phase that nobody hears


@styled
def linear(magnitudes: np.ndarray, spec: Spectrogram) -> Figure:
    """Magnitudes as they are, on a linear scale of frequency."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.5, 3))
    image = _image(axes, magnitudes, spec, vmin=0, vmax=magnitudes.max(), cmap=MAP)
    axes.set(xlabel="seconds", ylabel="kHz")
    figure.colorbar(image, ax=axes, label="magnitude")
    return figure


@styled
def views(
    stft: np.ndarray, spec: Spectrogram, cqt: np.ndarray, cqt_spec: Spectrogram, phase: np.ndarray
) -> Figure:
    """A sound's STFT and CQT in dB, and the phase of its STFT in radians."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(10, 3))
    level = {"vmin": FLOOR_DB, "vmax": 0, "cmap": MAP}
    shown = _image(axes[0], decibels(stft).level, spec, **level)
    _logarithmic(axes[1], decibels(cqt).level, cqt_spec, **level)
    turned = _image(axes[2], phase, spec, vmin=-np.pi, vmax=np.pi, cmap=_ROUND)
    for axis, title in zip(axes, ("STFT", "constant Q", "phase of the STFT"), strict=True):
        axis.set(title=title, xlabel="seconds")
    axes[0].set_ylabel("kHz")
    figure.colorbar(shown, ax=axes[1], label="dB below the loudest")
    _colourbar_of_phase(figure, turned, axes[2])
    return figure


@styled
def phases(
    found: Sequence[np.ndarray], stft: np.ndarray, spec: Spectrogram, titles: Sequence[str], *,
    up_to: float, begins: float = 0.0,
) -> Figure:  # fmt: skip
    """Phases in radians, (bins, frames) each, to `up_to` Hz; faint where the sound is.

    begins: seconds at which the first frame stands.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, len(found), figsize=(2.1 * len(found) + 0.8, 2.8), sharex=True, sharey=True,
        squeeze=False,
    )  # fmt: skip
    loud = np.where(decibels(stft).level > _LOUD_DB, 1.0, 0.25)
    for axis, phase, title in zip(axes[0], found, titles, strict=True):
        image = _image(
            axis, phase, spec, vmin=-np.pi, vmax=np.pi, cmap=_ROUND, alpha=loud, up_to=up_to,
            begins=begins,
        )  # fmt: skip
        axis.set_title(title)
    axes[0, 0].set_ylabel("kHz")
    figure.supxlabel("seconds", fontsize=9)
    _colourbar_of_phase(figure, image, axes[0, -1])
    return figure


@styled
def residuals(
    parts: Sequence[np.ndarray], spec: Spectrogram, titles: Sequence[str], *, up_to: float = 0.0
) -> Figure:
    """Magnitudes beside each other, in dB below the loudest of the first."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, len(parts), figsize=(2.4 * len(parts) + 0.8, 2.8), sharey=True, squeeze=False
    )
    loudest = parts[0].max() or 1.0
    for axis, part, title in zip(axes[0], parts, titles, strict=True):
        level = 20 * np.log10(np.maximum(part / loudest, 1e-12))
        image = _image(axis, level, spec, vmin=FLOOR_DB, vmax=0, cmap=MAP, up_to=up_to)
        axis.set_title(title)
    axes[0, 0].set_ylabel("kHz")
    figure.supxlabel("seconds", fontsize=9)
    figure.colorbar(image, ax=axes, label="dB below the loudest")
    return figure


@styled
def beside(
    pairs: Mapping[str, tuple[np.ndarray, np.ndarray]], spec: Spectrogram,
    heads: tuple[str, str], *, columns: int = 5,
) -> Figure:  # fmt: skip
    """Two sounds (samples,) for each name, their magnitudes one below the other, in dB."""
    import matplotlib.pyplot as plt

    rows = -(-len(pairs) // columns)
    figure, axes = plt.subplots(
        2 * rows, columns, figsize=(1.9 * columns, 3 * rows + 0.3), sharex=True, sharey=True,
        squeeze=False,
    )  # fmt: skip
    for axis in axes.flat:
        axis.set_visible(False)
    for place, (name, sounds) in enumerate(pairs.items()):
        row, column = divmod(place, columns)
        for below, sound in enumerate(sounds):
            axis, size = axes[2 * row + below, column], spec.forward(np.array(sound[None]))[0]
            axis.set_visible(True)
            level = decibels(size).level
            image = _image(axis, level, spec, vmin=FLOOR_DB, vmax=0, cmap=MAP)
            axis.set_title(f"{name}, {heads[below]}", fontsize=8)
    figure.supxlabel("seconds", fontsize=9)
    figure.supylabel("kHz", fontsize=9)
    figure.colorbar(image, ax=axes, label="dB below the loudest", shrink=0.6)
    return figure


@styled
def waves(
    sounds: Sequence[np.ndarray], sample_rate: int, titles: Sequence[str], *,
    closer: tuple[float, float],
) -> Figure:  # fmt: skip
    """Whole waveforms on the left, the seconds `closer` of them on the right."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        len(sounds), 2, figsize=(8.5, 1.3 * len(sounds) + 0.5), sharex="col", sharey="row",
        squeeze=False,
    )  # fmt: skip
    first, last = (round(second * sample_rate) for second in closer)
    for row, sound, title in zip(axes, sounds, titles, strict=True):
        time = np.arange(len(sound)) / sample_rate
        row[0].plot(time, sound, linewidth=0.3)
        row[1].plot(time[first:last], sound[first:last], linewidth=0.8, color=COLOURS[1])
        row[0].set_title(title, loc="left")
    axes[0, 0].set_xlim(0, max(map(len, sounds)) / sample_rate)
    axes[0, 1].set_xlim(*closer)
    figure.supxlabel("seconds", fontsize=9)
    return figure


def _image(
    axes: Axes, values: np.ndarray, spec: Spectrogram, *, up_to: float = 0.0, begins: float = 0.0,
    **options: object,
) -> object:  # fmt: skip
    """Linear in frequency, to `up_to` Hz (0: all)."""
    top = up_to or spec.sample_rate / 2
    kept = round(top * spec.n_fft / spec.sample_rate) + 1
    if isinstance(options.get("alpha"), np.ndarray):
        options["alpha"] = options["alpha"][:kept]
    ends = begins + (values.shape[1] - 1) * spec.hop / spec.sample_rate
    return axes.imshow(
        values[:kept], origin="lower", aspect="auto", extent=(begins, ends, 0, top / 1000),
        interpolation="nearest", **options,
    )  # fmt: skip


def _logarithmic(axes: Axes, values: np.ndarray, spec: Spectrogram, **options: object) -> None:
    seconds = (values.shape[1] - 1) * spec.hop / spec.sample_rate
    octaves = spec.n_bins / spec.per_octave
    axes.imshow(
        values, origin="lower", aspect="auto", extent=(0, seconds, 0, octaves),
        interpolation="nearest", **options,
    )  # fmt: skip
    ticks = np.arange(0, octaves, 2)
    axes.set_yticks(ticks, [f"{spec.fmin * 2**tick:.0f}" for tick in ticks])
    axes.set_ylabel("Hz")


def _colourbar_of_phase(figure: Figure, image: object, axes: Axes) -> None:
    bar = figure.colorbar(image, ax=axes, label="radians", ticks=(-np.pi, 0, np.pi))
    bar.ax.set_yticklabels(("−π", "0", "π"))
    bar.solids.set(alpha=1)
