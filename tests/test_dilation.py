"""The dilation block: how far it sees, what it computes, with either padding and gate."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from samplevae_lib.models.autoencoder import DilationBlock, dilations, receptive_field


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
