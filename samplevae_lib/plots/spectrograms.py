"""Spectrograms and phases, and what models and inverters leave of them.

Spectrograms come as (bins, frames), with the `Spectrogram` they were made with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from samplevae_lib.plots import MAP, cells, styled
from samplevae_lib.spectral import FLOOR_DB, Spectrogram, decibels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEVEL = {"vmin": FLOOR_DB, "vmax": 0, "cmap": MAP}
_TURN = {"vmin": -np.pi, "vmax": np.pi, "cmap": "twilight"}  # the same colour for −π and π
_LOUD_DB = -60.0  # below the loudest: the phase of what is softer is not heard


@styled
def linear(magnitudes: np.ndarray, spec: Spectrogram) -> Figure:
    """Magnitudes as they are, not in dB, on a linear scale of frequency."""
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
    """A sound three times: its STFT and its CQT in dB, and the phase of its STFT in radians.

    stft, cqt: magnitudes (bins, frames). phase: of the STFT, in radians.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(10, 3))
    shown = _image(axes[0], decibels(stft).level, spec, **_LEVEL)
    _logarithmic(axes[1], decibels(cqt).level, cqt_spec, **_LEVEL)
    turned = _image(axes[2], phase, spec, **_TURN)
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
    """Phases beside each other, faint where the sound is soft.

    found: phases in radians, (bins, frames) each. stft: the sound's magnitudes, (bins, frames).
    up_to: highest frequency shown, in Hz. begins: when the first frame stands, in seconds.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, len(found), figsize=(2.1 * len(found) + 0.8, 2.8), sharex=True, sharey=True,
        squeeze=False,
    )  # fmt: skip
    loud = np.where(decibels(stft).level > _LOUD_DB, 1.0, 0.25)
    for axis, phase, title in zip(axes[0], found, titles, strict=True):
        image = _image(axis, phase, spec, alpha=loud, up_to=up_to, begins=begins, **_TURN)
        axis.set_title(title)
    axes[0, 0].set_ylabel("kHz")
    figure.supxlabel("seconds", fontsize=9)
    _colourbar_of_phase(figure, image, axes[0, -1])
    return figure


@styled
def residuals(
    parts: Sequence[np.ndarray], spec: Spectrogram, titles: Sequence[str], *, up_to: float = 0.0
) -> Figure:
    """Magnitudes (bins, frames) beside each other, all in dB below the loudest bin of the first.

    up_to: highest frequency shown, in Hz; 0 for all.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, len(parts), figsize=(2.4 * len(parts) + 0.8, 2.8), sharey=True, squeeze=False
    )
    for axis, part, title in zip(axes[0], parts, titles, strict=True):
        image = _image(axis, _below(parts[0], part), spec, up_to=up_to, **_LEVEL)
        axis.set_title(title)
    axes[0, 0].set_ylabel("kHz")
    figure.supxlabel("seconds", fontsize=9)
    figure.colorbar(image, ax=axes, label="dB below the loudest")
    return figure


@styled
def triples(
    signals: np.ndarray, made: np.ndarray, sample_rate: int, titles: Sequence[str], *,
    up_to: float = 2000.0,
) -> Figure:  # fmt: skip
    """Spectrograms of inputs, what models made of them, and what is missing, a row for each.

    signals, made: (rows, samples) at `sample_rate` Hz. titles: of the models, one for each row.
    up_to: highest frequency shown, in Hz. Levels are in dB below the loudest bin of a row's input.
    """
    import matplotlib.pyplot as plt

    spec = Spectrogram("stft", sample_rate, 1024, 64)
    figure, axes = plt.subplots(
        len(signals), 3, figsize=(8, 2.0 * len(signals) + 0.5), sharex=True, sharey=True,
        squeeze=False,
    )  # fmt: skip
    for row, signal, output, title in zip(axes, signals, made, titles, strict=True):
        parts = [_reflected(sound, spec) for sound in (signal, output, signal - output)]
        for axis, part in zip(row, parts, strict=True):
            image = _image(axis, _below(parts[0], part), spec, up_to=up_to, **_LEVEL)
        row[1].set_title(title)
        row[0].set_ylabel("kHz")
    for axis, name in zip(axes[0], ("input", None, "residual"), strict=True):
        if name:
            axis.set_title(name)
    figure.supxlabel("seconds", fontsize=9)
    figure.colorbar(image, ax=axes, label="dB below the input's loudest", shrink=0.7, aspect=30)
    return figure


@styled
def beside(
    pairs: Mapping[str, tuple[np.ndarray, np.ndarray]], spec: Spectrogram,
    heads: tuple[str, str], *, columns: int = 5,
) -> Figure:  # fmt: skip
    """Two sounds for each name, their magnitudes below each other, each in dB below its loudest.

    pairs: two sounds (samples,) for each name. spec: the STFT to draw them with. heads: what the
    two are. columns: how many pairs stand beside each other.
    """
    figure, panels = cells(
        len(pairs),
        columns,
        size=(1.9, 3),
        around=(0, 0.3),
        heights=(1, 1),
        sharex=True,
        sharey=True,
    )
    for axes, (name, sounds) in zip(panels, pairs.items(), strict=True):
        for axis, sound, head in zip(axes, sounds, heads, strict=True):
            level = decibels(spec.forward(np.array(sound))).level
            image = _image(axis, level, spec, **_LEVEL)
            axis.set_title(f"{name}, {head}", fontsize=8)
    figure.supxlabel("seconds", fontsize=9)
    figure.supylabel("kHz", fontsize=9)
    figure.colorbar(image, ax=figure.axes, label="dB below the loudest", shrink=0.6)
    return figure


def _reflected(sound: np.ndarray, spec: Spectrogram) -> np.ndarray:
    """Magnitudes (bins, frames) of a sound that is mirrored at its ends.

    With silence there, a sound that begins or ends abruptly would get bars that it does not have.
    """
    import librosa

    return np.abs(
        librosa.stft(
            np.asarray(sound, np.float32), n_fft=spec.n_fft, hop_length=spec.hop,
            pad_mode="reflect",
        )
    )  # fmt: skip


def _below(reference: np.ndarray, magnitudes: np.ndarray) -> np.ndarray:
    """Magnitudes in dB below the loudest bin of the reference, (bins, frames)."""
    share = magnitudes / (reference.max() or 1.0)
    return 20 * np.log10(np.maximum(share, 10 ** (FLOOR_DB / 20)))


def _image(
    axes: Axes, values: np.ndarray, spec: Spectrogram, *, up_to: float = 0.0, begins: float = 0.0,
    **options: object,
) -> object:  # fmt: skip
    """Draw values (bins, frames) over seconds and kHz, up to a frequency in Hz (0: all of them)."""
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
    """Draw a constant-Q spectrogram (bins, frames), over seconds and octaves."""
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
