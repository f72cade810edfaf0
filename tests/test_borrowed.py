"""Envelopes on a growing time axis, the linear VAE between them, and detail that is borrowed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import hilbert

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


def sine(hertz: float, phase: float = 0.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(8000) / RATE + phase)).astype(np.float32)


LATE = np.pad(struck(70, 0.1), (700, 0))


def test_a_sound_begins_above_a_fiftieth_of_its_peak():
    assert borrowed.onset(np.array([0, -0.009, -0.011, 0.5])) == 2
    assert borrowed.onset(LATE) == 700 + borrowed.onset(struck(70, 0.1))


@pytest.mark.parametrize("sound", [LATE, sine(1000), noise(), noise(0.02), noise(0.001)])
def test_a_sound_on_itself_is_itself(sound):
    np.testing.assert_allclose(borrowed.grafted(sound, sound, RATE), sound, atol=1e-7)


def test_the_attack_is_heard_up_to_the_seam_and_the_body_from_there_on():
    attack, body = noise(seed=1), np.pad(noise(seed=2), (90, 0))
    made = borrowed.grafted(attack, body, RATE, seconds=0.05)
    start = borrowed.onset(attack) + round(0.047 * RATE)
    np.testing.assert_array_equal(made[:start], attack[:start])
    rest = made[start + 96 :]  # 6 ms
    theirs = body[len(body) - len(rest) :]
    assert np.array_equal(rest, theirs) or np.array_equal(rest, -theirs)
    shift = len(made) - len(body) - borrowed.onset(attack) + borrowed.onset(body)
    assert abs(shift) <= 32  # 2 ms
    share = np.sin(np.pi / 2 * (np.arange(96) + 0.5) / 96) ** 2
    turn = np.sign(rest[0] * theirs[0])
    mixed = (1 - share) * attack[start:][:96] + turn * share * body[-len(rest) - 96 :][:96]
    np.testing.assert_allclose(made[start:][:96], mixed, atol=1e-7)


@pytest.mark.parametrize("hertz", [40, 60, 440, 3000])
def test_opposite_tones_do_not_cancel(hertz):
    np.testing.assert_allclose(
        borrowed.grafted(sine(hertz), -sine(hertz), RATE), sine(hertz), atol=1e-6
    )


@pytest.mark.parametrize("hertz", [60, 150, 440, 3000])
@pytest.mark.parametrize("phase", [0.8, 1.6, 2.4, 3.1, 4, 5])
def test_a_tone_of_another_phase_goes_on_without_a_dip(hertz, phase):
    made = borrowed.grafted(sine(hertz), sine(hertz, phase), RATE)
    level = np.abs(hilbert(made))[350:650]  # the seam is from 432 to 528
    assert level.min() > 0.5 * 0.88  # 90 degrees less 2 ms at 60 Hz are left: cos(47° / 2) = 0.92


def test_where_both_begin_is_one_place():
    attack, body = struck(200, 0.05), struck(300, 0.2)
    late = borrowed.grafted(np.pad(attack, (500, 0)), np.pad(body, (1200, 0)), RATE)
    np.testing.assert_array_equal(late[500:], borrowed.grafted(attack, body, RATE))
    assert not late[:500].any()


def test_the_end_of_a_short_attack_decides():
    attack, body = noise(0.01, seed=1), noise(seed=2)
    made = borrowed.grafted(attack, body, RATE)
    np.testing.assert_array_equal(made[:64], attack[:64])  # 4 of its 10 ms are heard alone
    np.testing.assert_array_equal(np.abs(made[160:]), np.abs(body[len(body) - len(made) + 160 :]))


def test_the_end_of_a_short_body_decides():
    attack, body = noise(seed=1), noise(0.02, seed=2)
    made = borrowed.grafted(attack, body, RATE)
    start = borrowed.onset(attack) + len(body) - borrowed.onset(body) - 96
    np.testing.assert_array_equal(made[:start], attack[:start])
    assert start + 96 <= len(made) <= start + 96 + 32


def test_each_is_as_loud_as_it_is_up_to_full_scale():
    soft, loud = 0.01 * struck(200, 0.1), struck(200, 0.1)
    made = borrowed.grafted(soft, loud, RATE)
    assert np.abs(made[:400]).max() == pytest.approx(np.abs(soft).max())
    both = borrowed.grafted(loud, 6 * loud, RATE)
    assert np.abs(both).max() == pytest.approx(1)
    ratio = np.abs(both).max() / np.abs(both[:400]).max()
    assert ratio == pytest.approx(np.abs(6 * loud[480:]).max() / np.abs(loud[:400]).max(), rel=0.05)


@settings(max_examples=50, deadline=None)
@given(
    lengths=st.tuples(st.integers(2, 3000), st.integers(2, 3000)),
    seconds=st.floats(1e-9, 1e300), silences=st.tuples(st.integers(0, 99), st.integers(0, 99)),
)  # fmt: skip
def test_any_two_sounds_and_any_time_make_one_to_the_bodys_end(lengths, seconds, silences):
    attack, body = (
        np.pad(noise(length / RATE, seed=length), (silence, 0))
        for length, silence in zip(lengths, silences, strict=True)
    )
    made = borrowed.grafted(attack, body, RATE, seconds=seconds)
    assert made.dtype == np.float32
    assert np.isfinite(made).all() and np.abs(made).max() <= 1
    length = borrowed.onset(attack) + len(body) - borrowed.onset(body)
    assert abs(len(made) - length) <= 32


@pytest.mark.parametrize(
    ("attack", "body", "seconds", "message"),
    [
        (noise(), np.zeros(900), 0.03, "^the body is silent: expected a sound that is heard"),
        (np.full(900, 0.5), noise(), 0.03, "^the attack is silent"),
        ([0.5, np.nan], noise(), 0.03, "^the attack holds 1 values that are NaN or infinite"),
        (noise(), [], 0.03, "^the body is empty"),
        (noise(), np.ones((2, 9)), 0.03, r"^the body has shape \(2, 9\)"),
        (noise(), noise(), 0.0, "^seconds is 0.0: expected more than 0 and finite"),
        (noise(), noise(), -1, "^seconds is -1"), (noise(), noise(), np.nan, "^seconds is nan"),
        (noise(), noise(), np.inf, "^seconds is inf"),
    ],
)  # fmt: skip
def test_what_cannot_be_grafted_is_named(attack, body, seconds, message):
    with pytest.raises(ValueError, match=message):
        borrowed.grafted(attack, body, RATE, seconds=seconds)


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
