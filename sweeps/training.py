"""Training: a function of a configuration that yields one result an epoch.

It knows nothing of studies: whoever iterates may report, prune by stopping, or print.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR

from sweeps.config import RunConfig, TrainingConfig
from sweeps.data import Dataset, split_train_validation
from sweeps.data.batches import Batches
from sweeps.errors import SweepsError
from sweeps.models import build_model, check_model

_EVALUATION_BATCH = 500


class Interrupted(Exception):
    """Training was asked to stop and did, in the middle of an epoch."""


@dataclass(frozen=True)
class EpochResult:
    """What one epoch gave.

    Attributes:
        epoch: counted from 1.
        train_loss: mean cross-entropy over the epoch's training pictures, NaN when diverged.
        val_loss: mean cross-entropy over the validation pictures, NaN when diverged.
        val_accuracy: share of the validation pictures that were classified correctly, 0 to 1; NaN
            when diverged.
        learning_rate: of the epoch's last step.
        seconds: training and validation together.
        images_per_second: training pictures per second of training.
        diverged: a loss was not finite; no epoch follows.
    """

    epoch: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    seconds: float
    images_per_second: float
    diverged: bool = False


def train(
    config: RunConfig,
    dataset: Dataset,
    device: torch.device,
    *,
    model: nn.Module | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[EpochResult]:
    """Train as a configuration says, on the training part of a dataset.

    The result depends on the configuration, the pictures, the machine and the number of CPU
    threads, and on a CPU on nothing else.

    Args:
        config: the run; its ``precision`` is resolved by :func:`resolve_precision`.
        dataset: the pictures of ``config.data``.
        device: where to train.
        model: trained in place of a fresh one.
        should_stop: asked before every batch.

    Yields:
        A result after each epoch; the last one says whether the run diverged.

    Raises:
        Interrupted: ``should_stop`` said so.
        SweepsError: the configuration does not go with the dataset or the device.
    """
    settings = config.training
    training, validation = make_batches(config, dataset, device)
    if model is None:
        model = new_model(config, dataset)
    model = model.to(device)
    if settings.channels_last:
        model = model.to(memory_format=torch.channels_last)

    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=settings.learning_rate,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        weight_decay=settings.weight_decay,
    )
    steps = settings.epochs * len(training)
    schedule = LambdaLR(optimizer, lambda step: one_cycle(step, steps, settings.warmup))
    precision = _Precision(settings, device)
    for epoch in range(1, settings.epochs + 1):
        start = time.perf_counter()
        training.set_epoch(epoch)
        train_loss, rate = _train_epoch(
            model, training, optimizer, schedule, precision, settings.label_smoothing, should_stop
        )
        trained = time.perf_counter()
        val_loss, val_accuracy = math.nan, math.nan
        if math.isfinite(train_loss):
            val_loss, val_accuracy = evaluate(model, validation, precision, should_stop)
        diverged = not math.isfinite(val_loss)
        yield EpochResult(
            epoch=epoch,
            train_loss=train_loss if math.isfinite(train_loss) else math.nan,
            val_loss=math.nan if diverged else val_loss,
            val_accuracy=math.nan if diverged else val_accuracy,
            learning_rate=rate,
            seconds=time.perf_counter() - start,
            images_per_second=training.pictures / (trained - start),
            diverged=diverged,
        )
        if diverged:
            return


def one_cycle(step: int, steps: int, warmup: float) -> float:
    """The learning rate of a step, as a share of the peak.

    It rises along a cosine from 1/25 to 1 and falls along another to 1/250,000: the one-cycle
    schedule of Smith and Topin 2018, "Super-Convergence", as torch's ``OneCycleLR`` has it, which
    divides by zero where the rise is a single step long.

    Args:
        step: counted from 0; beyond the last it keeps the last's rate.
        steps: how many there are.
        warmup: the share of them in which the rate rises.
    """
    start, end = 1 / 25, 1 / 250_000
    peak = min(max(1, round(warmup * steps)), max(steps - 2, 1)) if steps > 1 else 0
    if step < peak:
        return 1 + (start - 1) * (1 + math.cos(math.pi * step / peak)) / 2
    fall = max(1, steps - 1 - peak)
    return end + (1 - end) * (1 + math.cos(math.pi * min(1, (step - peak) / fall))) / 2


def new_model(config: RunConfig, dataset: Dataset) -> nn.Module:
    """A model for a dataset, initialised from the configuration's seed.

    Raises:
        SweepsError: the configuration does not go with the dataset's pictures.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        try:
            return build_model(config, size=dataset.size, num_classes=len(dataset.classes))
        except ValueError as error:
            raise SweepsError(str(error)) from None


