"""The dilation block of thesis L (section 4.1, Figure 4.1), made quick.

A layer is a step of its own in the graph of gradients: two convolutions on channels-last memory,
the fused operations of `gates` behind them, and no copy that is not needed. `bench dilated` sets it
beside the same block written as a plain loop of Conv1d.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samplevae_lib.models.gates import GATES, Gate, fitting

LAYERS = 50
PERIODS = (10, 5)  # after so many layers the dilation of a branch starts again from 1
PADDINGS = ("centred", "causal")


def dilations(period: int, layers: int = LAYERS) -> list[int]:
    """2^((i−1) mod period) for layer i = 1 … layers."""
    return [2 ** (i % period) for i in range(layers)]


def receptive_field(period: int, layers: int = LAYERS) -> int:
    """Samples that an output of a branch depends on: a kernel of two adds its dilation."""
    return 1 + sum(dilations(period, layers))


class DilationBlock(nn.Module):
    """Residual layers of two dilated branches that are multiplied; the mean of all products.

    input_i = input_{i−1} + a_{i−1} · b_{i−1};  output = mean of all a · b.
    The thesis doesn't say how the 16 channels before the block become 32: a 1×1 convolution here.
    gate: the second branch's activation. padding: a kernel stands around the sample it computes
    ("centred"), or ends with it ("causal"). recompute: keep a third of the memory, for one more
    convolution a branch. The block computes in single precision also where the rest is mixed.
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        *,
        depth: int = LAYERS,
        gate: str = "tanh",
        padding: str = "centred",
        recompute: bool = False,
    ):
        super().__init__()
        for what, value, known in (("gate", gate, GATES), ("padding", padding, PADDINGS)):
            if value not in known:
                raise ValueError(f"{what} must be one of {', '.join(known)}, not {value!r}")
        self.gate, self.recompute = GATES[gate], recompute
        same = channels == filters
        self.entrance = nn.Identity() if same else nn.Conv1d(channels, filters, 1)
        self.branches = nn.ModuleList(
            nn.ModuleList(Branch(filters, d, padding) for d in dilations(period, depth))
            for period in PERIODS
        )

    def forward(self, audio: Tensor) -> Tensor:
        """(batch, channels, samples) → (batch, filters, samples)."""
        with torch.autocast(audio.device.type, enabled=False):
            audio = audio if audio.dtype == torch.float64 else audio.float()
            first = state = self.entrance(audio).transpose(1, 2).contiguous()
            for pair in zip(*self.branches, strict=True):
                how = _How(pair, self.gate, self.recompute, self.training)
                weights = [p for branch in pair for p in branch.parameters()]
                state = _Layer.apply(state, how, *weights)
            # The products are what the residual path has gathered.
            return ((state - first) / len(self.branches[0])).transpose(1, 2)


