"""Train as a configuration says, epoch by epoch; the caller reports, prunes or prints."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from interpodil import lsuv_
from sweeps.data import Dataset, split_rows
from sweeps.data.batches import Batches, derive_seed
from sweeps.errors import Interrupted, SweepsError
from sweeps.models import build_model
from sweeps.spec.config import RunConfig, check_run
from sweeps.training.chance import ChanceWatch
from sweeps.training.evaluation import (
    EpochResult,
    Evaluation,
    evaluate,
    peak_memory_mib,
    release_memory,
    reset_peak_memory,
)
from sweeps.training.optimizer import make_average, make_optimizer
from sweeps.training.precision import Precision
from sweeps.training.state import Checkpoint, Checkpointing, TrainingState

_EVALUATION_BATCH = 500
# Tells the seeds of dropout from those of the batches' augmentation.
_DROPOUT = 1


def new_model(config: RunConfig, dataset: Dataset) -> nn.Module:
    """Build a model for a dataset, initialized from the configuration's seed.

    With ``layer.init: lsuv`` its layers are scaled for the first batch of the training.

    Raises:
        SweepsError: the configuration does not fit the dataset's images.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        try:
            model = build_model(config, size=dataset.size, num_classes=len(dataset.classes))
            if config.layer.init == "lsuv":
                training, _ = make_batches(config, dataset, torch.device("cpu"))
                training.set_epoch(1)
                images, _ = next(iter(training))
                lsuv_(model, images, std=config.layer.init_scale)
            return model
        except ValueError as error:
            raise SweepsError(str(error)) from None


