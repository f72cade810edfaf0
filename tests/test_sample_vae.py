"""The sample library's VAE: sizes as printed, flows with exact densities, and its nine fits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from samplevae_lib import models, settings
from samplevae_lib.models.sample_vae import SampleVAE
from samplevae_lib.training import sample_models
from samplevae_lib.training.vae import train_vae

SMALL = {"channels": (2, 3), "dense": 12, "transformations": 8, "dimensions": 4, "flows": 2}


def small(**options) -> SampleVAE:
    torch.manual_seed(0)
    return SampleVAE(16, 20, **(SMALL | options))


def levels(n: int, *, seed: int = 0) -> np.ndarray:
    """n pictures of one bright row each."""
    rng = np.random.default_rng(seed)
    made = np.zeros((n, 16, 20), np.float32)
    made[np.arange(n), rng.integers(16, size=n)] = np.linspace(1, 0, 20)
    return made


def test_the_thesis_sizes_come_out():
    network = SampleVAE()
    assert network.small == (32, 7, 15)
    assert network.hidden[0].weight.shape == (512, 7 * 15 * 32)
    assert len(network.flows) == 10
    assert network.decode(torch.zeros(2, 64)).shape == (2, 128, 250)


def test_too_small_a_picture_is_refused():
    with pytest.raises(ValueError, match="4 bands of 9 frames are too few for 3 convolutions"):
        SampleVAE(4, 9, channels=(2, 2, 2))


@pytest.mark.parametrize("flows", [0, 1, 3])
def test_the_divergence_is_that_of_the_densities(flows):
    """By the change of variables, with the Jacobian that autograd finds."""
    network = small(flows=flows, dropout=0.0).double().train()
    picture = torch.from_numpy(levels(1)).double()
    h = network.hidden(_features(network, picture))
    mean, spread = network.moments(h).chunk(2, dim=1)
    deviation = torch.nn.functional.softplus(spread) + 1e-4
    torch.manual_seed(3)
    found = network.encode(picture)
    torch.manual_seed(3)
    start = mean + deviation * torch.randn_like(mean)

    def bent(z):
        for flow in network.flows:
            z = flow(h)(z)
        return z

    jacobian = torch.autograd.functional.jacobian(lambda z: bent(z[None])[0], start[0])
    assert torch.allclose(bent(start), found.mean)
    expected = -0.5 * 4 - deviation.log().sum() - torch.linalg.slogdet(jacobian)[1]
    expected = expected + 0.5 * found.mean.square().sum()
    assert found.divergence().item() == pytest.approx(expected.item(), abs=1e-9)


def _features(network: SampleVAE, picture: torch.Tensor) -> torch.Tensor:
    x = picture[:, None]
    for layer in network.down:
        x = torch.nn.functional.max_pool2d(torch.nn.functional.elu(layer(x)), (3, 2), 2)
    return x.flatten(1)


def test_without_flows_and_dropout_the_divergence_has_the_gaussian_mean():
    network = small(flows=0, dropout=0.0).train()
    picture = torch.from_numpy(levels(1)).expand(4000, 16, 20)
    mean, spread = network.moments(network.hidden(_features(network, picture[:1]))).chunk(2, dim=1)
    deviation = torch.nn.functional.softplus(spread) + 1e-4
    exact = 0.5 * (deviation.square() + mean.square() - 1 - 2 * deviation.log()).sum()
    with torch.no_grad():
        drawn = network.encode(picture).divergence().mean()
    assert drawn.item() == pytest.approx(exact.item(), rel=0.05)


def test_evaluation_has_no_chance_in_it_and_training_has():
    network, pictures = small(), torch.from_numpy(levels(3))
    assert torch.equal(network.eval()(pictures).audio, network(pictures).audio)
    assert not torch.equal(network.train()(pictures).audio, network(pictures).audio)


def test_masks_are_no_weights():
    names = set(small().state_dict())
    assert names and not any("mask" in name for name in names)


def test_it_learns_a_batch_and_gives_the_same_numbers_again():
    rows, targets = levels(12), np.zeros(12, np.int64)
    data = (rows, targets, rows[:4], targets[:4])
    how = {"weights": {"error": 1.0, "divergence": 0.01}, "rate": 1e-2, "epochs": 300, "batch": 12}
    wide = {"channels": (6, 8), "dense": 24, "dropout": 0.0}
    histories = [
        train_vae(network, data, seed=0, **how)["train error"]
        for network in (small(**wide), small(**wide))
    ]
    assert histories[0].iloc[-1] < 0.2 * np.square(rows - rows.mean(0)).sum((1, 2)).mean()
    assert histories[0].equals(histories[1])


def test_models_encodes_and_rebuilds():
    network, rows = small(), levels(5)
    assert models.encode(network, rows).shape == (5, 4)
    assert models.reconstruct(network, rows).shape == rows.shape


def test_there_is_a_fit_for_each_of_the_nine():
    known = settings.load("10", "reference")
    rows = {name: np.zeros((6, 128, 250), np.float32) for name in ("train", "validation")}
    targets = {name: np.zeros(6, np.int64) for name in rows}
    fits = sample_models.fits(rows, targets, known, seed=0)
    assert list(fits) == known.models
    assert fits["beta"].options["weights"]["divergence"] == 128
    assert fits["64 dim"].options["weights"]["divergence"] == 1
    assert [len(fits[name].model.flows) for name in known.models] == known.flows
    assert fits["no dropout"].model.hidden[2].p == 0 < fits["overfit"].model.hidden[2].p
    assert fits["overfit"].options["epochs"] > 20 * fits["underfit"].options["epochs"]
    assert list(sample_models.fits(rows, targets, known, seed=0, names=["beta"])) == ["beta"]


def test_the_paper_profile_has_the_thesis_passes():
    assert sample_models.passes(settings.load("10", "paper"))["64 dim"] == round(20000 * 64 / 8220)
