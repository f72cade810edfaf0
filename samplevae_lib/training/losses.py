"""The terms of the models' losses, raw; a `training.Player` multiplies each by its weight, once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import librosa
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samplevae_lib.models.vae import Reconstruction
from samplevae_lib.spectral import Spectrogram
from samplevae_lib.training.loop import Batch


def mean_square(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """error: mean squared error of an autoencoder's reconstruction (thesis L, section 4.1.1)."""
    (audio,) = batch
    made, _ = model(audio)
    return {"error": F.mse_loss(made, audio)}


def variational(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """error: squared error, summed over samples; divergence: KL, summed over dimensions, in nats.

    Both are means over the batch, as in the listing of thesis L, section 3.3.
    """
    (audio,) = batch
    return _vae(model(audio), audio)


def unlabelled(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """`variational` of rows of any shape, the labels beside them unused."""
    rows, _ = batch
    return _vae(model(rows), rows)


def labelled(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """The same and classes: cross-entropy of the classifier in nats (thesis L, section 5.1.1)."""
    rows, labels = batch
    made = model(rows)
    return _vae(made, rows) | {"classes": F.cross_entropy(made.logits, labels)}


def _vae(made: Reconstruction, rows: Tensor) -> dict[str, Tensor]:
    error = (made.audio - rows).square().flatten(1).sum(-1).mean()
    return {"error": error, "divergence": made.posterior.divergence().sum(-1).mean()}


_WINDOWS = {2048: 160, 1024: 128, 512: 96, 256: 48, 128: 24}  # samples, and mel bands of each
_BIN_WINDOWS = (2048, 1024, 512)
_EAR_SECONDS = 0.0427  # of PEAQ's window
_EAR_BANDS = 110
_DOWN_DB, _UP_DB = 27.0, 12.0  # per Bark that spreading loses; PEAQ's slope up depends on level
_FLOOR = 1e-4  # of a clip's loudest band, −80 dB: what lies below is not told apart
_EAR_FLOOR = 1e-6  # the same for energies behind the ear
_LEAST = 1e-9  # squared magnitude: keeps gradients finite in silence
_NOTICED = 0.01  # −20 dB noise to mask: what lies below is not heard


def spoken_back(rate: int) -> Callable[[nn.Module, Batch], dict[str, Tensor]]:
    """Terms of a vocoder that gets the mel bands of a batch of sounds; rate in Hz."""

    def terms(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        (sounds,) = batch
        made = model(model.spec.forward(sounds))
        return distances(made, sounds[:, : made.shape[1]], rate)

    return terms


def distances(made: Tensor, wanted: Tensor, rate: int) -> dict[str, Tensor]:
    """levels, amounts: of mel bands, logarithmic and linear. bins: linear, single bins.

    noise: log10 of noise to mask. loudness: of what the ear makes of both, and of its changes.
    """
    levels, amounts = _in_bands(made, wanted, rate)
    noise, loudness = _heard(made, wanted, rate)
    bins = sum(_in_bins(made, wanted, rate, n) for n in _BIN_WINDOWS) / len(_BIN_WINDOWS)
    return {
        "levels": levels, "amounts": amounts, "bins": bins, "noise": noise, "loudness": loudness,
    }  # fmt: skip


def _in_bands(made: Tensor, wanted: Tensor, rate: int) -> tuple[Tensor, Tensor]:
    levels = amounts = made.new_zeros(())
    for window, bands in _WINDOWS.items():
        spec = Spectrogram("mel", rate, window, window // 4, n_mels=bands)
        filters = _filters(spec, made.device)
        ours, theirs = filters @ _magnitudes(made, spec), filters @ _magnitudes(wanted, spec)
        loudest = theirs.amax((1, 2), keepdim=True)
        away = (ours / loudest + _FLOOR).log10() - (theirs / loudest + _FLOOR).log10()
        levels = levels + away.abs().mean()
        amounts = amounts + _share(ours, theirs)
    return levels / len(_WINDOWS), amounts / len(_WINDOWS)


def _in_bins(made: Tensor, wanted: Tensor, rate: int, window: int) -> Tensor:
    """Mean absolute and mean squared (spectral convergence), each of the wanted one's own."""
    spec = Spectrogram("stft", rate, window, window // 4)
    ours, theirs = _magnitudes(made, spec), _magnitudes(wanted, spec)
    size = theirs.square().sum((1, 2)).sqrt().clamp(min=_FLOOR)
    return _share(ours, theirs) + ((ours - theirs).square().sum((1, 2)).sqrt() / size).mean()


def _heard(made: Tensor, wanted: Tensor, rate: int) -> tuple[Tensor, Tensor]:
    """Noise to mask, and difference in loudness (energy to the power of 0.3) and its change."""
    window = 2 ** round(np.log2(_EAR_SECONDS * rate))
    spec = Spectrogram("mel", rate, window, window // 4, n_mels=_EAR_BANDS)
    filters, spread = _filters(spec, made.device), _spread(rate).to(made)
    ours, theirs = _magnitudes(made, spec), _magnitudes(wanted, spec)
    mask, excited = spread @ (filters @ theirs.square()), spread @ (filters @ ours.square())
    quiet = mask.amax((1, 2), keepdim=True) * _EAR_FLOOR
    error = filters @ (ours - theirs).square()
    noise = (error / (mask + quiet / 10) + _NOTICED).log10() - np.log10(_NOTICED)
    loud, louder = (mask + quiet) ** 0.3, (excited + quiet) ** 0.3
    away = (louder - loud) / loud.mean((1, 2), keepdim=True)
    return noise.mean(), away.abs().mean() + away.diff(dim=2).abs().mean()


def _share(ours: Tensor, theirs: Tensor) -> Tensor:
    """Mean absolute difference over the wanted one's mean."""
    size = theirs.mean((1, 2)).clamp(min=1e-6)
    return ((ours - theirs).abs().mean((1, 2)) / size).mean()


def _magnitudes(sounds: Tensor, spec: Spectrogram) -> Tensor:
    spectrum = spec.complex(sounds)
    return (spectrum.real.square() + spectrum.imag.square() + _LEAST).sqrt()


@cache
def _filters(spec: Spectrogram, device: torch.device) -> Tensor:
    return torch.from_numpy(spec.mel_filters()).to(device)


@cache
def _spread(rate: int) -> Tensor:
    """(bands, bands): what each band's energy excites of every other."""
    hertz = librosa.mel_frequencies(_EAR_BANDS + 2, fmin=0, fmax=rate / 2)[1:-1]
    bark = 7 * np.arcsinh(hertz / 650)
    away = bark[:, None] - bark
    level = np.where(away >= 0, -_UP_DB * away, _DOWN_DB * away)
    return torch.from_numpy((10 ** (level / 10)).astype(np.float32))
