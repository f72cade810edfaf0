"""What one training step costs on this machine: seconds and memory."""

from __future__ import annotations

import statistics
import time
from typing import NamedTuple

import torch
from torch import Tensor, nn

from samplevae_lib.training.loop import Batch, Terms

_FLOATS = 4  # a parameter, its gradient and Adam's two moments


class StepCost(NamedTuple):
    """Median seconds of a step, and bytes that it holds at once."""

    seconds: float
    memory: int


def step_cost(model: nn.Module, terms: Terms, batch: Batch, *, rounds: int = 3) -> StepCost:
    """Take steps of Adam (forward, backward, update) with one batch and measure them.

    terms: the loss, as a `Player` has it. rounds: measured steps, after one that is not measured.
    The memory is counted, not observed: parameters, gradients, Adam's moments, and every tensor
    that the forward pass keeps for the backward pass.
    """
    optimiser = torch.optim.Adam(model.parameters(), fused=True)
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    seconds = []
    for _ in range(1 + rounds):
        kept.clear()
        started = time.perf_counter()
        optimiser.zero_grad()
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            loss = sum(terms(model, batch).values())
        loss.backward()
        optimiser.step()
        seconds.append(time.perf_counter() - started)
    parameters = sum(p.numel() * p.element_size() for p in model.parameters())
    return StepCost(statistics.median(seconds[1:]), _FLOATS * parameters + sum(kept.values()))
