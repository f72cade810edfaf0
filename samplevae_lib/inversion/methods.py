"""From a spectrogram back to sound: `invert`, with one of METHODS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from samplevae_lib.inversion import (
    borrowed,
    constant_q,
    degli,
    griffin_lim,
    phase_gradient,
    vocoder,
    wavenet,
)
from samplevae_lib.progress import track
from samplevae_lib.spectral import Signal, Spectrogram

_CHUNK = 8  # clips at a time: what one iteration touches stays in the processor's cache


class Method(NamedTuple):
    """One way back to sound.

    invert(spectra (clips, bins, frames), spec, seed=…, **options) → (clips, samples). kind: of the
    spectrograms it takes. paper: where it comes from.
    """

    invert: Callable[..., Tensor]
    kind: str
    paper: str


METHODS = {
    "no_phase": Method(
        griffin_lim.without_phase, "stft", "all phases zero: the floor of every comparison"
    ),
    "cqt_no_phase": Method(constant_q.without_phase, "cqt", "all phases zero, by librosa.icqt"),
    "pghi": Method(
        phase_gradient.rebuild, "stft", "Průša, Balazs and Søndergaard, IEEE/ACM TASLP 25 (2017)"
    ),
    "griffin_lim": Method(
        griffin_lim.rebuild, "stft",
        "Griffin and Lim, IEEE TASSP 32 (1984); Perraudin, Balazs and Søndergaard, WASPAA 2013",
    ),
    "admm": Method(
        griffin_lim.rebuild_by_admm, "stft",
        "Masuyama, Yatabe and Oikawa, IEEE Signal Processing Letters 26 (2019)",
    ),
    "mel_griffin_lim": Method(
        griffin_lim.rebuild_from_mel, "mel",
        "Griffin and Lim (1984), on the non-negative inverse of the bands",
    ),
    "cqt_griffin_lim": Method(
        constant_q.rebuild, "cqt",
        "Griffin and Lim (1984); Perraudin et al. (2013), by librosa.griffinlim_cqt",
    ),
    "degli": Method(degli.rebuild, "stft", "Masuyama et al., ICASSP 2019; needs network="),
    "wavenet": Method(wavenet.rebuild, "mel", "van den Oord et al. (2016); needs network="),
    "borrowed": Method(
        borrowed.rebuild, "mel", "this project's: a recorded sound's detail; needs lenders="
    ),
    "neural": Method(vocoder.rebuild, "mel", "this project's, after Siuzdak, ICLR 2024 (Vocos)"),
}  # fmt: skip


def invert(
    spectrum: Signal,
    spec: Spectrogram,
    *,
    method: str = "griffin_lim",
    length: int | None = None,
    seed: int = 0,
    **options: Any,
) -> Signal:
    """Turn spectrograms (…, bins, frames) back into sounds (…, length).

    spectrum: what `spec.forward` made; an array gives an array, a tensor a tensor. method: one of
    METHODS that takes spectrograms of this kind. length: samples of the sound; hop · (frames − 1)
    if not given. seed: of all that is random; the same seed gives the same sound. options: the
    method's own, such as iterations= or network=. Silence in gives silence out.

    >>> import numpy as np
    >>> import samplevae_lib as sv
    >>> tone = np.sin(0.3 * np.arange(4096, dtype=np.float32))
    >>> spec = sv.spectral.Spectrogram(kind="stft", sample_rate=16000, n_fft=512, hop=128)
    >>> sound = sv.inversion.invert(spec.forward(tone), spec, method="griffin_lim", length=4096)
    >>> sound.shape
    (4096,)
    >>> distance = sv.metrics.spectral_convergence(tone, sound, spec)
    >>> bool(distance < 0.1)
    True
    """
    if isinstance(spectrum, np.ndarray):
        tensor = torch.from_numpy(np.ascontiguousarray(spectrum))
        return invert(tensor, spec, method=method, length=length, seed=seed, **options).numpy()
    chosen = _checked(spectrum, spec, method)
    length = _length(spectrum, spec, length)
    flat = spectrum.reshape(-1, *spectrum.shape[-2:])
    chunks = track(flat.split(_CHUNK), method, total=-(-len(flat) // _CHUNK))
    made = [
        chosen.invert(chunk, spec, seed=seed + number, **options)
        for number, chunk in enumerate(chunks)
    ]
    sound = torch.cat(made)
    sound = torch.nn.functional.pad(sound, (0, length - sound.shape[-1]))  # cuts where it is less
    return sound.reshape(*spectrum.shape[:-2], length)


def _checked(spectrum: Tensor, spec: Spectrogram, method: str) -> Method:
    """The method, if there is one of this name for such spectrograms and the spectrum is one."""
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    if METHODS[method].kind != spec.kind:
        fitting = [name for name, known in METHODS.items() if known.kind == spec.kind]
        raise ValueError(
            f"{method} takes {METHODS[method].kind} spectrograms, not {spec.kind}; for those there "
            f"is {', '.join(fitting) or 'none yet'}"
        )
    spec.check(spectrum)
    return METHODS[method]


def _length(spectrum: Tensor, spec: Spectrogram, length: int | None) -> int:
    """The length asked for, if a sound of it has as many frames as the spectrogram."""
    frames = spectrum.shape[-1]
    if length is None:
        return spec.hop * (frames - 1)
    if spec.frames(length) != frames:
        raise ValueError(
            f"length {length} has {spec.frames(length)} frames at hop {spec.hop}, but the "
            f"spectrogram has {frames}: expected {spec.hop * (frames - 1)} to "
            f"{spec.hop * frames - 1} samples"
        )
    return length
