"""All that changes while a run trains, to be put away and gone on with."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from sweeps.training.precision import Precision
from sweeps.training.results import EpochResult


@dataclass
class TrainingState:
    """A run at one moment, between two batches.

    Attributes:
        epoch: the one under way, counted from 1.
        batch: how many of its batches are done.
        loss: the sum of its losses so far, float64 [].
        seen: its images so far.
        learning_rate: of the last step.
        seconds: spent on it so far, before this process took it up.
        history: the epochs before it.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: LambdaLR
    precision: Precision
    loss: torch.Tensor
    epoch: int = 1
    batch: int = 0
    seen: int = 0
    learning_rate: float = 0.0
    seconds: float = 0.0
    history: list[EpochResult] = field(default_factory=list)

    def next_epoch(self, result: EpochResult) -> None:
        """Close an epoch and begin the next."""
        self.history.append(result)
        self.loss.zero_()
        self.epoch, self.batch, self.seen, self.seconds = self.epoch + 1, 0, 0, 0.0

    def tree(self) -> dict[str, Any]:
        """Plain containers and tensors, for ``torch.save``; to be written before going on."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": {"last_epoch": self.schedule.last_epoch},
            "scaler": self.precision.scaler.state_dict(),
            "loss": float(self.loss),
            "epoch": self.epoch,
            "batch": self.batch,
            "seen": self.seen,
            "learning_rate": self.learning_rate,
            "seconds": self.seconds,
            "history": [asdict(result) for result in self.history],
        }

    def load_tree(self, tree: dict[str, Any]) -> None:
        """Take over what :meth:`tree` gave, in this process or another.

        Raises:
            KeyError, RuntimeError, ValueError: it is of another run.
        """
        self.model.load_state_dict(tree["model"])
        self.optimizer.load_state_dict(tree["optimizer"])
        self.schedule.last_epoch = tree["schedule"]["last_epoch"]
        if tree["scaler"]:
            # Only float16 has one; a run that comes to it from another precision starts a new one.
            self.precision.scaler.load_state_dict(tree["scaler"])
        self.loss.fill_(tree["loss"])
        self.epoch, self.batch, self.seen = tree["epoch"], tree["batch"], tree["seen"]
        self.learning_rate, self.seconds = tree["learning_rate"], tree["seconds"]
        # Version 0.1.0 called `replayed` by another name; it is false in every checkpoint.
        known = {field.name for field in fields(EpochResult)}
        self.history = [
            EpochResult(**{name: value for name, value in result.items() if name in known})
            for result in tree["history"]
        ]