def split_rows(config: RunConfig, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a dataset's train part to train on, and those to validate on."""
    data = config.data
    return split_train_validation(
        dataset.train.labels,
        data.validation,
        data.split_seed,
        data.train_limit,
        data.validation_limit,
    )


def check_run(config: RunConfig, size: int, train_pictures: int) -> None:
    """See whether a configuration goes with its pictures, without touching them.

    Args:
        config: the run.
        size: height and width of the pictures in pixels.
        train_pictures: how many there are to train on.

    Raises:
        SweepsError: it does not.
    """
    settings = config.training
    if settings.crop >= size:
        raise SweepsError(
            f"training.crop {settings.crop} is too large for pictures of {size} pixels"
        )
    if settings.batch_size > train_pictures:
        raise SweepsError(
            f"training.batch_size {settings.batch_size} is more than the {train_pictures} "
            "training pictures; make it smaller"
        )
    try:
        check_model(config, size=size)
    except ValueError as error:
        raise SweepsError(str(error)) from None


def make_batches(
    config: RunConfig, dataset: Dataset, device: torch.device
) -> tuple[Batches, Batches]:
    """The training and the validation batches of a run.

    Raises:
        SweepsError: the configuration does not go with the dataset's pictures.
    """
    settings = config.training
    train_rows, val_rows = split_rows(config, dataset)
    check_run(config, dataset.size, len(train_rows))
    images, labels = dataset.train.images, dataset.train.labels
    training = Batches(
        images,
        labels,
        train_rows,
        settings.batch_size,
        dataset.mean,
        dataset.std,
        crop=settings.crop,
        flip=settings.flip,
        shuffle=True,
        seed=config.seed,
        device=device,
        channels_last=settings.channels_last,
        drop_last=True,
    )
    validation = Batches(
        images,
        labels,
        val_rows,
        _EVALUATION_BATCH,
        dataset.mean,
        dataset.std,
        device=device,
        channels_last=settings.channels_last,
    )
    return training, validation


def resolve_precision(config: RunConfig, device: torch.device) -> RunConfig:
    """The configuration with ``auto`` precision replaced by what the device takes.

    On CPUs that is float32: bfloat16 is faster on a few of them only.

    Raises:
        SweepsError: the precision asked for does not work on the device.
    """
    precision = config.training.precision
    on_gpu = device.type == "cuda"
    if precision == "auto":
        bfloat16 = on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
        return config.with_values({"training.precision": "bfloat16" if bfloat16 else "float32"})
    if precision == "float16" and not on_gpu:
        raise SweepsError(
            f"training.precision float16 needs a GPU, not {device}; use bfloat16 or float32"
        )
    return config


class _Precision:
    """Autocast and loss scaling as a configuration asks for."""

    def __init__(self, settings: TrainingConfig, device: torch.device) -> None:
        dtype = torch.bfloat16 if settings.precision == "bfloat16" else torch.float16
        self.autocast = torch.autocast(
            device.type, dtype, enabled=settings.precision in ("bfloat16", "float16")
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "float16")

    def step(self, optimizer: torch.optim.Optimizer) -> bool:
        """Let the optimizer step; false where float16 overflowed and the step was left out."""
        if not self.scaler.is_enabled():
            optimizer.step()
            return True
        before = self.scaler.get_scale()
        self.scaler.step(optimizer)
        self.scaler.update()
        return self.scaler.get_scale() >= before


def _train_epoch(
    model: nn.Module,
    batches: Batches,
    optimizer: torch.optim.Optimizer,
    schedule: LambdaLR,
    precision: _Precision,
    label_smoothing: float,
    should_stop: Callable[[], bool],
) -> tuple[float, float]:
    """The mean loss, and the learning rate of the last step."""
    model.train()
    rate = 0.0
    # Summed on the device: reading a number off a GPU for every batch would make it wait.
    total = torch.zeros((), dtype=torch.float64, device=batches.device)
    seen = 0
    for images, labels in batches:
        if should_stop():
            raise Interrupted
        with precision.autocast:
            loss = F.cross_entropy(model(images), labels, label_smoothing=label_smoothing)
        optimizer.zero_grad(set_to_none=True)
        precision.scaler.scale(loss).backward()
        rate = float(optimizer.param_groups[0]["lr"])
        if precision.step(optimizer):
            schedule.step()
        total += loss.detach() * len(labels)
        seen += len(labels)
    return float(total) / seen, rate


@torch.no_grad()
def evaluate(
    model: nn.Module,
    batches: Batches,
    precision: _Precision,
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[float, float]:
    """Mean cross-entropy and accuracy of a model over batches."""
    model.eval()
    loss = torch.zeros((), dtype=torch.float64, device=batches.device)
    correct = torch.zeros((), dtype=torch.int64, device=batches.device)
    seen = 0
    for images, labels in batches:
        if should_stop():
            raise Interrupted
        with precision.autocast:
            outputs = model(images)
        loss += F.cross_entropy(outputs.float(), labels, reduction="sum")
        correct += (outputs.argmax(1) == labels).sum()
        seen += len(labels)
    return float(loss) / seen, int(correct) / seen
