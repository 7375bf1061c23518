"""What an epoch measures."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from sweeps.data.batches import Batches
from sweeps.errors import Interrupted
from sweeps.training.precision import Precision


@dataclass(frozen=True)
class EpochResult:
    """The result of one epoch.

    Attributes:
        epoch: counted from 1.
        train_loss: mean cross-entropy over the epoch's training images, NaN when diverged.
        val_loss: mean cross-entropy over the validation images, NaN when diverged.
        val_accuracy: share of the validation images that were classified correctly, 0 to 1; NaN
            when diverged.
        learning_rate: of the epoch's last step.
        seconds: training and validation together.
        images_per_second: training images per second of training.
        diverged: a loss was not finite; no epoch follows.
        replayed: the epoch was read back from a checkpoint, not trained again.
    """

    epoch: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    seconds: float
    images_per_second: float
    diverged: bool = False
    replayed: bool = False


@torch.no_grad()
def evaluate(
    model: nn.Module,
    batches: Batches,
    precision: Precision,
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[float, float]:
    """Return a model's mean cross-entropy and its accuracy (0 to 1) over batches.

    Raises:
        Interrupted: ``should_stop`` returned true; it is called before every batch.
    """
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
