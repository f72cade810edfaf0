"""From constant-Q magnitudes back to sound: Griffin and Lim's iteration, and zero phases."""

from __future__ import annotations

import torch
from torch import Tensor

from samplevae_lib.inversion.filter_bank import FilterBank
from samplevae_lib.inversion.phases import ahead
from samplevae_lib.inversion.starts import random_phases
from samplevae_lib.spectral import Spectrogram


def cqt_no_phase(spectrum: Tensor, spec: Spectrogram, *, seed: int = 0) -> Tensor:
    """librosa's inverse CQT of magnitudes alone: (clips, bins, frames) → (clips, samples).

    There is no chance in it: `seed` has no bearing.
    """
    import librosa

    length = spec.hop * (spectrum.shape[-1] - 1)
    made = librosa.icqt(
        spectrum.detach().cpu().numpy(), sr=spec.sample_rate, hop_length=spec.hop, fmin=spec.fmin,
        bins_per_octave=spec.per_octave, length=length,
    )  # fmt: skip
    return torch.from_numpy(made[:, :length]).to(spectrum)


def cqt_griffin_lim(
    spectrum: Tensor,
    spec: Spectrogram,
    *,
    seed: int = 0,
    iterations: int = 32,
    momentum: float = 0.9,
) -> Tensor:
    """(clips, bins, frames) → (clips, samples), from random phases.

    Each iteration keeps the phases of the sound so far and corrects it by what its magnitudes lack.
    With an orthogonal projection that is Griffin and Lim's; a CQT whose high bins are sampled too
    rarely for their width has none at hand, and this comes nearer. momentum: how far each step goes
    beyond, along the last one (Perraudin et al. 2013).
    """
    if iterations < 1 or momentum < 0:
        raise ValueError(f"iterations {iterations} and momentum {momentum}: expected ≥ 1 and ≥ 0")
    bank = FilterBank(spec, spectrum.shape[-1])
    wanted = spectrum.detach().cpu().contiguous()
    sound = further = bank.sound(random_phases(wanted, seed))
    for _ in range(iterations):
        found = bank.answers(further)
        corrected = further + bank.sound(ahead(found, found, wanted, 0.0) - found)
        sound, further = corrected, torch.lerp(sound, corrected, 1 + momentum)
    return sound.to(spectrum)
