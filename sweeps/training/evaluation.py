"""Measuring a model."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from sweeps.data.batches import Batches
from sweeps.errors import Interrupted
from sweeps.training.precision import Precision


@torch.no_grad()
def evaluate(
    model: nn.Module,
    batches: Batches,
    precision: Precision,
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[float, float]:
    """Mean cross-entropy and accuracy of a model over batches.

    Raises:
        Interrupted: ``should_stop`` said so.
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
