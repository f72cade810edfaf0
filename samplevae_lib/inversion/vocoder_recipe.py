"""How the vocoders are trained that come with the project.

`python -m samplevae_lib weights vocoders/22050` does it anew, in about an hour.

They learn from drums of 85 % of the machines and notes of 85 % of the instruments, at changed
speeds, from changed starts and mixed; the rest is never heard in training, and its machines and
instruments are named in the card beside the weights. `ship` does all of it; `RECIPES` holds the
numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from samplevae_lib import audio, cache, datasets, paths, provenance
from samplevae_lib.datasets import Dataset
from samplevae_lib.files import plain, replacing, sha256, write_json
from samplevae_lib.inversion.vocoder import Vocoder
from samplevae_lib.progress import track
from samplevae_lib.spectral import Spectrogram
from samplevae_lib.training.loop import Batch, Terms, train_model
from samplevae_lib.training.losses import HeardDistance, SpectralDistance

KEPT_APART = {"train": 0.85, "test": 0.15}
_DRUM_SECONDS, _NOTE_SECONDS = 1.5, 4.0
_CHANGED = 0.7  # share of crops at another speed
_LATER = 0.7  # share of crops that need not begin near the onset
_SHORTEST = 256  # samples
_QUIET = 1e-3  # peak of a crop that holds only a tail


@dataclass(frozen=True)
class Recipe:
    """A vocoder's size, what it hears, for how long, and by what loss it is judged.

    channels, blocks: of the network. crops: to learn from, each of so many `samples`. epochs,
    batch, rate, clip: of training with AdamW. mel_windows, mel_bands, bin_windows: of the spectral
    terms of the loss, in samples and numbers of bands. weights: of the loss's terms.
    """

    spec: Spectrogram
    channels: int = 160
    blocks: int = 6
    crops: int = 16000
    samples: int = 8192
    held_out: int = 256  # crops of what is never heard, to judge by
    epochs: int = 12
    batch: int = 16
    rate: float = 1e-3
    clip: float = 1.0
    notes: float = 0.22  # share of crops that are notes
    mixed: float = 0.16  # share that are a drum and something else at once
    mixed_with_notes: float = 0.4  # share of those in which it is a note
    octaves: float = 0.6  # how far a sound's speed is changed at the most
    mel_windows: tuple[int, ...] = (2048, 1024, 512, 256, 128)
    mel_bands: tuple[int, ...] = (160, 128, 96, 48, 24)
    bin_windows: tuple[int, ...] = (2048, 1024, 512)
    weights: Mapping[str, float] = field(
        default_factory=lambda: {
            "levels": 3.0, "amounts": 1.0, "bins": 0.5, "noise": 1.0, "loudness": 1.0,
        }
    )  # fmt: skip


RECIPES = {
    "22050": Recipe(Spectrogram("mel", 22050, 1024, 256)),
    "16000": Recipe(Spectrogram("mel", 16000, 512, 128)),
}


def sounds(rate: int, *, data: str = "auto", seed: int = 0) -> dict[str, dict[str, Dataset]]:
    """Drums and notes at a rate in Hz, each in parts "train" and "test".

    The parts share no machine and no instrument. data: "auto", "real" or "stand-in".
    """
    drums = datasets.load(
        "drums", data=data, seed=seed, classes="all", sample_rate=rate,
        samples=int(rate * _DRUM_SECONDS),
    )  # fmt: skip
    notes = datasets.load(
        "notes", data=data, seed=seed, sample_rate=rate, samples=int(rate * _NOTE_SECONDS)
    )
    parts = {"drums": drums, "notes": notes}
    return {name: whole.split(KEPT_APART, seed=seed) for name, whole in parts.items()}


def crops(drums: Dataset, notes: Dataset, recipe: Recipe, count: int, *, seed: int) -> np.ndarray:
    """What is learnt from: (count, samples) float32 with peaks at 1, the same for the same seed."""
    rng = np.random.default_rng(seed)
    made = np.zeros((count, recipe.samples), dtype=np.float32)
    for crop in track(made, "cutting crops"):
        chance = rng.random()
        crop += _crop(notes if chance < recipe.notes else drums, recipe, rng)
        if chance > 1 - recipe.mixed:
            other = notes if rng.random() < recipe.mixed_with_notes else drums
            crop += 10 ** rng.uniform(-1, 0) * _crop(other, recipe, rng)
        crop /= np.abs(crop).max()
    return made


def train_vocoder(
    model: Vocoder,
    data: tuple[np.ndarray, np.ndarray],
    *,
    seed: int,
    checkpoint: Path | None,
    recipe: Recipe,
) -> pd.DataFrame:
    """Fit a vocoder to crops (n, samples) and judge it by others; returns the history.

    data: crops to learn from, crops held out. checkpoint: a folder to go on from after a kill.
    """
    heard, held_out = data
    return train_model(
        model, (heard,), validation=(held_out,), name="vocoder", terms=sound_terms(recipe),
        weights=recipe.weights, epochs=recipe.epochs, batch=recipe.batch, rate=recipe.rate,
        clip=recipe.clip, optimiser="adamw", options={"betas": (0.8, 0.99)}, seed=seed,
        checkpoint=checkpoint,
    )  # fmt: skip


def sound_terms(recipe: Recipe) -> Terms:
    """The loss of a vocoder that gets the mel bands of a batch of sounds and should give them back.

    levels, amounts: of mel bands (`SpectralDistance`). bins: amounts and convergence of single
    bins. noise, loudness: as heard (`HeardDistance`).
    """
    rate = recipe.spec.sample_rate
    in_bands = SpectralDistance(rate, windows=recipe.mel_windows, bands=recipe.mel_bands)
    in_bins = SpectralDistance(rate, windows=recipe.bin_windows, bands=None)
    heard = HeardDistance(rate)

    def terms(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        (sounds,) = batch
        made = model(model.spec.forward(sounds))
        wanted = sounds[:, : made.shape[1]]
        bands, bins = in_bands(made, wanted), in_bins(made, wanted)
        return {
            "levels": bands["levels"], "amounts": bands["amounts"],
            "bins": bins["amounts"] + bins["convergence"],
            **heard(made, wanted),
        }  # fmt: skip

    return terms


def ship(name: str, *, data: str = "auto", seed: int = 0) -> Path:
    """Train the vocoder of this name in RECIPES and write its weights and card; returns the path.

    data: "auto", "real" or "stand-in". Killed, it goes on from its last checkpoint.
    """
    recipe, commit = RECIPES[name], provenance.commit()
    parts = sounds(recipe.spec.sample_rate, data=data, seed=seed)
    learnt_from = {
        part: crops(parts["drums"][part], parts["notes"][part], recipe, count, seed=seed)
        for part, count in (("train", recipe.crops), ("test", recipe.held_out))
    }
    torch.manual_seed(seed)
    size = {"channels": recipe.channels, "blocks": recipe.blocks}
    model = Vocoder(recipe.spec, **size, mended=False)  # the last step has nothing to learn
    unfinished = cache.checkpoint(
        "models", cache.key(recipe=recipe, model=Vocoder, sounds=learnt_from, seed=seed)
    )
    history = train_vocoder(
        model, (learnt_from["train"], learnt_from["test"]), seed=seed, recipe=recipe,
        checkpoint=unfinished,
    )  # fmt: skip
    path = keep(name, model, _card(recipe, parts, history) | {"seed": seed, "commit": commit})
    cache.discard(unfinished)
    return path


def keep(name: str, model: Vocoder, card: Mapping[str, Any]) -> Path:
    """Weights in half precision as safetensors, and the card beside them as JSON."""
    path = paths.vocoders() / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    halves = {n: t.detach().half().contiguous() for n, t in model.state_dict().items()}
    with replacing(path) as partial:
        save_file(halves, partial)
    write_json(path.with_suffix(".json"), {**card, "sha256": sha256(path)})
    return path


def _crop(dataset: Dataset, recipe: Recipe, rng: np.random.Generator) -> np.ndarray:
    """A stretch of one sound, (samples,), at another speed and with a peak of 1.

    A stretch that is nearly silent is drawn again.
    """
    rate, samples = dataset.sample_rate, recipe.samples
    piece = np.zeros(samples, dtype=np.float32)
    while np.abs(piece).max() < _QUIET:
        which = rng.integers(len(dataset))
        sound = dataset.audio[which][: max(int(dataset.durations[which] * rate), _SHORTEST)]
        if rng.random() < _CHANGED:
            speed = 2 ** rng.uniform(-recipe.octaves, recipe.octaves)
            sound = audio.resample(sound, rate, int(rate * speed))
        onset = rng.random() > _LATER
        last = 1 if onset else max(1, len(sound) - samples // 4)
        start = int(rng.integers(-samples // (4 if onset else 2), last))
        taken = sound[max(start, 0) : start + samples]
        piece[:] = 0
        piece[max(-start, 0) : max(-start, 0) + len(taken)] = taken
    return piece / np.abs(piece).max()


def _card(
    recipe: Recipe, parts: Mapping[str, Mapping[str, Dataset]], history: pd.DataFrame
) -> dict[str, Any]:
    """What the weights come from: recipe, data, machine, versions, seconds and history."""
    described = {
        name: {
            "source": part["train"].source,
            "sounds": len(part["train"]),
            "fingerprint": part["train"].fingerprint,
            "heard": sorted(set(part["train"].groups.tolist())),
            "never heard": sorted(set(part["test"].groups.tolist())),
        }
        for name, part in parts.items()
    }
    return {
        "spec": asdict(recipe.spec), "recipe": plain(asdict(recipe)), "data": described,
        "machine": provenance.machine(),
        "versions": provenance.versions(), "seconds": float(history["seconds"].sum()),
        "history": history.round(5).to_dict("list"),
    }  # fmt: skip
