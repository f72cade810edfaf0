"""The paper profile: every model at the thesis's own size takes one training step here.

`./run_all.sh --test -m slow tests/test_paper.py` prints what the training of each would take.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

import samplevae_lib as sv
from samplevae_lib import settings
from samplevae_lib.models.autoencoder import KINDS, Autoencoder
from samplevae_lib.spectral import Spectrogram
from samplevae_lib.training import classification, cost, losses

pytestmark = pytest.mark.slow
ITEMS = 2  # in the step that is measured; memory is counted up from it to a whole batch


def told(capsys, name: str, model, terms, batch, *, items: int, whole: int) -> None:
    """Take a step and print it. items: of all training; whole: items in a batch."""
    found = cost.step_cost(model, terms, batch, rounds=1)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    parameters = sum(p.numel() for p in model.parameters())
    gib = (found.memory - 16 * parameters) / len(batch[0]) * whole / 2**30 + parameters * 16 / 2**30
    hours = found.seconds / len(batch[0]) * items / 3600
    with capsys.disabled():
        print(
            f"\n{name}: {parameters:,} parameters, {found.seconds / len(batch[0]):.2f} s an item, "
            f"{hours:,.1f} hours a fit, {gib:,.1f} GiB for a batch of {whole}"
        )
    assert np.isfinite(hours)
    assert gib > 0


@pytest.mark.parametrize("kind", KINDS)
def test_autoencoders_of_signals(kind, capsys):
    paper = settings.load("02", "paper")
    model = Autoencoder(kind, width=paper.width, depth=paper.depth, gate=paper.gate)
    batch = (torch.randn(ITEMS, 8192),)
    items = paper.count * paper.iterations
    told(capsys, f"02 {kind}", model, losses.mean_square, batch, items=items, whole=paper.batch)


@pytest.mark.parametrize("kind", KINDS)
def test_vaes_of_signals(kind, capsys):
    paper = settings.load("03", "paper")
    shape = {"width": paper.width, "depth": paper.depth, "output": paper.output}
    model = sv.models.vae.signal_vae(kind, 512, paper.dimensions, **shape)
    batch = (torch.randn(ITEMS, 512),)
    items = paper.count * paper.iterations
    told(capsys, f"03 {kind}", model, losses.variational, batch, items=items, whole=paper.batch)


@pytest.mark.parametrize("kind", [*KINDS, "bands"])
def test_vaes_of_digits(kind, capsys):
    paper = settings.load("04", "paper")
    hidden = {"classes": 10, "hidden": tuple(paper.hidden)}
    place = [*KINDS, "bands"].index(kind)
    if kind == "bands":
        rows = torch.rand(ITEMS, paper.band_mels, 64)
        model = sv.models.vae.band_vae(
            paper.band_mels, 64, paper.dimensions, channels=paper.band_channels, **hidden
        )
        iterations = paper.band_iterations
    else:
        rows = torch.randn(ITEMS, paper.samples)
        shape = {"width": paper.widths[place], "depth": paper.depth, "output": "linear"}
        model = sv.models.vae.signal_vae(kind, paper.samples, paper.dimensions, **hidden, **shape)
        iterations = paper.iterations[place]
    batch = (rows, torch.arange(ITEMS))
    whole = paper.batches[place]
    told(capsys, f"04 {kind}", model, losses.labelled, batch, items=400 * iterations, whole=whole)


@pytest.mark.parametrize("kind", sv.models.classifiers.KINDS)
def test_drum_classifiers(kind, capsys):
    paper = settings.load("06", "paper")
    widths = {"ResNet50": paper.width, "ResNeSt50": paper.width, "PANN CNN14": paper.thin_width}
    model = sv.models.classifiers.classifier(kind, width=widths.get(kind, 1.0))
    batch = (torch.randn(ITEMS, paper.heard_samples), torch.arange(ITEMS))
    terms = classification.surprise(vary=classification.vary_waves)
    items = 4400 * paper.epochs  # the thesis's drums
    told(capsys, f"06 {kind}", model, terms, batch, items=items, whole=paper.batch)


def test_deep_griffin_lim(capsys):
    from samplevae_lib.inversion.degli import DeepGriffinLim, denoising

    paper = settings.load("01", "paper")
    spec = Spectrogram("stft", paper.sample_rate, paper.n_fft, paper.hop)
    model = DeepGriffinLim(
        spec, channels=paper.degli_channels, depth=paper.degli_depth,
        first=tuple(paper.degli_first), kernel=tuple(paper.degli_kernel),
    )  # fmt: skip
    batch = (torch.randn(ITEMS, 64000),)
    items = 4257 * paper.degli_epochs  # the thesis's notes
    terms = denoising(paper.degli_frames)
    told(capsys, "01 DeGLI", model, terms, batch, items=items, whole=paper.degli_batch)


def test_wavenet(capsys):
    from samplevae_lib.inversion.wavenet import WaveNet, likelihood, prepared

    paper = settings.load("01", "paper")
    spec = Spectrogram("mel", paper.sample_rate, paper.n_fft, paper.hop, n_mels=paper.n_mels)
    model = WaveNet(
        spec, layers=paper.wavenet_layers, stacks=paper.wavenet_stacks,
        residual=paper.wavenet_channels, gate=paper.wavenet_gate, skip=paper.wavenet_skip,
        local=paper.wavenet_local,
    )  # fmt: skip
    batch = prepared(model, 0.1 * torch.randn(1, 16000))
    items = paper.wavenet_steps * paper.wavenet_batch
    terms = likelihood(paper.wavenet_stretches)
    told(capsys, "01 WaveNet", model, terms, batch, items=items, whole=paper.wavenet_batch)
