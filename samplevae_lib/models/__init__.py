"""The networks of the theses; a trained one over many rows, in batches and without gradients."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from samplevae_lib import on_first_use

__getattr__ = on_first_use(
    __name__, "autoencoder", "classifiers", "cnn14", "drum_classifier", "envelope_vae", "inception",
    "published", "resnet", "sample_vae", "tables", "vae",
)  # fmt: skip


def load(name: str) -> Any:
    """A trained model that comes with the project, ready to use: "drum_classifier"."""
    doors = ("drum_classifier",)
    if name not in doors:
        raise ValueError(f"no model {name!r} comes with the project; there is {', '.join(doors)}")
    return importlib.import_module(f"{__name__}.{name}").load()


def apply(
    model: nn.Module,
    function: Callable[[nn.Module, Tensor], Tensor],
    rows: np.ndarray,
    *,
    batch: int = 32,
) -> np.ndarray:
    """function(model, rows) for `batch` rows at a time: (rows, …) → (rows, …).

    The rows go to the device where the model is. The model is left in evaluation.
    """
    device = next(model.parameters()).device
    model.eval()
    with torch.no_grad():
        made = [
            function(model, part.to(device)).cpu()
            for part in torch.as_tensor(np.asarray(rows)).split(batch)
        ]
    return torch.cat(made).numpy()


def encode(model: nn.Module, audio: np.ndarray) -> np.ndarray:
    """(items, samples) → latents (items, …); a variational model gives the means of its z."""
    return apply(model, _code, audio)


def decode(model: nn.Module, latents: np.ndarray) -> np.ndarray:
    """Latents (items, …) → (items, samples)."""
    return apply(model, lambda m, z: m.decode(z), np.asarray(latents, dtype=np.float32))


def reconstruct(model: nn.Module, audio: np.ndarray) -> np.ndarray:
    """(items, samples) → the model's reconstructions, (items, samples), by way of the latent.

    >>> import numpy as np
    >>> from samplevae_lib import models
    >>> net = models.autoencoder.Autoencoder("convolutional", width=0.05)
    >>> models.reconstruct(net, np.zeros((3, 512), np.float32)).shape
    (3, 512)
    >>> models.encode(net, np.zeros((3, 512), np.float32)).shape
    (3, 16)
    """
    return apply(model, lambda m, x: m.decode(_code(m, x)), audio)


def _code(model: nn.Module, audio: Tensor) -> Tensor:
    made = model.encode(audio)
    return made if isinstance(made, Tensor) else made.mean
