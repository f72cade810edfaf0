"""Deep Griffin–Lim: a network mends what an iteration of Griffin and Lim leaves wrong.

Masuyama, Yatabe, Koizumi, Oikawa and Harada, ICASSP 2019 (arXiv 1903.03971). From a spectrum X an
iteration makes Y, which has the wanted magnitudes, and Z, the spectrum nearest to Y that a sound
can have; the network sees all three and predicts what is wrong with Z. It is trained on single
iterations, to take noise away (`train_degli`); in use (`rebuild`) as many as wanted follow each
other.

Spectra are complex, (clips, frames, bins), as `short_time.Frames` has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samplevae_lib.inversion.short_time import (
    Frames,
    magnitudes,
    random_phases,
    ready_network,
    with_magnitudes,
)
from samplevae_lib.spectral import Spectrogram
from samplevae_lib.training.loop import Batch, Terms, train_model

SNR_DB = (-6.0, 12.0)  # of the noisy spectra to learn from
_FLOOR = 1e-3  # of a clip's level: added to a bin's magnitude in its scale
_SILENT = 1e-12  # level under which a clip is taken as it is


@torch.no_grad()
def rebuild(
    spectrum: Tensor,
    spec: Spectrogram,
    *,
    seed: int = 0,
    network: nn.Module | None = None,
    iterations: int = 32,
) -> Tensor:
    """STFT magnitudes (clips, bins, frames) → (clips, samples), from random phases (by `seed`).

    network: a trained `DeepGriffinLim`; it corrects each iteration. One that always says zero makes
    this Griffin and Lim's method. iterations: at least 1.
    """
    if iterations < 1:
        raise ValueError(f"iterations {iterations}: expected at least 1")
    network = ready_network(network, DeepGriffinLim, spec, "degli")
    frames = Frames(spec, spectrum.shape[-1], spectrum)
    wanted = magnitudes(spectrum, spec)
    estimate = random_phases(wanted, seed)
    for _ in range(iterations):
        estimate = network(estimate, wanted, frames).following
    return frames.cut(frames.sound(with_magnitudes(estimate, wanted)))


class Iteration(NamedTuple):
    """X, Y and Z of one iteration and what the network makes of them, F(X, Y, Z)."""

    current: Tensor
    replaced: Tensor
    consistent: Tensor
    output: Tensor

    @property
    def following(self) -> Tensor:
        """The X of the next iteration: Z − F(X, Y, Z)."""
        return self.consistent - self.output


class GatedConvolution(nn.Module):
    """A convolution to twice the channels; half of them times the sigmoid of the others.

    kernel: frames and bins. What goes in and out has as many frames and bins.
    """

    def __init__(self, channels: int, made: int, kernel: tuple[int, int]):
        super().__init__()
        self.convolution = nn.Conv2d(channels, 2 * made, kernel, padding="same")

    def forward(self, image: Tensor) -> Tensor:
        """(clips, channels, frames, bins) → (clips, made, frames, bins)."""
        return F.glu(self.convolution(image), dim=1)


class DeepGriffinLim(nn.Module):
    """One iteration: Griffin and Lim's two projections and the network F.

    Six real channels go in, the real and imaginary parts of X, Y and Z, and two come out. depth:
    number of gated convolutions, of `channels` channels and this `kernel` (frames, bins); the
    `first` has a kernel of its own, and all between the first and the last are bypassed. The sizes
    are those of the best known open implementation (Sytronik's); the thesis names none. Untrained,
    F is zero and this is Griffin and Lim's method.

    Before the network sees a bin it is divided by a `scale`, and what comes out is multiplied by
    that again, so a louder clip is the same to the network. compression 0: one scale for a clip,
    the root mean square of its wanted magnitudes; 1: nearly each bin's own magnitude; between them
    both to a part. Notes are a few partials in much silence: without compression the partials are
    all that counts.
    """

    def __init__(
        self,
        spec: Spectrogram,
        *,
        channels: int = 16,
        depth: int = 4,
        first: tuple[int, int] = (11, 11),
        kernel: tuple[int, int] = (7, 7),
        compression: float = 0.5,
    ):
        super().__init__()
        if spec.kind != "stft" or depth < 2:
            raise ValueError(
                f"a {spec.kind} spectrogram and depth {depth}: expected stft and at least 2"
            )
        self.spec, self.compression = spec, compression
        self.entrance = GatedConvolution(6, channels, tuple(first))
        self.middle = nn.Sequential(
            *(GatedConvolution(channels, channels, tuple(kernel)) for _ in range(depth - 2))
        )
        self.last = GatedConvolution(channels, channels, tuple(kernel))
        self.exit = nn.Conv2d(channels, 2, tuple(kernel), padding="same")
        nn.init.zeros_(self.exit.weight)
        nn.init.zeros_(self.exit.bias)

    def extra_repr(self) -> str:
        """The spectrogram it is made for: part of what a fit is known by."""
        return str(self.spec)

    def forward(self, current: Tensor, wanted: Tensor, frames: Frames) -> Iteration:
        """X and the magnitudes wanted → X, Y, Z and F(X, Y, Z)."""
        with torch.no_grad():
            replaced = with_magnitudes(current, wanted)
            consistent = frames.spectra(frames.sound(replaced))
        scale = self.scale(wanted)
        output = scale * self.residual(*(s / scale for s in (current, replaced, consistent)))
        return Iteration(current, replaced, consistent, output)

    def scale(self, wanted: Tensor) -> Tensor:
        """What each bin is divided by before the network sees it, (clips, frames, bins)."""
        level = levels(wanted)
        return level * (wanted / level + _FLOOR) ** self.compression

    def residual(self, *spectra: Tensor) -> Tensor:
        """F: three spectra of like level → one."""
        parts = [part for spectrum in spectra for part in (spectrum.real, spectrum.imag)]
        entered = self.entrance(torch.stack(parts, dim=1))  # (clips, channels, frames, bins)
        made = self.exit(self.last(entered + self.middle(entered)))
        return torch.complex(made[:, 0], made[:, 1])


def levels(magnitudes: Tensor) -> Tensor:
    """Root mean square of each clip, (clips, 1, 1); one for silence."""
    level = magnitudes.square().mean((1, 2), keepdim=True).sqrt()
    return torch.where(level > _SILENT, level, torch.ones_like(level))


def denoising(frames: int, snr: tuple[float, float] = SNR_DB) -> Terms:
    """error: mean L1 distance of F(X, Y, Z) from Z − X*, in units of each bin's scale.

    X* is the spectrum of a stretch of each sound, `frames` long, from anywhere in it; X is that
    with complex Gaussian noise. snr: lowest and highest ratio of the two in dB; one is drawn for
    each clip.
    """

    def terms(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        (sounds,) = batch
        clean, placed = spectra_of(_stretches(sounds, model.spec.hop * (frames - 1)), model.spec)
        ratio = torch.empty(len(clean), 1, 1, device=clean.device).uniform_(*snr)
        wanted = clean.abs()
        scale = model.scale(wanted)
        step = model(noisy(clean, scale, ratio, torch.randn_like(clean)), wanted, placed)
        wrong = (step.output - (step.consistent - clean)) / scale
        return {"error": torch.view_as_real(wrong).abs().mean()}

    return terms


def train_degli(
    model: DeepGriffinLim,
    data: np.ndarray | Sequence[np.ndarray],
    *,
    seed: int,
    checkpoint: Path | None = None,
    epochs: int,
    batch: int,
    frames: int = 64,
    rate: float = 1e-3,
    clip: float = 1.0,
    snr: tuple[float, float] = SNR_DB,
    held_out: int = 0,
) -> pd.DataFrame:
    """Train in place on sounds (clips, samples), alone or first in a tuple; returns the history.

    An epoch sees one stretch of every sound, `frames` long, in batches of `batch`. rate: of Adam;
    it follows half a cosine down to zero. clip: largest norm of a gradient. snr: as in `denoising`.
    held_out: so many sounds at the end are not learnt from, only judged. checkpoint: a folder to go
    on from after a kill.
    """
    sounds = np.asarray(data[0] if isinstance(data, list | tuple) else data, np.float32)
    kept = len(sounds) - held_out
    return train_model(
        model, (sounds[:kept],), validation=(sounds[kept:],) if held_out else None, name="degli",
        terms=denoising(frames, tuple(snr)), weights={"error": 1.0}, epochs=epochs, batch=batch,
        rate=rate, clip=clip, seed=seed, checkpoint=checkpoint,
    )  # fmt: skip


class Residuals(NamedTuple):
    """One iteration on noisy spectra, complex (clips, bins, frames): what Figure 7.2 shows.

    wanted_output is Z − X*, which the output should be.
    """

    clean: Tensor
    current: Tensor
    replaced: Tensor
    consistent: Tensor
    output: Tensor
    wanted_output: Tensor


@torch.no_grad()
def residuals(
    network: DeepGriffinLim, sounds: np.ndarray, *, snr: float = 0.0, seed: int = 0
) -> Residuals:
    """One iteration of the network on sounds (clips, samples) with noise `snr` dB under them."""
    given = torch.as_tensor(np.ascontiguousarray(sounds, np.float32))
    clean, frames = spectra_of(given, network.spec)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(clean.shape, generator=generator, dtype=clean.dtype)
    step = network(
        noisy(clean, network.scale(clean.abs()), torch.tensor(snr), noise), clean.abs(), frames
    )
    shown = (clean, *step, step.consistent - clean)
    return Residuals(*(spectrum.transpose(1, 2) for spectrum in shown))


def spectra_of(sounds: Tensor, spec: Spectrogram) -> tuple[Tensor, Frames]:
    """Sounds (clips, samples) → complex (clips, frames, bins), and the `Frames` that lead back.

    Samples behind the last whole hop are left out: no frame would stand on their end.
    """
    frames = Frames(spec, spec.frames(sounds.shape[-1]), sounds)
    whole = sounds[:, : spec.hop * (frames.frames - 1)]
    around = (spec.n_fft // 2, spec.n_fft - spec.n_fft // 2)
    padded = F.pad(whole, around)[:, : spec.n_fft + spec.hop * (frames.frames - 1)]
    return frames.spectra(padded), frames


def noisy(clean: Tensor, scale: Tensor, snr: Tensor, noise: Tensor) -> Tensor:
    """Clean spectra plus noise `snr` dB below them, both as the network sees them: over the scale.

    scale: as `DeepGriffinLim.scale`. noise: complex, of unit variance. All (clips, frames, bins).
    """
    return clean + noise * scale * levels((clean / scale).abs()) * 10 ** (-snr / 20)


def _stretches(sounds: Tensor, samples: int) -> Tensor:
    """A stretch of each sound (clips, length), so many samples long, from anywhere in it."""
    if samples > sounds.shape[1]:
        raise ValueError(
            f"stretches of {samples} samples from sounds of {sounds.shape[1]}: take fewer frames"
        )
    starts = torch.randint(sounds.shape[1] - samples + 1, (len(sounds), 1), device=sounds.device)
    return sounds.gather(1, starts + torch.arange(samples, device=sounds.device))