class Branch(nn.Module):
    """A kernel of two, `dilation` samples apart, and its batch norm.

    around: zeros before and behind the signal, which keep its length.
    """

    def __init__(self, filters: int, dilation: int, padding: str = "centred"):
        super().__init__()
        before = dilation if padding == "causal" else dilation // 2
        self.dilation, self.around = dilation, (before, dilation - before)
        self.convolution = nn.Conv1d(filters, filters, 2, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(filters)


class _How(NamedTuple):
    branches: tuple[Branch, Branch]
    gate: Gate
    recompute: bool
    training: bool


class _Layer(torch.autograd.Function):
    """state (batch, samples, filters) → state + product of both branches."""

    @staticmethod
    def forward(ctx, state: Tensor, how: _How, *weights: Tensor) -> Tensor:
        kernels = [_kernel(branch) for branch in how.branches]
        convolved = list(map(_convolve, [state] * 2, kernels, how.branches))
        norms = torch.stack(list(map(_norm, convolved, how.branches, [how.training] * 2)))
        kept = () if how.recompute else convolved
        ctx.how = how
        ctx.save_for_backward(state, norms, *kernels, *kept)
        rows = (_rows(tensor) for tensor in (state, *convolved))
        return fitting(state).add_product(*rows, norms, how.gate).view_as(state)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        how = ctx.how
        state, norms, *rest = ctx.saved_tensors
        kernels, convolved = rest[:2], rest[2:]
        if not convolved:
            convolved = list(map(_convolve, [state] * 2, kernels, how.branches))
        gradient = gradient.contiguous()
        operations = fitting(state)
        rows = [_rows(tensor) for tensor in (gradient, *convolved)]
        *behind, learned = operations.before_norm(*rows, norms, how.gate)
        to_state, to_weights = gradient, []
        for i, branch in enumerate(how.branches):
            # In evaluation the mean and the deviation are fixed, and nothing flows through them.
            shares = learned[i] / len(rows[0]) if how.training else torch.zeros_like(learned[i])
            before = operations.through_norm(rows[1 + i], norms[i], shares, behind[i])
            back, to_kernel = _unconvolve(before.view_as(state), state, kernels[i], branch)
            to_state = to_state + back if i == 0 else to_state.add_(back)
            to_weights += [to_kernel, *learned[i]]
        return to_state, None, *to_weights


def _rows(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1, tensor.shape[-1])


def _kernel(branch: Branch) -> Tensor:
    """(filters, filters, 2) as an image's kernel one pixel high, channels last."""
    weight = branch.convolution.weight.detach().unsqueeze(2)
    return weight.contiguous(memory_format=torch.channels_last)


def _image(state: Tensor, branch: Branch) -> tuple[Tensor, list[int]]:
    """(batch, samples, filters) as (batch, filters, 1, samples), uncopied, and how to pad it.

    Padding that is not the same on either side can't be left to the convolution.
    """
    image = state.unsqueeze(1).permute(0, 3, 1, 2)
    before, behind = branch.around
    return (image, [0, before]) if before == behind else (F.pad(image, branch.around), [0, 0])


def _convolve(state: Tensor, kernel: Tensor, branch: Branch) -> Tensor:
    image, padding = _image(state, branch)
    convolved = F.conv2d(image, kernel, padding=padding, dilation=[1, branch.dilation])
    return convolved.permute(0, 2, 3, 1).squeeze(1).contiguous()


def _unconvolve(
    gradient: Tensor, state: Tensor, kernel: Tensor, branch: Branch
) -> tuple[Tensor, Tensor]:
    """Gradients of the state, (batch, samples, filters), and of the kernel."""
    image, padding = _image(state, branch)
    arriving = gradient.unsqueeze(1).permute(0, 3, 1, 2)
    to_image, to_kernel, _ = torch.ops.aten.convolution_backward(
        arriving, image, kernel, None, [1, 1], padding, [1, branch.dilation], False, [0, 0], 1,
        [True, True, False],
    )  # fmt: skip
    first = branch.around[0] - padding[1]
    own = to_image[..., first : first + state.shape[1]]
    return own.permute(0, 2, 3, 1).squeeze(1), to_kernel.squeeze(2)


def _norm(convolved: Tensor, branch: Branch, training: bool) -> Tensor:
    """Mean, 1 / deviation, gain and offset, (4, filters); in training also the running ones."""
    norm = branch.norm
    mean, variance = norm.running_mean, norm.running_var
    if training:
        rows = _rows(convolved)
        mean, variance = fitting(rows).moments(rows)
        unbiased = variance * (len(rows) / max(1, len(rows) - 1))
        norm.running_mean.lerp_(mean.to(norm.running_mean), norm.momentum)
        norm.running_var.lerp_(unbiased.to(norm.running_var), norm.momentum)
        norm.num_batches_tracked.add_(1)
    return torch.stack([mean, torch.rsqrt(variance + norm.eps), norm.weight, norm.bias])
