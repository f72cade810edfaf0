"""What Griffin and Lim's iteration does between transforms, in one sweep of memory."""

from __future__ import annotations

import numba
import numpy as np
import torch
from numba import prange
from torch import Tensor

_TINY = 1e-16  # squared: keeps the phase of nothing at nothing


def ahead(possible: Tensor, before: Tensor, wanted: Tensor, momentum: float) -> Tensor:
    """Phases of possible + momentum · (possible − before), with the wanted magnitudes.

    possible, before: complex; wanted: real, all of one shape.
    """
    if possible.device.type != "cpu" or possible.requires_grad:
        return _plain(possible, before, wanted, momentum)
    numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))
    made = torch.empty_like(possible)
    pairs = (torch.view_as_real(t).view(-1, 2).numpy() for t in (possible, before, made))
    step = np.asarray(momentum, dtype=torch.view_as_real(possible).numpy().dtype)
    _compiled(*pairs, wanted.view(-1).numpy(), step[()])
    return made


def _plain(possible: Tensor, before: Tensor, wanted: Tensor, momentum: float) -> Tensor:
    beyond = possible + momentum * (possible - before)
    return beyond * (wanted * (beyond.real**2 + beyond.imag**2 + _TINY).rsqrt())


@numba.njit(parallel=True, fastmath={"contract", "nsz", "arcp"}, cache=True)
def _compiled(possible, before, made, wanted, momentum):
    tiny = wanted.dtype.type(_TINY)
    for row in prange(len(wanted)):
        real = possible[row, 0] + momentum * (possible[row, 0] - before[row, 0])
        imaginary = possible[row, 1] + momentum * (possible[row, 1] - before[row, 1])
        factor = wanted[row] / np.sqrt(real * real + imaginary * imaginary + tiny)
        made[row, 0], made[row, 1] = real * factor, imaginary * factor
