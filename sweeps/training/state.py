"""A run's state, and the checkpoints that it is written to and resumed from."""

import copy
import io
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from sweeps.data import Dataset
from sweeps.errors import Interrupted, SweepsError, one_line
from sweeps.spec.config import RunConfig
from sweeps.spec.validation import validate
from sweeps.training.evaluation import EpochResult
from sweeps.training.precision import Precision

#: The settings in which a run may differ from the checkpoint that it resumes from: they say how a
#: step is computed, not which. A retry in less memory changes one, another device the other.
MAY_DIFFER = ("training.micro_batches", "training.precision")


class Checkpoint(Protocol):
    """Where an unfinished run is kept."""

    def read(self) -> bytes | None:
        """Return what was written last, by this process or another; ``None`` for nothing."""

    def write(self, content: bytes) -> None:
        """Replace what was written before."""

    def is_due(self) -> bool:
        """Whether it is time to write; called between two batches."""

    def refuse(self, reason: str) -> None:
        """Take note that what was read cannot be used; the run starts anew."""

    def accept(self, epoch: int) -> None:
        """Take note that what was read is resumed, in this epoch, counted from 1."""


@dataclass
class TrainingState:
    """A run at one moment, between two batches.

    Attributes:
        average: of the weights, where the configuration asks for it.
        epoch: the current one, counted from 1.
        batch: how many of its batches are done.
        loss: the sum of its losses so far, float64 [].
        seen: its images so far.
        learning_rate: of the last step.
        seconds: spent on it so far by processes before this one.
        history: the epochs before it.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: LambdaLR
    precision: Precision
    average: AveragedModel | None
    loss: torch.Tensor
    epoch: int = 1
    batch: int = 0
    seen: int = 0
    learning_rate: float = 0.0
    seconds: float = 0.0
    history: list[EpochResult] = field(default_factory=list)

    @property
    def validated(self) -> nn.Module:
        """The model with the weights that count: averaged where the configuration asks for it."""
        if self.average is None:
            return self.model
        averaged: nn.Module = self.average.module
        return averaged

    def next_epoch(self, result: EpochResult) -> None:
        """Close an epoch and begin the next."""
        self.history.append(result)
        self.loss.zero_()
        self.epoch, self.batch, self.seen, self.seconds = self.epoch + 1, 0, 0, 0.0

    def tree(self) -> dict[str, Any]:
        """Return plain containers and the live tensors, for ``torch.save`` before the next step."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": {"last_epoch": self.schedule.last_epoch},
            "scaler": self.precision.scaler.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "loss": float(self.loss),
            "epoch": self.epoch,
            "batch": self.batch,
            "seen": self.seen,
            "learning_rate": self.learning_rate,
            "seconds": self.seconds,
            "history": [asdict(result) for result in self.history],
        }

    def load_tree(self, tree: dict[str, Any]) -> None:
        """Restore what :meth:`tree` returned, in this process or another.

        Raises:
            KeyError, RuntimeError, ValueError: it is of another run.
        """
        self.model.load_state_dict(tree["model"])
        self.optimizer.load_state_dict(tree["optimizer"])
        self.schedule.last_epoch = tree["schedule"]["last_epoch"]
        if tree["scaler"]:
            # Only float16 has one; a run that comes to it from another precision starts a new one.
            self.precision.scaler.load_state_dict(tree["scaler"])
        if self.average is not None:
            self.average.load_state_dict(tree["average"])
        self.loss.fill_(tree["loss"])
        self.epoch, self.batch, self.seen = tree["epoch"], tree["batch"], tree["seen"]
        self.learning_rate, self.seconds = tree["learning_rate"], tree["seconds"]
        # Version 0.1.0 called `replayed` by another name; it is false in every checkpoint.
        known = {field.name for field in fields(EpochResult)}
        self.history = [
            EpochResult(**{name: value for name, value in result.items() if name in known})
            for result in tree["history"]
        ]


@dataclass
class Checkpointing:
    """Writes a run's checkpoints when one is due or the run has to stop, and resumes from one.

    Attributes:
        epoch_start: when this process began the current epoch, by ``time.perf_counter``.
    """

    config: RunConfig
    dataset: Dataset
    state: TrainingState
    checkpoint: Checkpoint | None
    should_stop: Callable[[], bool]
    epoch_start: float = 0.0

    def resume(self) -> None:
        """Restore the state from the checkpoint if it fits; refuse it with the reason if not."""
        content = None if self.checkpoint is None else self.checkpoint.read()
        if self.checkpoint is None or content is None:
            return
        fresh = copy.deepcopy(self.state.tree())
        try:
            saved = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            self._check_run(saved["run"])
            self.state.load_tree(saved["state"])
        except SweepsError as error:
            self.checkpoint.refuse(str(error))
        except Exception as error:
            # Damaged, or of another release: the run starts anew, as if there were none.
            self.state.load_tree(fresh)
            self.checkpoint.refuse(one_line(error))
        else:
            self.checkpoint.accept(self.state.epoch)

    def after_epoch(self) -> None:
        """Write a checkpoint if one is due."""
        if self.checkpoint is not None and self.checkpoint.is_due():
            self._write(self.checkpoint)

    def between_batches(self) -> None:
        """Write a checkpoint if one is due or the run has to stop.

        Raises:
            Interrupted: it has to stop.
        """
        stopping = self.should_stop()
        if stopping or (self.checkpoint is not None and self.checkpoint.is_due()):
            self.within_epoch()
        if stopping:
            raise Interrupted

    def within_epoch(self) -> None:
        """Write a checkpoint in the middle of an epoch."""
        if self.checkpoint is None:
            return
        before = self.state.seconds
        self.state.seconds += time.perf_counter() - self.epoch_start
        self._write(self.checkpoint)
        self.state.seconds = before

    def _write(self, checkpoint: Checkpoint) -> None:
        content = io.BytesIO()
        config = self.config.model_dump(mode="json")
        run = {"config": config, "fingerprint": self.dataset.fingerprint}
        torch.save({"run": run, "state": self.state.tree()}, content)
        checkpoint.write(content.getvalue())

    def _check_run(self, run: dict[str, Any]) -> None:
        """Check that a checkpoint is of this run.

        Raises:
            SweepsError: it is not; every setting that differs is named with both values.
        """
        saved = validate(RunConfig, run["config"], "its settings").settings()
        ours = self.config.settings()
        pairs = {name: (saved.get(name), ours.get(name)) for name in {**saved, **ours}}
        pairs["the fingerprint of the data"] = (run["fingerprint"], self.dataset.fingerprint)
        differences = [
            f"{name} is {there!r} there and {here!r} here"
            for name, (there, here) in pairs.items()
            if there != here and name not in MAY_DIFFER
        ]
        if differences:
            raise SweepsError("; ".join(differences))
