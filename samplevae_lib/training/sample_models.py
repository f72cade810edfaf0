"""The nine models of thesis R's Table 7.2, ready to be fitted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

import numpy as np

from samplevae_lib.models.sample_vae import SampleVAE
from samplevae_lib.settings import Settings
from samplevae_lib.training.fits import Fit
from samplevae_lib.training.vae import train_vae


def passes(settings: Settings) -> dict[str, int]:
    """How often each model sees every sound: the thesis's steps at its batch, times `share`.

    settings: of notebook 10, as all that is asked for here.
    """
    of_thesis = np.array(settings.steps) * settings.batch / settings.learnt_from
    return {
        name: max(1, round(settings.share * count))
        for name, count in zip(settings.models, of_thesis, strict=True)
    }


def fits(
    levels: Mapping[str, np.ndarray], targets: Mapping[str, np.ndarray], settings: Settings,
    *, seed: int, names: Iterable[str] | None = None,
) -> dict[str, Fit]:  # fmt: skip
    """A fit for each model, by the thesis's name for it.

    levels: mel bands (sounds, bands, frames) by part, "train" and "validation"; targets: their
    classes, which are not learnt from. seed: of all chance. names: of some models; None for all.
    """
    data = tuple(known[part] for part in ("train", "validation") for known in (levels, targets))
    return {
        name: Fit.seeded(
            partial(_model, settings, name, levels["train"].shape[1:]), train_vae, data, seed,
            weights={"error": 1.0, "divergence": settings.beta if name == "beta" else 1.0},
            rate=settings.rate, epochs=count, batch=settings.batch, clip=settings.clip,
        )
        for name, count in passes(settings).items() if names is None or name in names
    }  # fmt: skip


def _model(settings: Settings, name: str, shape: tuple[int, int]) -> SampleVAE:
    place = settings.models.index(name)
    return SampleVAE(
        *shape, dimensions=settings.dimensions[place], flows=settings.flows[place],
        channels=tuple(settings.channels), dense=settings.dense,
        transformations=settings.transformations,
        dropout=0.0 if name == "no dropout" else settings.dropout,
    )  # fmt: skip
