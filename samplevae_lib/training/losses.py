"""The terms of the models' losses, raw: a `training.Player` multiplies each by its weight, once.

Terms of autoencoders and VAEs are functions of a model and a batch. Distances between sounds are
classes that take their windows, bands and floors as arguments, in the manner of auraloss (Steinmetz
and Reiss, DMRN+15, 2020); called with two batches of sounds they give their terms by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samplevae_lib.models.vae import Reconstruction
from samplevae_lib.spectral import Spectrogram
from samplevae_lib.training.loop import Batch

# Divided by at the least: of a mean magnitude, of a norm of magnitudes.
_LEAST_MEAN, _LEAST_NORM = 1e-6, 1e-4


def mean_square(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """error: mean squared error of an autoencoder's reconstruction (thesis L, section 4.1.1).

    batch: (audio,). model(audio) gives the reconstruction and the latent.
    """
    (audio,) = batch
    made, _ = model(audio)
    return {"error": F.mse_loss(made, audio)}


def variational(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """error: squared error, summed over samples; divergence: KL, summed over dimensions, in nats.

    Both are means over the batch, as in the listing of thesis L, section 3.3. batch: (audio,).
    model(audio) gives a `Reconstruction`.
    """
    (audio,) = batch
    return _vae(model(audio), audio)


def unlabelled(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """The terms of `variational` for a batch (rows, labels), whose labels are not used."""
    rows, _ = batch
    return _vae(model(rows), rows)


def labelled(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """The terms of `variational`, and classes: cross-entropy in nats (thesis L, section 5.1.1).

    batch: (rows, labels). model(rows) gives a `Reconstruction` with the classifier's logits.
    """
    rows, labels = batch
    made = model(rows)
    return _vae(made, rows) | {"classes": F.cross_entropy(made.logits, labels)}


def _vae(made: Reconstruction, rows: Tensor) -> dict[str, Tensor]:
    error = (made.audio - rows).square().flatten(1).sum(-1).mean()
    return {"error": error, "divergence": made.posterior.divergence().sum(-1).mean()}


class SpectralDistance(nn.Module):
    """How far the magnitudes of two sounds are apart, as a mean over several window lengths.

    The multi-resolution STFT loss of Yamamoto, Song and Kim (Parallel WaveGAN, ICASSP 2020), after
    Arik, Jun and Diamos (IEEE Signal Processing Letters 26, 2019).

    sample_rate: in Hz. windows: lengths in samples, each with a hop of a quarter. bands: a number
    of mel bands for each window; None compares single bins. floor_db: level below a clip's loudest,
    added to both sounds before the logarithm, so that what lies far lower is not told apart.
    least: added to squared magnitudes, so that gradients are finite in silence.
    """

    def __init__(
        self,
        sample_rate: int,
        *,
        windows: Sequence[int] = (2048, 1024, 512, 256, 128),
        bands: Sequence[int] | None = (160, 128, 96, 48, 24),
        floor_db: float = -80.0,
        least: float = 1e-9,
    ):
        super().__init__()
        if bands is not None and len(bands) != len(windows):
            raise ValueError(
                f"{len(windows)} windows {tuple(windows)} but {len(bands)} numbers of bands "
                f"{tuple(bands)}: expected one for each window, or None for single bins"
            )
        kind = "stft" if bands is None else "mel"
        counts = [1] * len(windows) if bands is None else bands
        self.specs = [
            Spectrogram(kind, sample_rate, window, window // 4, n_mels=count)
            for window, count in zip(windows, counts, strict=True)
        ]
        self.floor, self.least = 10 ** (floor_db / 20), least

    def forward(self, made: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        """Two batches (clips, samples) → terms, each 0 for equal sounds.

        levels: mean absolute difference of log10 magnitudes. amounts: mean absolute difference of
        magnitudes, over the mean of the wanted ones. convergence: norm of that difference over the
        norm of the wanted magnitudes (spectral convergence).
        """
        found = [self._at_one_window(made, wanted, spec) for spec in self.specs]
        return {name: sum(each[name] for each in found) / len(found) for name in found[0]}

    def _at_one_window(self, made: Tensor, wanted: Tensor, spec: Spectrogram) -> dict[str, Tensor]:
        ours, theirs = (self._compared(sounds, spec) for sounds in (made, wanted))
        loudest = theirs.amax((1, 2), keepdim=True)
        levels = (ours / loudest + self.floor).log10() - (theirs / loudest + self.floor).log10()
        size = theirs.mean((1, 2)).clamp(min=_LEAST_MEAN)
        away, norm = (torch.linalg.vector_norm(s, dim=(1, 2)) for s in (ours - theirs, theirs))
        return {
            "levels": levels.abs().mean(),
            "amounts": ((ours - theirs).abs().mean((1, 2)) / size).mean(),
            "convergence": (away / norm.clamp(min=_LEAST_NORM)).mean(),
        }

    def _compared(self, sounds: Tensor, spec: Spectrogram) -> Tensor:
        """Magnitudes of bins or bands, (clips, bins, frames)."""
        size = _magnitudes(sounds, spec, self.least)
        return _filters(spec, size.device) @ size if spec.kind == "mel" else size


class HeardDistance(nn.Module):
    """How far two sounds are apart for a simple ear: noise over its mask, and loudness.

    A differentiable sketch of PEAQ (ITU-R BS.1387; Thiede et al., JAES 48, 2000): energies in mel
    bands, spread over neighbouring bands as by the ear, are the mask and, to the power of
    `exponent`, the loudness.

    sample_rate: in Hz. seconds: length of the window, rounded to a power of two samples; the hop is
    a quarter of it. bands: mel bands up to half the rate. down_db, up_db: what spreading loses per
    Bark downwards and upwards (PEAQ's upward slope depends on the level). floor_db: level below a
    clip's loudest mask, added to energies. noticed_db: noise to mask under which nothing is heard.
    exponent: from energy to loudness. least: added to squared magnitudes, so that gradients are
    finite in silence.
    """

    def __init__(
        self,
        sample_rate: int,
        *,
        seconds: float = 0.0427,
        bands: int = 110,
        down_db: float = 27.0,
        up_db: float = 12.0,
        floor_db: float = -60.0,
        noticed_db: float = -20.0,
        exponent: float = 0.3,
        least: float = 1e-9,
    ):
        super().__init__()
        window = 2 ** round(np.log2(seconds * sample_rate))
        self.spec = Spectrogram("mel", sample_rate, window, window // 4, n_mels=bands)
        spread = torch.from_numpy(_spread(sample_rate, bands, down_db, up_db))
        self.register_buffer("spread", spread, persistent=False)
        self.floor, self.noticed = 10 ** (floor_db / 10), 10 ** (noticed_db / 10)
        self.exponent, self.least = exponent, least

    def forward(self, made: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        """Two batches (clips, samples) → terms, each 0 for equal sounds.

        noise: mean log10 of noise to mask, over what is noticed. loudness: mean absolute difference
        of loudness, and of its change from frame to frame, over the wanted sound's mean loudness.
        """
        filters, spread = _filters(self.spec, made.device), self.spread.to(made)
        ours, theirs = (_magnitudes(sounds, self.spec, self.least) for sounds in (made, wanted))
        mask, excited = spread @ (filters @ theirs.square()), spread @ (filters @ ours.square())
        quiet = mask.amax((1, 2), keepdim=True) * self.floor
        error = filters @ (ours - theirs).square()
        noise = (error / (mask + quiet / 10) + self.noticed).log10() - np.log10(self.noticed)
        loud, louder = (mask + quiet) ** self.exponent, (excited + quiet) ** self.exponent
        away = (louder - loud) / loud.mean((1, 2), keepdim=True)
        return {
            "noise": noise.mean(),
            "loudness": away.abs().mean() + away.diff(dim=2).abs().mean(),
        }


def _magnitudes(sounds: Tensor, spec: Spectrogram, least: float) -> Tensor:
    """STFT magnitudes (clips, bins, frames) whose gradients are finite in silence."""
    spectrum = spec.complex(sounds)
    return (spectrum.real.square() + spectrum.imag.square() + least).sqrt()


@cache
def _filters(spec: Spectrogram, device: torch.device) -> Tensor:
    return torch.from_numpy(spec.mel_filters()).to(device)


def _spread(sample_rate: int, bands: int, down_db: float, up_db: float) -> np.ndarray:
    """(bands, bands): what each band's energy excites in every other."""
    import librosa

    hertz = librosa.mel_frequencies(bands + 2, fmin=0, fmax=sample_rate / 2)[1:-1]
    bark = 7 * np.arcsinh(hertz / 650)
    away = bark[:, None] - bark
    level = np.where(away >= 0, -up_db * away, down_db * away)
    return (10 ** (level / 10)).astype(np.float32)
