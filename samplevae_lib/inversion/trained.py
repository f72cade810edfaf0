"""Inverters that a network was trained for: Deep Griffin–Lim and WaveNet."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from samplevae_lib.frames import Frames
from samplevae_lib.inversion.phases import ahead
from samplevae_lib.inversion.starts import magnitudes, random_phases
from samplevae_lib.spectral import Spectrogram

NOTEBOOK = "01_spectrogram_inversion"


@torch.no_grad()
def degli(
    spectrum: Tensor,
    spec: Spectrogram,
    *,
    seed: int = 0,
    network: nn.Module | None = None,
    iterations: int = 32,
) -> Tensor:
    """(clips, bins, frames) → (clips, samples), from random phases.

    network: a trained `models.degli.DeepGriffinLim`. Each iteration is one of Griffin and Lim's
    that the network corrects (Masuyama et al. 2019); with a network that is always zero it is
    theirs.
    """
    if iterations < 1:
        raise ValueError(f"iterations {iterations}: expected at least 1")
    network = _fitting(network, spec, "degli", "DeepGriffinLim")
    frames = Frames(spec, spectrum.shape[-1], spectrum)
    wanted = magnitudes(spectrum, spec)
    estimate = random_phases(wanted, seed)
    for _ in range(iterations):
        estimate = network(estimate, wanted, frames).following
    return frames.cut(frames.sound(ahead(estimate, estimate, wanted, 0.0)))


@torch.no_grad()
def wavenet(
    spectrum: Tensor,
    spec: Spectrogram,
    *,
    seed: int = 0,
    network: nn.Module | None = None,
    temperature: float = 1.0,
) -> Tensor:
    """Mel bands (clips, n_mels, frames) → (clips, samples), drawn sample by sample.

    network: a trained `models.wavenet.WaveNet`. temperature: below 1 the likelier values are drawn
    more often. The bands are seen relative to each clip's loudest; the sound gets its level back.
    """
    network = _fitting(network, spec, "wavenet", "WaveNet")
    features, level = network.features(spectrum)
    return level * network.generate(features, seed=seed, temperature=temperature)


def _fitting(network: nn.Module | None, spec: Spectrogram, method: str, kind: str) -> nn.Module:
    """The network in evaluation, if there is one and it was trained for such spectrograms."""
    if network is None:
        raise ValueError(
            f"{method} needs network=…, a trained {kind}; notebook {NOTEBOOK} trains one"
        )
    if type(network).__name__ != kind:
        raise ValueError(f"{method} needs a {kind}, not a {type(network).__name__}")
    if network.spec != spec:
        raise ValueError(f"the network was trained for {network.spec}, not for {spec}")
    return network.eval()
