"""Training as a configuration says, epoch by epoch.

Whoever iterates may report, prune by stopping, or print.
"""

import copy
import io
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR

from sweeps.data import Dataset
from sweeps.data.batches import Batches
from sweeps.errors import Interrupted, SweepsError
from sweeps.spec.config import RunConfig, setting_names
from sweeps.spec.validation import validate
from sweeps.training.batches import make_batches
from sweeps.training.evaluation import evaluate
from sweeps.training.model import new_model
from sweeps.training.precision import Precision
from sweeps.training.results import EpochResult
from sweeps.training.schedule import one_cycle
from sweeps.training.state import TrainingState

#: The settings in which a run may differ from the checkpoint that it resumes from: they say how a
#: step is computed, not which. A retry in less memory changes one, another device the other.
MAY_DIFFER = ("training.micro_batches", "training.precision")


class Checkpoint(Protocol):
    """Where an unfinished run is kept."""

    def read(self) -> bytes | None:
        """What was written last, by this process or another; ``None`` where nothing was."""

    def write(self, content: bytes) -> None:
        """Keep the run as it is now, in place of what was written before."""

    def is_due(self) -> bool:
        """Whether it is time to write; asked between two batches."""

    def refuse(self, reason: str) -> None:
        """What was read is not to be used; the run starts anew."""


def train(
    config: RunConfig,
    dataset: Dataset,
    device: torch.device,
    *,
    model: nn.Module | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    checkpoint: Checkpoint | None = None,
) -> Iterator[EpochResult]:
    """Train as a configuration says, on the training part of a dataset.

    The result depends on the configuration, the images, the machine and the number of CPU
    threads, and on a CPU on nothing else: not on how often it was interrupted and resumed, as long
    as that was with the same settings. A run that resumes with other settings of ``MAY_DIFFER``
    has another result.

    Args:
        config: the run; its ``precision`` is resolved by :func:`resolve_precision`.
        dataset: the images of ``config.data``.
        device: where to train.
        model: trained in place of a fresh one.
        should_stop: asked before every batch.
        checkpoint: where the run is kept; one that was begun there is gone on with.

    Yields:
        A result after each epoch, those before a checkpoint included; the last one says whether
        the run diverged.

    Raises:
        Interrupted: ``should_stop`` said so; the checkpoint has what was done.
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
    # Summed on the device: reading a number off a GPU for every batch would make it wait.
    loss = torch.zeros((), dtype=torch.float64, device=training.device)
    state = TrainingState(model, optimizer, schedule, Precision(settings, device), loss)
    keeper = _Keeper(config, dataset, state, checkpoint, should_stop)
    keeper.load()

    yield from [replace(result, replayed=True) for result in state.history]
    while state.epoch <= settings.epochs:
        start = time.perf_counter()
        training.set_epoch(state.epoch, first_batch=state.batch)
        train_loss = _train_epoch(state, training, config, keeper)
        trained = time.perf_counter()
        val_loss, val_accuracy = math.nan, math.nan
        if math.isfinite(train_loss):
            try:
                val_loss, val_accuracy = evaluate(model, validation, state.precision, should_stop)
            except Interrupted:
                keeper.put_away()
                raise
        diverged = not math.isfinite(val_loss)
        result = EpochResult(
            epoch=state.epoch,
            train_loss=train_loss if math.isfinite(train_loss) else math.nan,
            val_loss=math.nan if diverged else val_loss,
            val_accuracy=math.nan if diverged else val_accuracy,
            learning_rate=state.learning_rate,
            seconds=state.seconds + time.perf_counter() - start,
            images_per_second=training.image_count / (state.seconds + trained - start),
            diverged=diverged,
        )
        state.next_epoch(result)
        yield result
        if diverged:
            return
        if state.epoch <= settings.epochs:
            keeper.save_if_due()


@dataclass
class _Keeper:
    """Puts a run away when it is time to, and when it has to stop."""

    config: RunConfig
    dataset: Dataset
    state: TrainingState
    checkpoint: Checkpoint | None
    should_stop: Callable[[], bool]
    epoch_start: float = 0.0

    def load(self) -> None:
        """Resume from the checkpoint that is there, if it fits; say why where it does not."""
        if self.checkpoint is None:
            return
        content = self.checkpoint.read()
        if content is None:
            return
        fresh = copy.deepcopy(self.state.tree())
        try:
            kept = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            self._check_fit(kept["run"])
            self.state.load_tree(kept["state"])
        except SweepsError as misfit:
            self.checkpoint.refuse(str(misfit))
        except Exception as error:
            # Damaged, or of another release: the run starts anew, as if there were none.
            self.state.load_tree(fresh)
            self.checkpoint.refuse(f"{type(error).__name__}: {error}")

    def save_if_due(self) -> None:
        if self.checkpoint is not None and self.checkpoint.is_due():
            self._save(self.checkpoint)

    def between_batches(self) -> None:
        """Stop if that was asked for, with the run put away; or put it away if it is time to.

        Raises:
            Interrupted: it was asked for.
        """
        stopping = self.should_stop()
        if stopping or (self.checkpoint is not None and self.checkpoint.is_due()):
            self.put_away()
        if stopping:
            raise Interrupted

    def put_away(self) -> None:
        """Keep the run in the middle of its epoch."""
        if self.checkpoint is None:
            return
        before = self.state.seconds
        self.state.seconds += time.perf_counter() - self.epoch_start
        self._save(self.checkpoint)
        self.state.seconds = before

    def _save(self, checkpoint: Checkpoint) -> None:
        content = io.BytesIO()
        torch.save({"run": self._run(), "state": self.state.tree()}, content)
        checkpoint.write(content.getvalue())

    def _run(self) -> dict[str, Any]:
        """What a checkpoint says of its run."""
        config = self.config.model_dump(mode="json")
        return {"config": config, "fingerprint": self.dataset.fingerprint}

    def _check_fit(self, run: dict[str, Any]) -> None:
        """See whether the run of a checkpoint is this one.

        Raises:
            SweepsError: it is not; every setting that differs is named with both values.
        """
        kept = validate(RunConfig, run["config"], "its settings")
        pairs = {name: (kept.value(name), self.config.value(name)) for name in setting_names()}
        pairs["the fingerprint of the data"] = (run["fingerprint"], self.dataset.fingerprint)
        misfits = [
            f"{name} is {there!r} there and {here!r} here"
            for name, (there, here) in pairs.items()
            if there != here and name not in MAY_DIFFER
        ]
        if misfits:
            raise SweepsError("; ".join(misfits))


def _train_epoch(
    state: TrainingState, batches: Batches, config: RunConfig, keeper: _Keeper
) -> float:
    """Train the rest of the epoch under way; its mean loss."""
    settings = config.training
    precision = state.precision
    keeper.epoch_start = time.perf_counter()
    state.model.train()
    for images, labels in batches:
        keeper.between_batches()
        state.optimizer.zero_grad(set_to_none=True)
        parts = settings.micro_batches
        for some, their in zip(images.tensor_split(parts), labels.tensor_split(parts), strict=True):
            with precision.autocast:
                loss = F.cross_entropy(
                    state.model(some), their, label_smoothing=settings.label_smoothing
                )
            precision.scaler.scale(loss * (len(their) / len(labels))).backward()
            state.loss += loss.detach() * len(their)
        state.learning_rate = float(state.optimizer.param_groups[0]["lr"])
        if precision.step(state.optimizer):
            state.schedule.step()
        state.seen += len(labels)
        state.batch += 1
    return float(state.loss) / state.seen
