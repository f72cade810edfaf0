"""The autoencoders are those of the tables, keep lengths, and learn."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from samplevae_lib import theses
from samplevae_lib.datasets import signals
from samplevae_lib.models import tables
from samplevae_lib.models.autoencoder import DECODERS, ENCODERS, KINDS, Autoencoder, receptive_field
from samplevae_lib.models.vae import Classifier, GaussianBottleneck, Posterior, SignalVAE
from samplevae_lib.training import Player, Schedule, losses, train


def printed(table: str, model: str) -> list[tuple[str, str, str]]:
    """Filters, kernel and stride of each layer in the thesis, repeated layers written out."""
    frame = theses.published(table)
    lines = []
    for _, line in frame[frame.index.str.startswith(f"{model} ·")].iterrows():
        if line["filters"] == "-" or not isinstance(line["layer"], str):
            continue  # the Gaussian bottleneck, which is a module of its own, and notes
        repeats = 5 if "5 x" in line["layer"] else 1
        lines += [tuple(line[c] for c in ("filters", "kernel", "stride"))] * repeats
    return lines


def built(model: str) -> list[tuple[int, int, int]]:
    layers = ENCODERS[model] + DECODERS[model]
    return [(layer.filters, layer.kernel, layer.stride) for layer in layers]


@pytest.mark.parametrize("model", ["convolutional", "dilated"])
def test_the_layers_are_those_of_table_4_1(model):
    assert built(model) == printed("L-T4.1", model)


def test_the_hybrids_layers_are_those_of_table_4_2_but_for_the_block_it_leaves_open():
    theirs = printed("L-T4.2", "hybrid")
    assert theirs[1] == (1, "-", 1)
    assert built("hybrid") == [theirs[0], (32, 2, 1), *theirs[2:]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("samples", [512, 4096])
def test_lengths_are_kept_and_the_latent_is_a_thirty_second(kind, samples):
    model = Autoencoder(kind, width=0.05, depth=4)
    audio, latent = model(torch.zeros(2, samples))
    assert audio.shape == (2, samples)
    assert latent.shape == (2, samples // 32)


def test_a_length_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="500 samples are not a multiple of 32"):
        Autoencoder("convolutional", width=0.01)(torch.zeros(2, 500))


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="one of convolutional, dilated, hybrid, not 'deep'"):
        Autoencoder("deep")


def test_the_printed_rows_meet_the_layers_one_by_one():
    dilated = tables.as_printed("L-T4.1", "dilated")
    assert list(dilated.index)[:4] == [f"dilated · {number}" for number in ("1", "2", "3:7", "8")]
    theirs = theses.published("L-T4.1").loc[dilated.index, ["filters", "kernel", "stride"]]
    assert (dilated[["filters", "kernel", "stride"]] == theirs.astype(int)).all(axis=None)
    assert dilated.loc["dilated · 2", "layer"] == "50 x dilation_block"
    assert dilated.loc["dilated · 3:7", "length"] == 256
    assert dilated["length"].iloc[-1] == 8192


@pytest.mark.parametrize("kind", KINDS)
def test_the_tables_parameters_are_all_of_the_models(kind):
    listed = tables.layers(kind, width=0.25, depth=3)
    model = Autoencoder(kind, width=0.25, depth=3)
    assert listed["parameters"].sum() == sum(p.numel() for p in model.parameters())
    assert tables.shrinking(kind) == 32


def test_a_built_block_sees_what_was_counted():
    for branch, period in enumerate((10, 5)):
        assert tables.measured_field(branch, depth=12) == receptive_field(period, 12)


def test_the_terms_of_a_vae_are_sums_over_samples_and_dimensions():
    torch.manual_seed(0)
    vae = SignalVAE(Autoencoder("convolutional", width=0.05), GaussianBottleneck(16, 2)).eval()
    audio = torch.randn(4, 512)
    made, terms = vae(audio), losses.variational(vae, (audio,))
    assert terms["error"].item() == pytest.approx(
        512 * nn.functional.mse_loss(made.audio, audio).item(), rel=1e-5
    )
    divergence = made.posterior.divergence().sum().item() / 4
    assert terms["divergence"].item() == pytest.approx(divergence, rel=1e-5)
    plain = losses.mean_square(vae.autoencoder, (audio,))["error"]
    assert plain.item() == pytest.approx(
        nn.functional.mse_loss(vae.autoencoder(audio)[0], audio).item()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_each_model_learns_one_batch_by_heart(kind):
    torch.manual_seed(0)
    batch = torch.tensor(signals.load(kind="families", count=3, noise=0.0, seed=0).audio) * 0.9
    # Ten layers are one period of the wide branch: it then sees all of the 512 samples.
    model = Autoencoder(kind, width=0.25, depth=10)
    players = {"model": Player(losses.mean_square, {"error": 1.0}, rate=0.01)}
    schedule = Schedule(200, 3, plateau=15, factor=0.7)
    history = train(model, (batch,), players=players, schedule=schedule)
    assert history["train error"].iloc[-1] < 0.05 * float(batch.square().mean())


def test_the_divergence_is_the_closed_form():
    mean, log_variance = torch.tensor([[0.0, 1.0, -2.0]]), torch.tensor([[0.0, 0.0, math.log(4)]])
    expected = [0.0, 0.5, 0.5 * (4 + 4 - 1 - math.log(4))]
    assert Posterior(mean, log_variance).divergence()[0].tolist() == pytest.approx(expected)


def test_samples_have_the_posteriors_mean_and_spread():
    torch.manual_seed(0)
    z = Posterior(torch.full((20_000, 1), 3.0), torch.full((20_000, 1), math.log(0.25))).sample()
    assert z.mean().item() == pytest.approx(3.0, abs=0.02)
    assert z.std().item() == pytest.approx(0.5, abs=0.02)


def test_a_vae_decodes_the_mean_in_evaluation_and_samples_in_training():
    torch.manual_seed(0)
    vae = SignalVAE(
        Autoencoder("convolutional", width=0.05), GaussianBottleneck(16, 2), Classifier(2, 3)
    )
    audio = torch.randn(4, 512)
    made = vae(audio)
    assert made.audio.shape == (4, 512)
    assert made.logits.shape == (4, 3)
    assert not torch.equal(made.z, made.posterior.mean)
    vae.eval()
    assert torch.equal(vae(audio).z, vae(audio).posterior.mean)
    assert len([layer for layer in vae.classifier if isinstance(layer, nn.Linear)]) == 4
