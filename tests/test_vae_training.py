"""Training of VAEs with a classifier, what moves their rows about, and the model of mel bands."""

import numpy as np
import pytest
import torch
from torch import nn

from samplevae_lib import models
from samplevae_lib.inversion.log_mel import BandScale
from samplevae_lib.metrics import one_nn_accuracy
from samplevae_lib.models.autoencoder import BandAutoencoder
from samplevae_lib.models.vae import Classifier, GaussianBottleneck, SignalVAE
from samplevae_lib.spectral import Spectrogram
from samplevae_lib.training import losses
from samplevae_lib.training.fits import Fit, Plan, fit_all
from samplevae_lib.training.vae import moved, train_vae

SPEC = Spectrogram("mel", 8000, 256, 64, n_mels=32)
SCALE = BandScale(SPEC, 60.0)


def vowels(count: int = 12, samples: int = 2048) -> tuple[np.ndarray, np.ndarray]:
    """Three kinds of tone with a slow decay, and which it is."""
    rng, time = np.random.default_rng(0), np.arange(samples) / 8000
    kinds = np.arange(count) % 3
    hertz = np.array([250.0, 700, 1500])[kinds] * rng.uniform(0.97, 1.03, count)
    made = np.sin(2 * np.pi * hertz[:, None] * time) * np.exp(-6 * time)
    return made.astype(np.float32), kinds.astype(np.int64)


def band_vae(frames: int, classes: int = 3) -> SignalVAE:
    torch.manual_seed(0)
    body = BandAutoencoder(SPEC.bins, frames, channels=24)
    classifier = Classifier(4, classes, hidden=(8,)) if classes else None
    return SignalVAE(body, GaussianBottleneck(body.length, 4), classifier)


OPTIONS = {
    "weights": {"error": 1.0, "divergence": 0.01, "classes": 3.0}, "rate": 5e-3, "epochs": 40,
    "batch": 6,
}  # fmt: skip


# ── bands ─────────────────────────────────────────────────────────────────────────────────────


def test_levels_go_from_the_floor_to_the_loudest_band_at_any_level():
    sounds, _ = vowels(3)
    levels = SCALE.levels(sounds)
    assert levels.shape == (3, 32, 32)
    assert levels.min() == 0 and (levels.max((1, 2)) == 1).all()
    np.testing.assert_allclose(SCALE.levels(0.01 * sounds), levels, atol=1e-4)


def test_ten_decibels_less_are_a_sixth_of_sixty_less():
    sounds, _ = vowels(1)
    bands = SPEC.forward(sounds)[..., :32]
    below = 20 * np.log10(bands / bands.max())
    loud = below > -50
    np.testing.assert_allclose(SCALE.levels(sounds)[loud], 1 + below[loud] / 60, atol=1e-5)


def test_levels_become_the_sound_again():
    sounds, _ = vowels(3)
    made = SCALE.sounds(SCALE.levels(sounds), samples=2048)
    assert made.shape == sounds.shape
    again = SCALE.levels(made)
    assert np.abs(again - SCALE.levels(sounds)).mean() < 0.03  # of the range: 1.8 dB


def test_silence_has_no_level_and_none_makes_silence():
    levels = SCALE.levels(np.zeros((1, 2048)))
    assert not levels.any()
    assert not SCALE.sounds(levels, samples=2048).any()


def test_frames_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="33 frames are not a multiple of 8"):
        BandAutoencoder(32, 33)


@pytest.mark.parametrize("frames", [8, 64])
def test_an_autoencoder_of_bands_keeps_their_shape(frames):
    body = BandAutoencoder(20, frames, channels=16)
    latent = body.encode(torch.rand(2, 20, frames))
    assert latent.shape == (2, body.length) == (2, frames)
    assert body.decode(latent).shape == (2, 20, frames)


# ── moving ────────────────────────────────────────────────────────────────────────────────────


def test_a_moved_row_is_the_row_later_or_earlier_with_silence_before_or_behind():
    torch.manual_seed(0)
    row = torch.arange(1.0, 11)
    found = set()
    for made in moved(row.repeat(200, 1), 2):
        by = int(10 - made[9]) if made[9] else -int(made[0] - 1)
        found.add(by)
        expected = torch.zeros(10)
        kept = slice(max(by, 0), 10 + min(by, 0))
        expected[kept] = row[max(-by, 0) : 10 - max(by, 0)]
        torch.testing.assert_close(made, expected)
    assert found == {-2, -1, 0, 1, 2}


def test_all_bands_of_a_row_move_alike():
    torch.manual_seed(0)
    rows = torch.rand(20, 1, 16).expand(20, 3, 16)
    made = moved(rows, 4)
    assert made.shape == (20, 3, 16) and torch.equal(made[:, 0], made[:, 2])
    assert torch.equal(moved(rows, 0), rows)


# ── training ──────────────────────────────────────────────────────────────────────────────────


def test_a_classifier_keeps_kinds_apart_and_the_history_has_every_term():
    sounds, kinds = vowels(24)
    levels, model = SCALE.levels(sounds), band_vae(32)
    history = train_vae(model, (levels, kinds, levels, kinds), seed=0, shift=1, **OPTIONS)
    assert {"train classes", "validation error", "train divergence"} <= set(history)
    assert history["validation classes"].iloc[-1] < np.log(3) / 2  # half of what chance costs
    assert one_nn_accuracy(models.encode(model, levels), kinds) == 1


def test_the_same_seed_gives_the_same_weights_in_another_process_too(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMPLEVAE_DATA", str(tmp_path))
    sounds, kinds = vowels()
    levels = SCALE.levels(sounds)
    options = OPTIONS | {"epochs": 2, "shift": 2}

    def wanted() -> dict[str, Fit]:
        data = (levels, kinds, levels, kinds)
        return {"a": Fit(band_vae(32), train_vae, data, 0, options)}

    here, there = wanted(), wanted()
    one = here["a"].run(tmp_path / "checkpoint")
    other = fit_all(there, Plan(workers=2))["a"].history
    assert one["train error"].tolist() == pytest.approx(other["train error"].tolist(), rel=1e-5)


def test_without_a_classifier_labels_are_left_alone():
    sounds, kinds = vowels()
    levels, model = SCALE.levels(sounds), band_vae(32, classes=0)
    options = OPTIONS | {"weights": {"error": 1.0, "divergence": 0.01}, "epochs": 1}
    history = train_vae(model, (levels, kinds, levels, kinds), seed=0, **options)
    assert not [column for column in history if "classes" in column]


def test_labelled_terms_are_the_closed_forms():
    model, (sounds, kinds) = band_vae(32).eval(), vowels(6)
    levels = torch.from_numpy(SCALE.levels(sounds))
    made = model(levels)
    found = losses.labelled(model, (levels, torch.from_numpy(kinds)))
    log_share = made.logits.log_softmax(1)[torch.arange(6), torch.from_numpy(kinds)]
    torch.testing.assert_close(found["classes"], -log_share.mean())
    error = ((made.audio - levels) ** 2).sum((1, 2)).mean()
    torch.testing.assert_close(found["error"], error)


# ── gradients ─────────────────────────────────────────────────────────────────────────────────


class Two(nn.Module):
    """y = a x and z = b y."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
        with torch.no_grad():
            self.a.weight.fill_(2.0)
            self.b.weight.fill_(3.0)
