"""Envelopes on a growing time axis, the linear VAE between them, and detail that is borrowed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplevae_lib import inversion
from samplevae_lib.inversion import borrowed
from samplevae_lib.inversion.envelopes import Envelope
from samplevae_lib.models.envelope_vae import EnvelopeVAE

RATE = 16000
ENVELOPE = Envelope(bands=40, seconds=0.5, segments=20)


def struck(hertz: float, fall: float, *, seconds: float = 0.5, rate: int = RATE) -> np.ndarray:
    """A sine that falls by e in `fall` seconds."""
    t = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * hertz * t) * np.exp(-t / fall)).astype(np.float32)


def noise(seconds: float = 0.5, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)


def test_segments_cover_all_frames_and_grow():
    edges = Envelope().edges
    assert edges[0] == 0 and edges[-1] == 251
    assert Envelope().shape == (128, len(edges) - 1)
    lengths = np.diff(edges)
    assert lengths.min() == 1 and lengths[-1] == lengths.max() > 5
    assert np.all(np.diff(lengths) >= -1)  # but for rounding they never shrink


def test_levels_are_below_the_loudest_and_silence_is_the_floor():
    levels = ENVELOPE.levels([struck(1000, 0.1), np.zeros(4000, np.float32)], RATE)
    assert levels.shape == (2, *ENVELOPE.shape)
    assert -6 < levels[0].max() <= 0 and levels.min() >= ENVELOPE.floor_db
    assert np.all(levels[1] == ENVELOPE.floor_db)


@pytest.mark.parametrize("rate", [22050, 44100, 48000])
def test_another_rate_gives_nearly_the_same_levels(rate):
    here, there = (ENVELOPE.levels([struck(900, 0.1, rate=r)], r) for r in (RATE, rate))
    loud = here > -40
    assert np.abs(here - there)[loud].mean() < 1.5


def test_a_short_sound_is_followed_by_silence():
    levels = ENVELOPE.levels([noise(0.1)], RATE)[0]
    assert np.all(levels[:, -5:] == ENVELOPE.floor_db)


def test_too_low_a_rate_is_refused():
    with pytest.raises(ValueError, match="8000 Hz holds nothing above 4000 Hz"):
        ENVELOPE.levels([noise()], 8000)


def test_straight_lines_come_back_from_their_segments():
    count = ENVELOPE.edges[-1]
    line = np.linspace(-60, -10, count)[None].repeat(40, 0)
    back = ENVELOPE.frames(ENVELOPE.segmented(line), count)
    inside = slice(0, int(np.mean(ENVELOPE.edges[-2:])))
    assert np.allclose(back[:, inside], line[:, inside], atol=0.5)


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(1e-6, 1e3))
def test_loudness_does_not_count(scale):
    one, other = (ENVELOPE.levels([k * struck(1000, 0.1)], RATE) for k in (1, scale))
    assert np.allclose(one, other, atol=0.01)


def test_no_gain_gives_the_sound_itself():
    sound, spec = noise(), ENVELOPE.spec(RATE)
    same = borrowed.turned(sound, np.zeros((40, spec.frames(len(sound)))), spec)
    assert np.allclose(same, sound, atol=1e-6)


def test_one_gain_for_all_bands_is_a_volume():
    sound, spec = noise(), ENVELOPE.spec(RATE)
    half = borrowed.turned(sound, np.full((40, spec.frames(len(sound))), -6.0206), spec)
    assert np.allclose(half, sound / 2, atol=1e-6)


def test_bins_share_their_bands_gains():
    for spec in (ENVELOPE.spec(RATE), Envelope().spec(44100)):
        shares = borrowed._shares(spec)
        assert shares.shape == (spec.n_mels, spec.n_fft // 2 + 1)
        assert np.allclose(shares.sum(0), 1, atol=1e-6)
    assert shares[-1, -1] == 1  # above the last band, it alone counts


def test_a_noise_takes_the_envelope_of_another():
    spec = ENVELOPE.spec(RATE)
    fading = noise(seed=1) * np.linspace(1, 0.01, 8000, dtype=np.float32)
    wanted = ENVELOPE.framed(fading, RATE)
    made = ENVELOPE.framed(borrowed.shaped(noise(), wanted, spec), RATE)
    before = np.abs(ENVELOPE.framed(noise(), RATE) - wanted).mean()
    assert np.abs(made - wanted).mean() < 0.35 * before


def test_it_is_one_of_the_methods_and_takes_the_nearest_lender():
    lenders = np.stack([struck(300, 0.1), struck(3000, 0.1), noise()])
    spec = ENVELOPE.spec(RATE)
    original = struck(3000, 0.08)
    bands = spec.forward(original[None])
    length = spec.hop * (bands.shape[-1] - 1)
    made = inversion.invert(bands, spec, method="borrowed", length=length, lenders=lenders)[0]
    alike = np.corrcoef(made, original[:length])[0, 1]
    assert alike > 0.95
    assert spec.forward(made[None]).max() == pytest.approx(bands.max(), rel=1e-3)


def test_silence_gives_silence():
    spec = ENVELOPE.spec(RATE)
    bands = spec.forward(np.zeros((1, 4096), np.float32))
    made = inversion.invert(bands, spec, method="borrowed", lenders=noise()[None])
    assert np.all(made == 0)


def test_the_linear_vae_is_exact_with_a_dimension_for_each_sound():
    levels = np.random.default_rng(0).normal(-40, 9, size=(12, 6, 5))
    fitted = EnvelopeVAE.fit(levels, 50)
    assert fitted.basis.shape == (11, 6, 5)
    z = fitted.encode(levels)
    assert np.allclose(fitted.decode(z), levels, atol=1e-3)
    assert np.allclose(z.std(0, ddof=1), 1, atol=1e-3)


def test_its_error_falls_with_its_dimensions_and_a_change_is_a_difference():
    rng = np.random.default_rng(1)
    levels = (rng.normal(size=(200, 30)) @ rng.normal(size=(30, 40))).reshape(200, 8, 5)
    errors = []
    for count in (2, 10, 30):
        fitted = EnvelopeVAE.fit(levels, count)
        back = fitted.decode(fitted.encode(levels))
        errors.append(float(np.square(back - levels).mean()))
    assert errors[0] > errors[1] > errors[2] < 1e-3
    one, other = fitted.encode(levels[:2])
    change = fitted.decode(one) - fitted.decode(other)
    assert np.allclose(change, fitted.change(one - other), atol=1e-3)


def test_too_few_sounds_are_refused():
    with pytest.raises(ValueError, match="expected two sounds or more"):
        EnvelopeVAE.fit(np.zeros((1, 4, 4)), 2)
