"""The optimiser and its schedule, as a configuration names them."""

import math

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from sweeps.spec.config import TrainingConfig


def make_optimizer(
    model: nn.Module, settings: TrainingConfig, steps: int
) -> tuple[torch.optim.Optimizer, LambdaLR]:
    """Make a model's optimiser and the schedule of its learning rate over `steps` steps."""
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=settings.learning_rate,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        weight_decay=settings.weight_decay,
    )
    return optimizer, LambdaLR(optimizer, lambda step: one_cycle(step, steps, settings.warmup))


def one_cycle(step: int, steps: int, warmup: float) -> float:
    """Return the learning rate of a step, as a share of the peak.

    It rises along a cosine from 1/25 to 1 and falls along another to 1/250,000: the one-cycle
    schedule of Smith and Topin 2018, "Super-Convergence", as torch's ``OneCycleLR`` has it, which
    divides by zero where the rise is a single step long.

    Args:
        step: counted from 0; beyond the last it keeps the last's rate.
        steps: how many there are.
        warmup: the share of them in which the rate rises.

    Example:
        >>> [round(one_cycle(step, 5, 0.5), 3) for step in range(5)]
        [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    start, end = 1 / 25, 1 / 250_000
    peak = min(max(1, round(warmup * steps)), max(steps - 2, 1)) if steps > 1 else 0
    if step < peak:
        return 1 + (start - 1) * (1 + math.cos(math.pi * step / peak)) / 2
    fall = max(1, steps - 1 - peak)
    return end + (1 - end) * (1 + math.cos(math.pi * min(1, (step - peak) / fall))) / 2
