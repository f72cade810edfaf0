"""From constant-Q magnitudes back to sound, by librosa: Griffin–Lim, and with all phases zero.

These are the functions that thesis R used (sections 4.3 and 7.1). They run on the CPU and have no
gradients.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from samplevae_lib.spectral import Spectrogram


def rebuild(
    spectrum: Tensor,
    spec: Spectrogram,
    *,
    seed: int = 0,
    iterations: int = 32,
    momentum: float = 0.99,
) -> Tensor:
    """CQT magnitudes (clips, bins, frames) → (clips, samples), by `librosa.griffinlim_cqt`.

    seed: of the random phases it begins with. iterations: at least 1. momentum: how far each step
    goes on along the last one (Perraudin et al. 2013); 0 is the method of 1984.
    """
    if iterations < 1 or momentum < 0:
        raise ValueError(f"iterations {iterations} and momentum {momentum}: expected ≥ 1 and ≥ 0")
    from librosa import griffinlim_cqt

    return _by_librosa(
        griffinlim_cqt, spectrum, spec, n_iter=iterations, momentum=momentum, random_state=seed
    )


def without_phase(spectrum: Tensor, spec: Spectrogram, *, seed: int = 0) -> Tensor:
    """CQT magnitudes (clips, bins, frames) → (clips, samples): `librosa.icqt`, all phases zero.

    Nothing is random: `seed` is taken so that all methods are called alike, and has no effect.
    """
    from librosa import icqt

    return _by_librosa(icqt, spectrum, spec)


def _by_librosa(
    inverse: Callable[..., np.ndarray], spectrum: Tensor, spec: Spectrogram, **options: Any
) -> Tensor:
    """An inverse of librosa's on all clips at once, each cut to hop · (frames − 1) samples."""
    length = spec.hop * (spectrum.shape[-1] - 1)
    with warnings.catch_warnings():
        # librosa halves the rate for low octaves and pads a short sound with silence.
        warnings.filterwarnings("ignore", "n_fft=.* is too large")
        made = inverse(
            spectrum.detach().cpu().numpy(), sr=spec.sample_rate, hop_length=spec.hop,
            fmin=spec.fmin, bins_per_octave=spec.per_octave, length=length, **options,
        )  # fmt: skip
    return torch.from_numpy(made[:, :length]).to(spectrum)
