"""Mel bands to sound in one pass, by a vocoder that this project trained and ships."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from samplevae_lib import paths
from samplevae_lib.models.vocoder import Vocoder
from samplevae_lib.spectral import Spectrogram


def neural(
    bands: Tensor, spec: Spectrogram, *, seed: int = 0, network: Vocoder | None = None
) -> Tensor:
    """(clips, n_mels, frames) → (clips, samples); see `models.vocoder`.

    network: a vocoder trained for these parameters; else the one that is shipped for them. There
    is no chance in it: `seed` has no bearing.
    """
    network = shipped(spec) if network is None else network
    if network.spec != spec:
        raise ValueError(f"the network was trained for {network.spec}, not for {spec}")
    with torch.inference_mode():
        return network(bands)


def available() -> dict[str, dict[str, Any]]:
    """What each shipped vocoder says of itself, by name: parameters, recipe, data, history."""
    found = sorted(paths.vocoders().glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in found}


@cache
def shipped(spec: Spectrogram) -> Vocoder:
    """The shipped vocoder for these parameters."""
    cards = available()
    fitting = [name for name, card in cards.items() if Spectrogram(**card["spec"]) == spec]
    if not fitting:
        told = "; ".join(f"{name}: {card['spec']}" for name, card in cards.items())
        raise ValueError(
            f"no vocoder is shipped for {asdict(spec)}; there is {told or 'none'}. Take such "
            "parameters, or train one (`python -m samplevae_lib vocoder`) and give it as network="
        )
    return load(fitting[0])


def load(name: str) -> Vocoder:
    """A shipped vocoder by its name, ready to use."""
    card = available()[name]
    size = {key: card["recipe"][key] for key in ("channels", "blocks")}
    network = Vocoder(Spectrogram(**card["spec"]), **size)
    weights = load_file(paths.vocoders() / f"{name}.safetensors")
    # Kept in half precision, at half the size.
    network.load_state_dict({name: weight.float() for name, weight in weights.items()})
    return network.eval()
