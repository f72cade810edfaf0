"""Batch norm, activation and product of two branches, and the way back, in few sweeps of memory.

As separate operations they read and write every sample a dozen times, which on a CPU costs as much
as the convolutions around them. Each exists twice: `Compiled` for float32 on a CPU, and `Plain`, in
torch's own operations, for everything else.

Tensors are (rows, channels), rows = batch · samples. norms: (2, 4, channels), for each branch mean,
1 / deviation, gain and offset. gate: (inner, outer, lift) of the second branch's activation,
lift + outer · tanh(inner · x). The first branch's is tanh.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from torch import Tensor

from samplevae_lib.models import gate_kernels as kernels

GATES = {"tanh": (1.0, 1.0, 0.0), "sigmoid": (0.5, 0.5, 0.5)}
Gate = tuple[float, float, float]


class Plain:
    """Any device, any precision."""

    @staticmethod
    def moments(branch: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of each channel."""
        variance, mean = torch.var_mean(branch, dim=0, correction=0)
        return mean, variance

    @staticmethod
    def add_product(
        state: Tensor, first: Tensor, second: Tensor, norms: Tensor, gate: Gate
    ) -> Tensor:
        """state + product of the activated branches."""
        _, _, one, two = _activated(first, second, norms, gate)
        return torch.addcmul(state, one, two.mul_(gate[1]).add_(gate[2]))

    @staticmethod
    def before_norm(
        gradient: Tensor, first: Tensor, second: Tensor, norms: Tensor, gate: Gate
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradient before each activation, and those of (gain, offset), (2, 2, channels)."""
        normal_1, normal_2, one, two = _activated(first, second, norms, gate)
        to_1 = gradient * (two * gate[1] + gate[2]) * (1 - one.square())
        to_2 = gradient * one * (1 - two.square()) * (gate[0] * gate[1])
        sums = [(to_1 * normal_1).sum(0), to_1.sum(0), (to_2 * normal_2).sum(0), to_2.sum(0)]
        return to_1, to_2, torch.stack(sums).unflatten(0, (2, 2))

    @staticmethod
    def through_norm(branch: Tensor, norm: Tensor, shares: Tensor, gradient: Tensor) -> Tensor:
        """Gradient before batch norm. shares: what each value has in that of gain and offset."""
        normal = (branch - norm[0]) * norm[1]
        return (gradient - shares[1] - normal * shares[0]) * (norm[1] * norm[2])


class Compiled:
    """The same for float32 on a CPU."""

    @staticmethod
    def moments(branch: Tensor) -> tuple[Tensor, Tensor]:
        """As `Plain`'s."""
        return tuple(torch.from_numpy(kernels.moments(branch.numpy())))

    @staticmethod
    def add_product(
        state: Tensor, first: Tensor, second: Tensor, norms: Tensor, gate: Gate
    ) -> Tensor:
        """As `Plain`'s."""
        out = torch.empty_like(state)
        kernels.add_product(*_arrays(state, first, second, norms, torch.tensor(gate), out))
        return out

    @staticmethod
    def before_norm(
        gradient: Tensor, first: Tensor, second: Tensor, norms: Tensor, gate: Gate
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As `Plain`'s."""
        to_1, to_2 = torch.empty_like(first), torch.empty_like(second)
        given = _arrays(gradient, first, second, norms, torch.tensor(gate), to_1, to_2)
        sums = kernels.before_norm(*given).sum(0, dtype=np.float64).astype(np.float32)
        return to_1, to_2, torch.from_numpy(sums).unflatten(0, (2, 2))

    @staticmethod
    def through_norm(branch: Tensor, norm: Tensor, shares: Tensor, gradient: Tensor) -> Tensor:
        """As `Plain`'s; overwrites the gradient."""
        kernels.through_norm(*_arrays(branch, norm, shares, gradient))
        return gradient


def fitting(tensor: Tensor) -> type[Compiled] | type[Plain]:
    """The quicker of the two that can take such tensors."""
    if tensor.device.type != "cpu" or tensor.dtype != torch.float32:
        return Plain
    numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))
    return Compiled


def _activated(first: Tensor, second: Tensor, norms: Tensor, gate: Gate) -> tuple[Tensor, ...]:
    """Both branches normalised, and both behind tanh."""
    normal_1, normal_2 = (
        (branch - norm[0]) * norm[1] for branch, norm in zip((first, second), norms, strict=True)
    )
    one = torch.addcmul(norms[0, 3], normal_1, norms[0, 2]).tanh_()
    two = torch.addcmul(norms[1, 3], normal_2, norms[1, 2]).mul_(gate[0]).tanh_()
    return normal_1, normal_2, one, two


def _arrays(*tensors: Tensor) -> tuple[np.ndarray, ...]:
    return tuple(tensor.numpy() for tensor in tensors)
