"""The quick dilation block is the plain one: values, gradients, statistics, in every mode."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from samplevae_lib.bench.dilated import plain_loop, step
from samplevae_lib.models import gate_kernels
from samplevae_lib.models.dilation import DilationBlock, dilations, receptive_field
from samplevae_lib.models.gates import GATES, Compiled, Plain, fitting


def block(channels: int = 4, depth: int = 12, **options) -> DilationBlock:
    """With gains and offsets that aren't one and zero."""
    torch.manual_seed(0)
    made = DilationBlock(3, channels, depth=depth, **options)
    for name, parameter in made.named_parameters():
        if "norm" in name:
            parameter.data += 0.3 * torch.randn_like(parameter)
    return made


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def assert_alike(ours: list, theirs: list, tolerance: float) -> None:
    for a, b in zip(ours, theirs, strict=True):
        assert float((a - b).norm()) <= tolerance * float(b.norm())


# What the block is.


def test_dilations_start_again_after_their_period():
    assert dilations(5, 12) == [1, 2, 4, 8, 16, 1, 2, 4, 8, 16, 1, 2]
    assert max(dilations(10)) == 512


def test_receptive_fields_are_what_kernels_of_two_add_up_to():
    # The thesis prints 5119 and 319, which is N/m · 2^m − 1; its own formula, like this, gives:
    assert (receptive_field(10), receptive_field(5)) == (5116, 311)


@pytest.mark.parametrize("depth", [1, 7])
def test_an_output_depends_on_exactly_the_receptive_field(depth):
    made = DilationBlock(1, 1, depth=depth).eval()  # in evaluation, batch norm mixes no samples
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.fill_(0.5)
    audio = torch.full((1, 1, 400), 0.3, requires_grad=True)
    made(audio)[0, 0, 200].backward()
    touched = torch.nonzero(audio.grad[0, 0]).flatten()
    assert int(touched[-1] - touched[0]) + 1 == receptive_field(10, depth)


def test_a_block_is_the_mean_of_the_products_of_its_branches():
    made = DilationBlock(1, 1, depth=2).eval()
    for one in made.branches[0]:
        torch.nn.init.constant_(one.convolution.weight, 1.0)
    for two in made.branches[1]:
        torch.nn.init.constant_(two.convolution.weight, 0.5)
    audio = torch.full((1, 1, 8), 0.25)
    middle = 0.25 + np.tanh(0.5) * np.tanh(0.25)
    second = np.tanh(2 * middle) * np.tanh(middle)
    expected = (middle - 0.25 + second) / 2
    assert made(audio)[0, 0, 4].item() == pytest.approx(expected, abs=1e-4)  # batch norm's epsilon


def test_a_causal_block_sees_only_what_was():
    made, audio = block(padding="causal").eval(), noise(1, 3, 300)
    later = audio.clone()
    later[..., 200:] += 1
    before, after = made(audio), made(later)
    assert torch.equal(before[..., :200], after[..., :200])
    assert not torch.equal(before[..., 200], after[..., 200])


def test_an_unknown_gate_or_padding_is_refused():
    with pytest.raises(ValueError, match="gate must be one of tanh, sigmoid, not 'relu'"):
        DilationBlock(2, 2, gate="relu")
    with pytest.raises(ValueError, match="padding must be one of centred, causal, not 'same'"):
        DilationBlock(2, 2, padding="same")


# The quick way and the plain one.


@pytest.mark.parametrize("shape", [(2, 3, 700), (5, 3, 64), (1, 3, 33)])
@pytest.mark.parametrize(("padding", "recompute"), [("centred", False), ("causal", True)])
def test_values_and_gradients_are_those_of_the_plain_loop(shape, padding, recompute):
    made, audio = block(padding=padding, recompute=recompute), noise(*shape)
    ours, theirs = (step(made, way, audio) for way in (DilationBlock.forward, plain_loop))
    assert_alike(ours, theirs, 1e-4)


def test_values_and_gradients_agree_in_evaluation():
    made, audio = block(), noise(2, 3, 128)
    for _ in range(3):
        made(audio)
    made.eval()
    ours, theirs = (step(made, way, audio) for way in (DilationBlock.forward, plain_loop))
    assert_alike(ours, theirs, 1e-4)


