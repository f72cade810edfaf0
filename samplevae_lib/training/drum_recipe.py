"""How the classifiers are trained that come with the project.

`python -m samplevae_lib weights synthesised/ResNet50` teaches a network of thesis M, made narrow,
to tell synthesised drums of many kinds apart: what it knows before it hears a recorded one.
`… weights classifiers/drum_classifier` makes the classifier that others measure with: DrumNets that
begin like this and then learn from recorded drums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from samplevae_lib import audio, datasets, models, provenance, weights
from samplevae_lib.datasets import Dataset
from samplevae_lib.datasets.stand_ins.drums import wide_clips
from samplevae_lib.models import classifiers, drum_classifier
from samplevae_lib.models.classifiers import FOLDER as BEGUN
from samplevae_lib.models.drum_classifier import CLASSES, FOLDER, NAME, SAMPLE_RATE, DrumNet
from samplevae_lib.training.classification import train_classifier, vary_levels, vary_waves
from samplevae_lib.training.fits import Fit, Plan, fit_all


@dataclass(frozen=True)
class Recipe:
    """Sizes and lengths.

    widths: of thesis M's three large networks. channels: of DrumNets: of the classifier's, and of
    one half as large for comparisons. synthesised, held_out: sounds a class that networks learn
    from first, and are judged by. first, later: how they learn from these and from recordings
    (arguments of `train_classifier`). folds: parts of the drum machines; members: networks that are
    asked together, which never hear one of the parts, or hear all. size: values of an embedding.
    """

    widths: Mapping[str, float]
    channels: Mapping[str, tuple[int, ...]]
    first: Mapping[str, Any]
    later: Mapping[str, Any]
    synthesised: int = 1200
    held_out: int = 50
    folds: int = 5
    members: int = 2
    size: int = 64


RECIPE = Recipe(
    widths={"ResNet50": 1 / 16, "ResNeSt50": 1 / 16, "PANN CNN14": 1 / 32},
    channels={"DrumNet": (12, 24, 48, 96), "DrumNet small": (8, 16, 32, 64)},
    first={"epochs": 6, "batch": 64, "rate": 3e-3},
    later={"epochs": 60, "batch": 32, "rate": 3e-3},
)
FIRST = (*RECIPE.widths, *RECIPE.channels)  # what learns from synthesised drums first


def drums(*, data: str = "auto", seed: int = 0) -> Dataset:
    """The drums of the eight classes, from which the classifier learns."""
    seconds = drum_classifier.SECONDS + 0.25  # a quarter for what comes before an onset
    return datasets.load(
        "drums", data=data, seed=seed, sample_rate=SAMPLE_RATE, samples=int(seconds * SAMPLE_RATE)
    )


def ship(name: str, *, data: str = "auto", seed: int = 0, recipe: Recipe = RECIPE) -> Path:
    """Train what this name says, one of FIRST or "drum_classifier", and keep it; returns the path.

    Killed, it goes on from its last checkpoint.
    """
    known = {weights.file_name(each): each for each in (*FIRST, NAME)}
    if (file := weights.file_name(name)) not in known:
        raise ValueError(f"no classifier {name!r}; there are {', '.join(known.values())}")
    if known[file] == NAME:
        return _ship_classifier(drums(data=data, seed=seed), seed, recipe)
    fit_all({file: first_fit(known[file], seed=seed, recipe=recipe)}, _plan(BEGUN, [file], []))
    return weights.named(BEGUN, file).file


def first_fit(name: str, *, seed: int, recipe: Recipe) -> Fit:
    """What a network of this name learns from synthesised drums.

    They are kept in halves: ten thousand seconds of sound would fill the memory.
    """
    parts = []
    for part, per_class in enumerate((recipe.synthesised, recipe.held_out)):
        clips = wide_clips(per_class=per_class, sample_rate=SAMPLE_RATE, seed=seed + part)
        cut = [(audio.cut_or_pad(clip.audio, SAMPLE_RATE), clip.label) for clip in clips]
        sounds = np.stack([sound.astype(np.float16) for sound, _ in cut])
        if name in recipe.channels:
            sounds = drum_classifier.levels(sounds, SAMPLE_RATE).astype(np.float16)
        parts += [sounds, np.array([CLASSES.index(label) for _, label in cut])]

    def built() -> nn.Module:
        if name in recipe.channels:
            return DrumNet(channels=recipe.channels[name])
        return classifiers.classifier(name, width=recipe.widths[name])

    vary = vary_levels if name in recipe.channels else vary_waves
    return Fit.seeded(built, train_classifier, parts, seed, vary=vary, **recipe.first)


def fits(dataset: Dataset, *, seed: int, recipe: Recipe) -> tuple[dict[str, Fit], list[Dataset]]:
    """All fits of the classifier by name, and the folds: datasets of whole machines.

    Those called fold-K-M never hear fold K and are judged by it; drum_classifier-M hears all.
    """
    shares = {str(fold): 1 / recipe.folds for fold in range(recipe.folds)}
    folds = list(dataset.split(shares, seed=seed).values())
    seen, targets = drum_classifier.levels(dataset.audio, SAMPLE_RATE), dataset.targets
    wanted = {}
    for member in range(recipe.members):
        for number, fold in enumerate(folds):
            held = np.isin(dataset.groups, np.unique(fold.groups))
            data = (seen[~held], targets[~held], seen[held], targets[held])
            wanted[f"fold-{number}-{member}"] = fit(data, seed + member, recipe=recipe)
        wanted[f"{NAME}-{member}"] = fit((seen, targets), seed + member, recipe=recipe)
    return wanted, folds


def fit(
    data: Sequence[np.ndarray],
    seed: int,
    *,
    name: str = "DrumNet",
    recipe: Recipe = RECIPE,
    **options: Any,
) -> Fit:
    """A DrumNet that has learnt from synthesised drums and goes on with these.

    data: levels and classes to learn from, and possibly some held out, as for `train_classifier`.
    name: in `Recipe.channels`, which says how large it is. options: what is to differ from
    `Recipe.later`.
    """
    begun, options = weights.named(BEGUN, name), {**recipe.later, **options}

    def built() -> DrumNet:
        net = DrumNet(channels=recipe.channels[name])
        weights.fill(net, begun.arrays(), str(begun.file))
        net.began = f"here {begun.card['sha256'][:12]}"  # tells fits apart that began otherwise
        return net

    return Fit.seeded(built, train_classifier, data, seed, vary=vary_levels, **options)


def _ship_classifier(dataset: Dataset, seed: int, recipe: Recipe) -> Path:
    """Train all networks, find temperature and embedding, and write both with their card."""
    wanted, folds = fits(dataset, seed=seed, recipe=recipe)
    done = fit_all(wanted, _plan(FOLDER, list(wanted), [dataset]))
    groups = [np.unique(fold.groups).tolist() for fold in folds]
    members = range(recipe.members)
    logits = np.zeros((recipe.members, len(dataset), len(CLASSES)))
    for member in members:
        for number, machines in enumerate(groups):
            one = wanted[f"fold-{number}-{member}"]
            held = np.isin(dataset.groups, machines)
            logits[member, held] = models.apply(one.model, DrumNet.__call__, one.data[2])
    networks = [wanted[f"{NAME}-{member}"].model for member in members]
    seen = wanted[f"{NAME}-0"].data[0]
    fed = np.hstack([models.apply(each, DrumNet.embed, seen) for each in networks])
    centre, axes = _principal(fed, recipe.size)
    arrays = {"centre": centre, "axes": axes, "known": (fed - centre) @ axes}
    card = {
        "name": NAME, "members": recipe.members, "channels": recipe.channels["DrumNet"],
        "folds": groups,
        "temperature": temperature(logits, dataset.targets), "classes": CLASSES,
        "names": dataset.names.tolist(), "labels": dataset.labels.tolist(),
        "source": dataset.source, "fingerprint": dataset.fingerprint, "seed": seed,
        "commit": provenance.commit(),
        "seconds": sum(one.seconds for one in done.values()),
    }  # fmt: skip
    return weights.write(FOLDER, NAME, arrays, card, half=True).file


def temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """What to divide logits by so that the networks together are as sure as they are right.

    logits: (networks, sounds, classes), of sounds that they never heard. targets: (sounds,). Of the
    mean of their probabilities the cross-entropy is least (Guo et al., ICML 2017).
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import softmax

    def surprise(log_temperature: float) -> float:
        likely = softmax(logits / np.exp(log_temperature), axis=2).mean(0)
        return -float(np.log(likely[np.arange(len(targets)), targets]).mean())

    return float(np.exp(minimize_scalar(surprise, bounds=(-2, 2), method="bounded").x))


def _principal(fed: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Centre (width,) and principal axes (width, size) of rows (sounds, width)."""
    centre = fed.mean(0)
    _, _, axes = np.linalg.svd(fed - centre, full_matrices=False)
    return centre, axes[:size].T


def _plan(folder: str, names: Sequence[str], used: Sequence[Dataset]) -> Plan:
    """Train these anew and keep them in a folder below data/weights."""
    origin = {
        "notebook": folder, "profile": "reference", "commit": provenance.commit(),
        "data": [
            {"name": each.name, "source": each.source, "sounds": len(each)}
            | {"fingerprint": each.fingerprint}
            for each in used
        ],
    }  # fmt: skip
    return Plan(folder, origin, torch.get_num_threads(), refit=tuple(names), ship=True, half=True)
