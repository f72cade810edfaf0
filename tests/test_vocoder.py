"""The one-pass vocoder: its phases, its levels, what it ships with, and how it is trained."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from samplevae_lib import datasets, paths
from samplevae_lib.inversion import available, invert, unheard
from samplevae_lib.inversion import vocoder_recipe as recipe
from samplevae_lib.inversion.vocoder import Vocoder, implied, load, running
from samplevae_lib.spectral import Spectrogram

SPEC = Spectrogram("mel", 16000, 256, 64, n_mels=40)
SHIPPED = [Spectrogram(), Spectrogram("mel", 16000, 512, 128)]


def small(seed: int = 0) -> Vocoder:
    torch.manual_seed(seed)
    return Vocoder(SPEC, channels=24, blocks=2)


def hits(count: int = 4, samples: int = 2048) -> torch.Tensor:
    rng, time = np.random.default_rng(0), np.arange(samples) / 16000
    tones = np.sin(2 * np.pi * rng.uniform(100, 2000, (count, 1)) * time) * np.exp(-20 * time)
    return torch.from_numpy((0.5 * tones).astype(np.float32))


def turns(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).uniform(-3, 3, shape).astype(np.float32))


def test_an_open_gate_sets_every_phase_anew():
    wanted = turns(2, 5, 7)
    made = running(
        torch.polar(torch.ones(2, 5, 7), wanted), turns(2, 5, 7, seed=1), torch.ones(2, 5, 7)
    )
    torch.testing.assert_close(made.angle(), wanted, atol=1e-4, rtol=0)


def test_behind_a_closed_gate_the_first_phase_turns_on():
    wanted, turn = turns(2, 1, 7).expand(-1, 6, -1), turns(2, 6, 7, seed=1)
    made = running(torch.polar(torch.ones(2, 6, 7), wanted), turn, torch.zeros(2, 6, 7))
    turn[:, 0] = 0
    away = made * torch.polar(torch.ones(2, 6, 7), -(wanted + turn.cumsum(1)))
    torch.testing.assert_close(away.angle().abs().max(), torch.tensor(0.0), atol=1e-4, rtol=0)


def test_phases_have_modulus_one_however_far_the_gate_is_open():
    gate = torch.rand(3, 9, 4)
    made = running(torch.polar(torch.ones(3, 9, 4), turns(3, 9, 4)), turns(3, 9, 4, seed=1), gate)
    assert made.abs().max() <= 1 + 1e-5 and made.abs().median() > 0.999


@pytest.mark.parametrize("spec", [SPEC, *SHIPPED])
def test_the_bands_of_a_flat_spectrum_imply_a_flat_spectrum(spec):
    flat = np.full(spec.n_fft // 2 + 1, 3.0, np.float32)
    np.testing.assert_allclose(spec.mel_filters() @ flat @ implied(spec), flat, rtol=1e-4)


def test_a_louder_clip_gives_the_same_sound_louder():
    model, bands = small(), SPEC.forward(hits())
    quiet, loud = model(bands), model(100 * bands)
    torch.testing.assert_close(
        loud, 100 * quiet, rtol=1e-3, atol=1e-4 * float(loud.detach().abs().max())
    )


def test_silence_gives_silence_and_a_sound_beside_it_does_not_mind():
    model, bands = small(), SPEC.forward(hits())
    bands[1] = 0
    made = model(bands)
    assert made[1].abs().max() == 0
    torch.testing.assert_close(made[0], model(bands[:1])[0])


def test_the_last_step_brings_the_bands_nearer_to_those_asked_for():
    model, bands = small(), SPEC.forward(hits())
    away = {}
    for model.mended in (False, True):
        made = model(bands).detach()
        away[model.mended] = (SPEC.forward(made) - bands[..., : made.shape[1] // 64 + 1]).norm()
    assert away[True] < 0.9 * away[False]


def test_the_loss_has_the_terms_that_the_recipe_weighs_and_is_nothing_for_the_sound_itself():
    how = recipe.Recipe(SPEC)
    back = Echo()
    back.sounds = hits()
    terms = recipe.sound_terms(how)(back, (back.sounds,))
    assert set(terms) == set(how.weights)
    assert all(float(value) == pytest.approx(0, abs=1e-6) for value in terms.values())


class Echo(torch.nn.Module):
    """Gives back sounds that it was told, whatever the bands."""

    spec = SPEC

    def forward(self, bands: torch.Tensor) -> torch.Tensor:
        return self.sounds


@pytest.mark.slow
def test_it_learns_a_batch_by_heart():
    torch.manual_seed(0)
    model, sounds = small(), hits(2, 1024)
    terms = recipe.sound_terms(recipe.Recipe(SPEC))
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(25):
        loss = sum(terms(model, (sounds,)).values())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # as the recipe does
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize("spec", SHIPPED, ids=["22050", "16000"])
def test_a_vocoder_is_shipped_and_small_and_says_where_it_comes_from(spec):
    name = str(spec.sample_rate)
    card = available()[name]
    assert (paths.vocoders() / f"{name}.safetensors").stat().st_size < 5e6
    assert Spectrogram(**card["spec"]) == spec
    assert set(card["data"]) == {"drums", "notes"}
    assert card["data"]["drums"]["never heard"] and card["recipe"]["epochs"] > 1
    heard = set(card["data"]["drums"]["heard"])
    assert not heard & set(card["data"]["drums"]["never heard"])
    losses = card["history"]["validation loss vocoder"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("spec", SHIPPED, ids=["22050", "16000"])
def test_the_shipped_vocoder_keeps_the_level_and_the_silence(spec):
    drums = datasets.load("drums", data="stand-in", profile="smoke", sample_rate=spec.sample_rate)
    sounds = np.array(drums.sample(1, seed=0).audio)
    sounds[-1] = 0
    made = invert(spec.forward(sounds), spec, method="neural", length=sounds.shape[1])
    assert made.shape == sounds.shape and np.isfinite(made).all()
    assert not made[-1].any()
    level = 10 * np.log10(np.square(made[:-1]).sum(1) / np.square(sounds[:-1]).sum(1))
    assert np.abs(level).max() < 6
    assert np.abs(made.mean(1)).max() < 0.01


def test_parameters_that_no_vocoder_is_shipped_for_are_refused():
    with pytest.raises(
        ValueError, match=r"no vocoder is shipped for Spectrogram.*n_mels=40.*network="
    ):
        invert(SPEC.forward(hits()), SPEC, method="neural")


def test_a_network_for_other_parameters_is_refused():
    other = replace(SPEC, n_mels=41)
    with pytest.raises(ValueError, match=r"trained for .*n_mels=40.*not for .*n_mels=41"):
        invert(other.forward(hits()), other, method="neural", network=small())


def test_a_network_of_ones_own_is_used():
    model, bands = small(), SPEC.forward(hits())
    made = invert(bands, SPEC, method="neural", network=model, iterations=0)
    torch.testing.assert_close(made, model(bands).detach())


def test_only_machines_that_were_never_heard_count_as_unheard():
    drums = datasets.load("drums", data="stand-in", profile="smoke")
    assert unheard(drums, Spectrogram()).all()  # the vocoder heard recordings
    heard = available()["22050"]["data"]["drums"]
    named = np.array([heard["heard"][0], heard["never heard"][0]] * len(drums))[: len(drums)]
    same = replace(drums, groups=named, source=heard["source"])
    assert unheard(same, Spectrogram()).tolist() == [False, True] * (len(drums) // 2)


@pytest.mark.filterwarnings("ignore::samplevae_lib.datasets.store.StandInWarning")
def test_a_vocoder_trained_by_the_recipe_comes_back_from_its_card(tmp_path, monkeypatch):
    tiny = recipe.Recipe(
        SPEC, channels=16, blocks=1, crops=8, held_out=4, samples=1024, epochs=1, batch=4
    )
    monkeypatch.setitem(recipe.RECIPES, "tiny", tiny)
    monkeypatch.setattr(paths, "weights", lambda: tmp_path)
    monkeypatch.setattr(recipe, "sounds", small_sounds)
    path = recipe.ship("tiny", data="stand-in")
    again = load("tiny")
    assert path.exists() and again.spec == SPEC and not again.training
    card = available()["tiny"]
    assert card["recipe"]["crops"] == 8 and len(card["history"]["epoch"]) == 1
    assert card["data"]["drums"]["source"] == "stand-in"
    assert bool(invert(SPEC.forward(hits()), SPEC, method="neural", network=again).isfinite().all())


def small_sounds(rate: int, *, data: str, seed: int) -> dict:
    options = {"data": data, "seed": seed, "profile": "smoke", "sample_rate": rate}
    wholes = {
        "drums": datasets.load("drums", **options),
        "notes": datasets.load("notes", samples=rate // 2, **options),
    }
    return {
        name: whole.split({"train": 0.6, "test": 0.4}, seed=seed) for name, whole in wholes.items()
    }


def test_crops_are_as_loud_as_can_be_and_the_same_for_the_same_seed():
    parts = small_sounds(16000, data="stand-in", seed=0)
    heard = parts["drums"]["train"], parts["notes"]["train"]
    how = recipe.Recipe(SPEC, samples=1024)
    first, again, other = (recipe.crops(*heard, how, 24, seed=s) for s in (0, 0, 1))
    assert first.shape == (24, 1024)
    np.testing.assert_allclose(np.abs(first).max(1), 1, rtol=1e-6)
    assert (first == again).all() and not (first == other).all()
