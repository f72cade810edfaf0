"""Phases that run on from frame to frame and are set anew where a gate opens."""

from __future__ import annotations

import torch
from torch import Tensor

_LEAST = 1e-8  # squared modulus: keeps the gradient of a phase finite where two cancel out


def running(anew: Tensor, turn: Tensor, gate: Tensor) -> Tensor:
    """Complex numbers of modulus 1, (clips, frames, bins).

    anew: complex, of modulus 1, what the phase is set to. turn: radians by which it turns from the
    frame before. gate: 0 … 1, how far it is set anew and does not run on. The first frame is.
    """
    kept, given = torch.polar(1 - gate, turn), gate * anew
    state, states = anew[:, 0], [anew[:, 0]]
    for frame in range(1, anew.shape[1]):
        state = torch.addcmul(given[:, frame], kept[:, frame], state)
        states.append(state)
    phases = torch.stack(states, 1)
    return phases * (phases.real.square() + phases.imag.square() + _LEAST).rsqrt()
