"""Figures of simple signals: what an autoencoder keeps of them, and where their frequency goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from samplevae_lib.metrics import folded
from samplevae_lib.plots import COLOURS, FLOOR_DB, MAP, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_N_FFT, _HOP = 1024, 64


@styled
def waveforms(signals: np.ndarray, rate: float, titles: Sequence[str]) -> Figure:
    """Each signal in a panel of its own over seconds, one below the other, each on its own scale.

    signals: (panels, samples) at `rate` Hz.
    """
    import matplotlib.pyplot as plt

    rows = len(signals)
    figure, axes = plt.subplots(
        rows, 1, figsize=(8, 0.95 * rows + 0.6), sharex=True, squeeze=False
    )  # fmt: skip
    time = np.arange(signals.shape[1]) / rate
    for axis, signal, title in zip(axes[:, 0], signals, titles, strict=True):
        axis.plot(time, signal, marker=".", markersize=2, linewidth=0.6)
        axis.set_title(title, loc="left", fontsize=8)
        axis.set_xlim(0, signals.shape[1] / rate)
    axes[-1, 0].set_xlabel("seconds")
    return figure


@styled
def triples(
    signals: np.ndarray, made: np.ndarray, sample_rate: int, titles: Sequence[str], *,
    up_to: float = 2000.0,
) -> Figure:  # fmt: skip
    """Spectrograms of input, reconstruction and residual, a row for each pair.

    signals, made: (rows, samples). In dB below the loudest bin of the row's input, to `up_to` Hz.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        len(signals), 3, figsize=(8, 2.0 * len(signals) + 0.5), sharex=True, sharey=True,
        squeeze=False,
    )  # fmt: skip
    for row, signal, output, title in zip(axes, signals, made, titles, strict=True):
        loudest = _spectrum(signal).max()
        for axis, sound in zip(row, (signal, output, signal - output), strict=True):
            image = _spectrogram(axis, sound, loudest, sample_rate, up_to)
        row[1].set_title(title)
        row[0].set_ylabel("kHz")
    for axis, name in zip(axes[0], ("input", None, "residual"), strict=True):
        if name:
            axis.set_title(name)
    figure.supxlabel("seconds", fontsize=9)
    figure.colorbar(image, ax=axes, label="dB below the input's loudest", shrink=0.7, aspect=30)
    return figure


@styled
def folding(
    hertz: np.ndarray, measured: Mapping[str, np.ndarray], rate: float, *, bin_width: float
) -> Figure:
    """The latent's strongest frequency over that of the sine, against the folding formula.

    hertz: (n,). measured: for each model (seeds, n), Hz. What lies further than `bin_width` from
    the formula is drawn in other colours: one where it fits twice the frequency, folded.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        len(measured), 1, figsize=(8, 2.1 * len(measured) + 0.4), sharex=True, squeeze=False
    )  # fmt: skip
    fine = np.linspace(0, hertz.max(), 4000)
    for axis, (name, latent) in zip(axes[:, 0], measured.items(), strict=True):
        axis.plot(fine, folded(fine, rate), color="0.8", linewidth=3, label="folding formula")
        fits, doubled = (
            np.abs(latent - folded(times * hertz, rate)) <= bin_width for times in (1, 2)
        )
        every = np.broadcast_to(hertz, latent.shape)
        classes = {"fits": fits, "second harmonic": doubled & ~fits, "neither": ~(doubled | fits)}
        for colour, (label, which) in zip(COLOURS, classes.items(), strict=False):
            axis.plot(every[which], latent[which], ".", markersize=3, color=colour, label=label)
        axis.set(title=f"{name}: {fits.mean():.0%} fit", ylabel="latent, Hz")
        axis.set_xlim(hertz.min(), hertz.max())
    axes[0, 0].legend(ncols=4, loc="upper right", fontsize=8, bbox_to_anchor=(1, 1.25))
    axes[-1, 0].set_xlabel("frequency of the sine, Hz")
    return figure


@styled
def histories(
    runs: Mapping[str, Sequence[pd.DataFrame]], column: str, label: str, *, log: bool = True
) -> Figure:
    """A column of training histories over epochs; a colour for each model, a line for each seed."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 2.8))
    for position, (name, seeds) in enumerate(runs.items()):
        for seed, history in enumerate(seeds):
            axis.plot(
                history["epoch"] + 1, history[column], color=COLOURS[position], marker=".",
                label=name if seed == 0 else None,
            )  # fmt: skip
    axis.set(xlabel="epoch", ylabel=label, yscale="log" if log else "linear")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend()
    return figure


def _spectrum(signal: np.ndarray) -> np.ndarray:
    """Magnitude, (bins, frames)."""
    import librosa

    # Reflected at its ends: a jump to silence would paint bars that no signal has.
    padded = np.pad(np.asarray(signal, np.float32), _N_FFT // 2, mode="reflect")
    return np.abs(librosa.stft(padded, n_fft=_N_FFT, hop_length=_HOP, center=False))


def _spectrogram(
    axes: Axes, signal: np.ndarray, loudest: float, sample_rate: int, up_to: float
) -> object:
    bins = int(up_to * _N_FFT / sample_rate) + 1
    level = 20 * np.log10(np.maximum(_spectrum(signal)[:bins] / loudest, 1e-12))
    seconds = len(signal) / sample_rate
    return axes.imshow(
        level, origin="lower", aspect="auto", vmin=FLOOR_DB, vmax=0, cmap=MAP,
        extent=(0, seconds, 0, up_to / 1000), interpolation="nearest",
    )  # fmt: skip
