"""Mel bands to sound by a vocoder that this project trained and ships, its low bins settled."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from samplevae_lib import paths
from samplevae_lib.datasets import Dataset
from samplevae_lib.frames import Frames
from samplevae_lib.inversion.low_bins import settle
from samplevae_lib.models.vocoder import Vocoder
from samplevae_lib.spectral import Spectrogram


def neural(
    bands: Tensor,
    spec: Spectrogram,
    *,
    seed: int = 0,
    network: Vocoder | None = None,
    iterations: int = 60,
) -> Tensor:
    """(clips, n_mels, frames) → (clips, samples); see `models.vocoder` and `low_bins`.

    network: a vocoder trained for these parameters; else the one that is shipped for them.
    iterations: on the low bins; 0 leaves the network's sound as it is, made in one pass.
    """
    network = shipped(spec) if network is None else network
    if network.spec != spec:
        raise ValueError(f"the network was trained for {network.spec}, not for {spec}")
    with torch.inference_mode():
        spectra, frames = network.asked(bands), Frames(spec, bands.shape[-1], bands)
        if iterations:
            settle(spectra, bands, spec, iterations=iterations, seed=seed)
        return frames.cut(frames.sound(spectra))


def available() -> dict[str, dict[str, Any]]:
    """What each shipped vocoder says of itself, by name: parameters, recipe, data, history."""
    found = sorted(paths.vocoders().glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in found}


@cache
def shipped(spec: Spectrogram) -> Vocoder:
    """The shipped vocoder for these parameters."""
    return load(_card(spec)[0])


def unheard(dataset: Dataset, spec: Spectrogram) -> np.ndarray:
    """Which sounds, (n,) of bool, come from machines or instruments the vocoder never heard.

    The vocoder is the one that is shipped for these parameters.
    """
    heard = _card(spec)[1]["data"].get(dataset.name)
    if heard is None or heard["source"] != dataset.source:
        return np.ones(len(dataset), dtype=bool)
    return ~np.isin(dataset.groups, heard["heard"])


def load(name: str) -> Vocoder:
    """A shipped vocoder by its name, ready to use."""
    card = available()[name]
    size = {key: card["recipe"][key] for key in ("channels", "blocks")}
    network = Vocoder(Spectrogram(**card["spec"]), **size)
    weights = load_file(paths.vocoders() / f"{name}.safetensors")
    # Kept in half precision, at half the size.
    network.load_state_dict({name: weight.float() for name, weight in weights.items()})
    return network.eval()


def _card(spec: Spectrogram) -> tuple[str, dict[str, Any]]:
    """Name and card of the shipped vocoder for these parameters."""
    cards = available()
    for name, card in cards.items():
        if Spectrogram(**card["spec"]) == spec:
            return name, card
    told = "; ".join(str(Spectrogram(**card["spec"])) for card in cards.values())
    raise ValueError(
        f"no vocoder is shipped for {spec}; there is {told or 'none'}. Take such parameters, or "
        "train one (as `python -m samplevae_lib vocoder` does) and give it as network="
    )
