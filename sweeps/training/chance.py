"""Recognize a run that does not learn: its loss stays at chance while its rate is at its peak."""

import numpy as np
import torch
from torch import Tensor

from sweeps.errors import NotLearning
from sweeps.spec.training import TrainingConfig
from sweeps.training.optimizer import rate_at

#: A step has left chance when its loss is so far below it.
MARGIN = 0.02
#: A run does not learn when so many steps in a row have not, of an epoch and at least.
EPOCHS = 0.75
STEPS = 24
# Reading the count off a GPU makes it wait.
_STEPS_BETWEEN_LOOKS = 8


def chance_loss(labels: np.ndarray, label_smoothing: float = 0.0) -> float:
    """Return the least loss of a network that ignores its images: the entropy of the labels.

    Args:
        labels: int [N], of the training images.
        label_smoothing: the share of each label that is spread over all classes.
    """
    shares = np.bincount(labels) / len(labels)
    shares = (1 - label_smoothing) * shares + label_smoothing / len(shares)
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


class ChanceWatch:
    """Counts the steps in a row whose loss has not left chance.

    A run does not learn when three quarters of an epoch, at least 24 steps in a row, each had a
    loss above chance less 0.02, all of them after the first epoch and the rate's peak, and at half
    the peak rate or more. Of 689 recorded runs that ended at twice chance or better, this would
    have stopped one, which ended at 0.208, and of 170 that ended at chance 145
    (``tests/sweeps/training/test_chance.py``). Their batches had 64 images; the losses of much
    smaller ones scatter by more than 0.02, and then fewer runs are stopped.

    Args:
        settings: of the run.
        labels: int [N], of the training images.
        steps: of an epoch.
        device: where the losses are.
    """

    def __init__(
        self, settings: TrainingConfig, labels: np.ndarray, steps: int, device: torch.device
    ) -> None:
        total = settings.epochs * steps
        rates = [rate_at(step, total, settings) for step in range(total)]
        peak = max(rates)
        self._first = max(rates.index(peak), steps)
        self._last = max(step for step, rate in enumerate(rates) if rate >= peak / 2)
        self._needed = max(STEPS, round(EPOCHS * steps))
        self._limit = chance_loss(labels, settings.label_smoothing) - MARGIN
        self._count = torch.zeros((), dtype=torch.int64, device=device)

    def add(self, step: int, loss: Tensor) -> None:
        """Take note of the loss of a step, counted from 0.

        Raises:
            NotLearning: the run does not learn.
        """
        if not self._first <= step <= self._last:
            return
        self._count = torch.where(loss >= self._limit, self._count + 1, 0)
        on_gpu = self._count.device.type == "cuda"
        if on_gpu and step % _STEPS_BETWEEN_LOOKS:
            return
        if int(self._count) >= self._needed:
            raise NotLearning(
                f"the loss of {int(self._count)} steps in a row was that of chance, at the peak of "
                "the learning rate"
            )