def test_running_statistics_are_those_of_batch_norm():
    one, other = block(), block()
    other.load_state_dict(one.state_dict())
    for _ in range(2):
        one(5 + 2 * noise(2, 3, 100))
        plain_loop(other, 5 + 2 * noise(2, 3, 100))
    ours, theirs = one.state_dict(), other.state_dict()
    names = [name for name in ours if "running" in name or "tracked" in name]
    assert len(names) == 3 * 24
    for name in names:
        assert torch.allclose(ours[name].float(), theirs[name].float(), rtol=1e-4, atol=1e-5), name


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("gate", list(GATES))
def test_gradients_are_those_of_small_steps(training, gate):
    made = block(2, depth=2, gate=gate).double().train(training)
    assert torch.autograd.gradcheck(made, noise(2, 3, 9).double().requires_grad_(), atol=1e-6)


@pytest.mark.parametrize("gate", list(GATES))
def test_the_compiled_operations_are_the_plain_ones(gate):
    rows, channels = 3 * gate_kernels.ROWS + 7, 5
    state, first, second, gradient = (noise(4, rows, channels) * 2).unbind()
    norms = noise(2, 4, channels)
    norms[:, 1] = norms[:, 1].abs()
    given = (first, second, norms, GATES[gate])
    alike = [Compiled.moments(first), Plain.moments(first)]
    alike += [[way.add_product(state, *given)] for way in (Compiled, Plain)]
    alike += [way.before_norm(gradient, *given) for way in (Compiled, Plain)]
    shares = noise(2, channels)
    alike += [
        [way.through_norm(first, norms[0], shares, gradient.clone())] for way in (Compiled, Plain)
    ]
    for ours, theirs in zip(alike[::2], alike[1::2], strict=True):
        assert_alike(ours, theirs, 2e-6)


def test_the_compiled_tanh_is_tanh_also_far_out():
    x = torch.linspace(-30, 30, 6001).reshape(-1, 1)
    ones = torch.tensor([0.0, 1.0, 1.0, 0.0]).reshape(1, 4, 1)
    flat = torch.tensor([0.0, 1.0, 0.0, 30.0]).reshape(1, 4, 1)  # a second branch that is 1
    made = Compiled.add_product(torch.zeros_like(x), x, x, torch.cat([ones, flat]), GATES["tanh"])
    assert float((made - torch.tanh(x)).abs().max()) < 2e-6


def test_moments_hold_for_a_mean_far_from_zero():
    rows = noise(5000, 3) + 1000
    mean, variance = Compiled.moments(rows)
    exact = rows.double()
    assert torch.allclose(mean.double(), exact.mean(0), rtol=1e-6)
    assert torch.allclose(variance.double(), exact.var(0, correction=0), rtol=1e-3)


def test_the_compiled_operations_do_not_depend_on_the_number_of_threads():
    state, first, second = noise(3, 5 * gate_kernels.ROWS + 9, 3).unbind()
    norms, before, results = noise(2, 4, 3), torch.get_num_threads(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        ways = fitting(state)
        made = ways.before_norm(state, first, second, norms, GATES["tanh"])
        results.append([*made, *ways.moments(first)])
    torch.set_num_threads(before)
    assert all(torch.equal(*pair) for pair in zip(*results, strict=True))


def test_what_the_compiled_operations_cannot_take_goes_the_plain_way():
    assert fitting(torch.zeros(1)) is Compiled
    assert fitting(torch.zeros(1, dtype=torch.float64)) is Plain
    assert fitting(torch.zeros(1, device="meta")) is Plain


def test_under_mixed_precision_the_block_still_computes_in_single():
    made, audio = block(), noise(2, 3, 64)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = made(audio)
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, made(audio))


@pytest.mark.parametrize("where", ["input", "weight", "gain"])
def test_what_is_no_number_stays_visible(where):
    made, audio = block(depth=3), noise(2, 3, 64)
    branch = made.branches[1][1]
    broken = {"input": audio, "weight": branch.convolution.weight, "gain": branch.norm.weight}
    broken[where].data.view(-1)[0] = float("nan")
    assert made(audio).isnan().any()
