"""One training step of the dilation block, beside the same block as a plain loop of Conv1d."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from samplevae_lib.bench import medians
from samplevae_lib.models.dilation import Branch, DilationBlock

BATCH, FILTERS, SAMPLES = 8, 32, 8192  # the thesis's block and length of a signal


def run(*, rounds: int = 5) -> str:
    """Seconds a step, both ways from the same weights, and how far the numbers are apart."""
    torch.manual_seed(0)
    block = DilationBlock(FILTERS, FILTERS)
    audio = torch.randn(BATCH, FILTERS, SAMPLES)
    seconds = medians(
        {
            "plain loop of Conv1d": lambda: step(block, plain_loop, audio),
            "samplevae": lambda: step(block, DilationBlock.forward, audio),
        },
        rounds=rounds,
    )
    slowest = max(seconds.values())
    lines = [f"one training step, {BATCH} × {FILTERS} × {SAMPLES}, medians of {rounds} rounds, "]
    lines[0] += f"{torch.get_num_threads()} threads"
    lines += [f"{name:22} {s:7.3f} s {slowest / s:6.2f} ×" for name, s in seconds.items()]
    return "\n".join([*lines, agreement(block, audio)])


def plain_loop(block: DilationBlock, audio: Tensor) -> Tensor:
    """The block as one would write it down from the thesis; tanh on both branches."""
    state = block.entrance(audio)
    skipped = torch.zeros_like(state)
    for first, second in zip(*block.branches, strict=True):
        product = plain_branch(first, state) * plain_branch(second, state)
        state = state + product
        skipped = skipped + product
    return skipped / len(block.branches[0])


def plain_branch(branch: Branch, state: Tensor) -> Tensor:
    """Pad, convolve, normalise, activate."""
    return torch.tanh(branch.norm(branch.convolution(F.pad(state, branch.around))))


def step(block: DilationBlock, forward, audio: Tensor) -> list[Tensor]:
    """Output and the gradient of its square, for each parameter and the input."""
    audio = audio.detach().requires_grad_()
    block.zero_grad()
    made = forward(block, audio)
    made.square().sum().backward()
    return [made.detach(), audio.grad, *(p.grad.clone() for p in block.parameters())]


def agreement(block: DilationBlock, audio: Tensor) -> str:
    """The largest relative difference of output and gradients."""
    ours, theirs = (step(block, way, audio) for way in (DilationBlock.forward, plain_loop))
    apart = [float((a - b).norm() / b.norm()) for a, b in zip(ours, theirs, strict=True)]
    return f"relative difference: output {apart[0]:.1e}, gradients at most {max(apart[1:]):.1e}"