def make_batches(
    config: RunConfig, dataset: Dataset, device: torch.device
) -> tuple[Batches, Batches]:
    """Make the training and the validation batches of a run.

    Raises:
        SweepsError: the configuration does not fit the dataset's images.
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
        crop_scale=(settings.crop_scale_min, settings.crop_scale_max),
        flip=settings.flip,
        mixup=settings.mixup,
        cutmix=settings.cutmix,
        classes=len(dataset.classes),
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
        math.ceil(_EVALUATION_BATCH / settings.micro_batches),
        dataset.mean,
        dataset.std,
        device=device,
        channels_last=settings.channels_last,
    )
    return training, validation


def measure_test(
    model: nn.Module,
    config: RunConfig,
    dataset: Dataset,
    device: torch.device,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, float]:
    """Measure a trained model on a dataset's test part, which no search may look at.

    Returns:
        What :class:`EpochResult` has of the validation part, as ``test_accuracy`` and so on.

    Raises:
        Interrupted: ``should_stop`` returned true.
    """
    settings = config.training
    batches = Batches(
        dataset.test.images,
        dataset.test.labels,
        np.arange(len(dataset.test)),
        math.ceil(_EVALUATION_BATCH / settings.micro_batches),
        dataset.mean,
        dataset.std,
        device=device,
        channels_last=settings.channels_last,
    )
    found = evaluate(model, batches, Precision(settings, device), should_stop)
    measured = {
        "test_accuracy": found.accuracy,
        "test_top5": found.top5,
        "test_loss": found.loss,
        "test_calibration_error": found.calibration_error,
    }
    return {name: value for name, value in measured.items() if value is not None}


def train(
    config: RunConfig,
    dataset: Dataset,
    device: torch.device,
    *,
    model: nn.Module | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    checkpoint: Checkpoint | None = None,
    stop_at_chance: bool = False,
) -> Iterator[EpochResult]:
    """Train as a configuration says, on the train split of a dataset.

    The result depends on the configuration, the images, the machine and the number of CPU
    threads, and on a CPU on nothing else: not on how often the run was interrupted and resumed,
    as long as its settings stayed the same. A run that resumes with other settings of
    ``MAY_DIFFER`` has another result.

    Args:
        config: the run; its ``precision`` is resolved by :func:`resolve_precision`.
        dataset: the images of ``config.data``.
        device: where to train.
        model: trained instead of a fresh one. After the last epoch it has the weights that were
            validated: with ``training.ema`` the averaged ones.
        should_stop: called before every batch.
        checkpoint: where the run is kept, and resumed from if it was begun there.
        stop_at_chance: give a run up that does not learn; a resumed one is watched anew.

    Yields:
        A result after each epoch, beginning with those before the checkpoint; the last one says
        whether the run diverged.

    Raises:
        Interrupted: ``should_stop`` returned true; the checkpoint has what was done.
        NotLearning: see :class:`sweeps.training.chance.ChanceWatch`.
        SweepsError: the configuration does not fit the dataset or the device.
    """
    settings = config.training
    release_memory()
    training, validation = make_batches(config, dataset, device)
    if model is None:
        model = new_model(config, dataset)
    model = model.to(device)
    if settings.channels_last:
        model = model.to(memory_format=torch.channels_last)
    optimizer, schedule = make_optimizer(model, settings, settings.epochs * len(training))
    # Summed on the device: reading a number off a GPU for every batch would make it wait.
    loss = torch.zeros((), dtype=torch.float64, device=training.device)
    average = make_average(model, settings.ema)
    state = TrainingState(model, optimizer, schedule, Precision(settings, device), average, loss)
    checkpointing = Checkpointing(config, dataset, state, checkpoint, should_stop)
    checkpointing.resume()
    watch = None
    if stop_at_chance:
        labels = dataset.train.labels[split_rows(config, dataset)[0]]
        watch = ChanceWatch(settings, labels, len(training), training.device)

    yield from [replace(result, replayed=True) for result in state.history]
    while state.epoch <= settings.epochs:
        reset_peak_memory(device)
        start = checkpointing.epoch_start = time.perf_counter()
        training.set_epoch(state.epoch, first_batch=state.batch)
        train_loss = _train_epoch(state, training, config, checkpointing, watch)
        trained = time.perf_counter()
        measured = Evaluation(math.nan, math.nan, None, math.nan)
        if math.isfinite(train_loss):
            try:
                measured = evaluate(state.validated, validation, state.precision, should_stop)
            except Interrupted:
                checkpointing.within_epoch()
                raise
        diverged = not math.isfinite(measured.loss)
        training_seconds = state.seconds + trained - start
        result = EpochResult(
            epoch=state.epoch,
            train_loss=train_loss if math.isfinite(train_loss) else math.nan,
            val_loss=math.nan if diverged else measured.loss,
            val_accuracy=math.nan if diverged else measured.accuracy,
            learning_rate=state.learning_rate,
            seconds=state.seconds + time.perf_counter() - start,
            images_per_second=training.image_count / training_seconds,
            diverged=diverged,
            val_top5=None if diverged else measured.top5,
            val_calibration_error=math.nan if diverged else measured.calibration_error,
            step_ms=1000 * training_seconds / len(training),
            peak_memory_mib=peak_memory_mib(device),
        )
        state.next_epoch(result)
        if state.average is not None and state.epoch > settings.epochs:
            model.load_state_dict(state.validated.state_dict())
        yield result
        if diverged:
            return
        if state.epoch <= settings.epochs:
            checkpointing.after_epoch()


def _train_epoch(
    state: TrainingState,
    batches: Batches,
    config: RunConfig,
    checkpointing: Checkpointing,
    watch: ChanceWatch | None,
) -> float:
    """Train the rest of the current epoch; return its mean loss."""
    settings = config.training
    precision = state.precision
    state.model.train()
    for images, labels in batches:
        checkpointing.between_batches()
        state.optimizer.zero_grad(set_to_none=True)
        before = state.loss if watch is None else state.loss.clone()
        parts = settings.micro_batches
        pairs = zip(images.tensor_split(parts), labels.tensor_split(parts), strict=True)
        with _seeded(images.device, config.seed, state.epoch, state.batch, _DROPOUT):
            for some, their in pairs:
                with precision.autocast:
                    loss = F.cross_entropy(
                        state.model(some), their, label_smoothing=settings.label_smoothing
                    )
                precision.scaler.scale(loss * (len(their) / len(labels))).backward()
                state.loss += loss.detach() * len(their)
        state.learning_rate = float(state.optimizer.param_groups[0]["lr"])
        if precision.step(state.optimizer, settings.clip_norm):
            state.schedule.step()
            if state.average is not None:
                state.average.update_parameters(state.model)
        if watch is not None:
            step = (state.epoch - 1) * len(batches) + state.batch
            watch.add(step, (state.loss - before) / len(labels))
        state.seen += len(labels)
        state.batch += 1
    return float(state.loss) / state.seen


@contextmanager
def _seeded(device: torch.device, *numbers: int) -> Iterator[None]:
    """Seed torch's generators, from which dropout draws; behind the block they are as before.

    Each batch has a seed of its own, so that a run draws the same after it was resumed.
    """
    on_gpu = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        seed = derive_seed(*numbers)
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            torch.cuda.manual_seed(seed)
        yield
