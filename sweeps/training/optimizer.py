"""The optimizer, the schedule of its learning rate, and the average of the weights."""

import math
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from interpodil import no_weight_decay
from sweeps.errors import SweepsError
from sweeps.spec.imports import make_imported
from sweeps.spec.training import ImportedOptimizer, TrainingConfig

_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


def make_optimizer(
    model: nn.Module, settings: TrainingConfig, steps: int
) -> tuple[Optimizer, LambdaLR]:
    """Make a model's optimizer and the schedule of its learning rate over `steps` steps.

    Raises:
        SweepsError: an imported optimizer cannot be made.
    """
    optimizer = _make_optimizer(parameter_groups(model, settings), settings)
    return optimizer, LambdaLR(optimizer, lambda step: rate_at(step, steps, settings))


def check_optimizer(settings: TrainingConfig) -> None:
    """Let an imported optimizer do one step on a small convolution.

    Raises:
        SweepsError: it cannot be made or cannot do it.
    """
    if not isinstance(settings.optimizer, ImportedOptimizer):
        return
    model = nn.Conv2d(1, 1, 1)
    optimizer, _ = make_optimizer(model, settings, 1)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    try:
        optimizer.step()
    except Exception as error:
        raise SweepsError(
            f"training.optimizer.import: {settings.optimizer.import_}: a step without arguments "
            f"failed: {type(error).__name__}: {error}"
        ) from error


def parameter_groups(model: nn.Module, settings: TrainingConfig) -> list[dict[str, Any]]:
    """Return a model's parameters in groups, as an optimizer takes them.

    Without ``decay_all`` there is a second group, without weight decay: the norms' parameters, the
    biases and the learned tents.
    """
    named = dict(model.named_parameters())
    spared = set() if settings.decay_all else no_weight_decay(model) | _norms_and_biases(model)
    groups: list[dict[str, Any]] = [{"params": [p for n, p in named.items() if n not in spared]}]
    undecayed = [parameter for name, parameter in named.items() if name in spared]
    if undecayed:
        groups.append({"params": undecayed, "weight_decay": 0.0})
    return groups


def rate_at(step: int, steps: int, settings: TrainingConfig) -> float:
    """Return the learning rate of a step, as a share of the peak.

    ``one_cycle`` is :func:`one_cycle`. The others rise linearly during the first ``warmup`` of the
    steps; then ``cosine`` falls along a cosine to 0 and ``constant`` stays. ``step`` is multiplied
    by ``step_gamma`` after every ``step_size`` of all steps.

    Args:
        step: counted from 0.
        steps: how many there are.
        settings: the schedule and its options.

    Example:
        >>> settings = TrainingConfig(schedule="cosine", warmup=0.25)
        >>> [round(rate_at(step, 8, settings), 2) for step in range(8)]
        [0.33, 0.67, 1.0, 0.93, 0.75, 0.5, 0.25, 0.07]
    """
    if settings.schedule == "one_cycle":
        return one_cycle(step, steps, settings.warmup)
    rise = round(settings.warmup * steps)
    risen = min(1.0, (step + 1) / (rise + 1))
    if settings.schedule == "cosine":
        fallen = min(1.0, max(0, step - rise) / max(1, steps - rise))
        return risen * (1 + math.cos(math.pi * fallen)) / 2
    if settings.schedule == "step":
        # The summand is for quotients that rounding leaves just below a whole number.
        return risen * settings.step_gamma ** int(step / (settings.step_size * steps) + 1e-9)
    return risen


def one_cycle(step: int, steps: int, warmup: float) -> float:
    """Return the one-cycle learning rate of a step, as a share of the peak.

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


def make_average(model: nn.Module, decay: float) -> AveragedModel | None:
    """Make the exponential moving average of a model's weights; ``None`` for decay 0.

    The first update copies the model. The n-th after it keeps the share
    ``min(decay, (1 + n) / (10 + n))`` of the average, so that in a short run the first weights do
    not outweigh the rest. Buffers, the statistics of batch normalization, are averaged too.
    """
    if decay == 0:
        return None

    def update(averages: Any, current: Any, count: Any) -> None:
        # Its own count is on the CPU; reading `count` would make a GPU wait.
        done = int(average.n_averaged)
        get_ema_multi_avg_fn(min(decay, (1 + done) / (10 + done)))(averages, current, count)

    average = AveragedModel(model, multi_avg_fn=update, use_buffers=True)
    return average


def _make_optimizer(groups: list[dict[str, Any]], settings: TrainingConfig) -> Optimizer:
    if isinstance(settings.optimizer, ImportedOptimizer):
        made: Optimizer = make_imported(
            settings.optimizer.import_,
            settings.optimizer.options,
            "training.optimizer",
            Optimizer,
            groups,
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        return made
    if settings.optimizer == "adamw":
        return AdamW(
            groups,
            lr=settings.learning_rate,
            betas=(settings.beta1, settings.beta2),
            eps=settings.eps,
            weight_decay=settings.weight_decay,
        )
    return SGD(
        groups,
        lr=settings.learning_rate,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        weight_decay=settings.weight_decay,
    )


def _norms_and_biases(model: nn.Module) -> set[str]:
    """Return the names of the norms' parameters and of the biases."""
    return {
        f"{prefix}.{name}" if prefix else name
        for prefix, module in model.named_modules()
        for name, _ in module.named_parameters(recurse=False)
        if name == "bias" or isinstance(module, _NORMS)
    }
