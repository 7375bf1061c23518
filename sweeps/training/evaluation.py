"""What an epoch measures."""

import ctypes
import math
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from sweeps.data.batches import Batches
from sweeps.errors import Interrupted
from sweeps.training.precision import Precision

#: Bins of the calibration error.
_BINS = 15


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
        val_top5: share of the validation images whose class is among the five likeliest, 0 to 1;
            ``None`` for five classes or fewer.
        val_calibration_error: see :func:`evaluate`.
        step_ms: mean milliseconds of a training step, loading its batch included.
        peak_memory_mib: the most memory that was in use, in MiB: on a GPU what PyTorch allocated in
            this process, on a CPU the process's resident memory.
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
    val_top5: float | None = None
    val_calibration_error: float = math.nan
    step_ms: float = math.nan
    peak_memory_mib: float = math.nan

    def metrics(self) -> dict[str, float]:
        """Return what the epoch measured, by name."""
        values = {**vars(self)}
        for name in ("epoch", "diverged", "replayed"):
            del values[name]
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class Evaluation:
    """What :func:`evaluate` returns."""

    loss: float
    accuracy: float
    top5: float | None
    calibration_error: float


@torch.no_grad()
def evaluate(
    model: nn.Module,
    batches: Batches,
    precision: Precision,
    should_stop: Callable[[], bool] = lambda: False,
) -> Evaluation:
    """Evaluate a model over batches.

    The calibration error is the expected one of Guo et al., "On Calibration of Modern Neural
    Networks" (2017, https://arxiv.org/abs/1706.04599): the images are put into 15 bins of equal
    width by the confidence of their prediction, the largest softmax output; it is the sum over the
    bins of (images in it / all images) * abs(accuracy in it - mean confidence in it).

    Returns:
        The mean cross-entropy; the shares of images whose class is the likeliest, and one of the
        five likeliest (``None`` for five classes or fewer); the calibration error, 0 to 1.

    Raises:
        Interrupted: ``should_stop`` returned true; it is called before every batch.
    """
    model.eval()
    settings: dict[str, Any] = {"dtype": torch.float64, "device": batches.device}
    loss = torch.zeros((), **settings)
    in_top5 = torch.zeros((), **settings)
    # Of each bin: images, images classified correctly, sum of confidences.
    bins = torch.zeros(_BINS, 3, **settings)
    classes = 0
    for images, labels in batches:
        if should_stop():
            raise Interrupted
        with precision.autocast:
            outputs = model(images)
        outputs = outputs.float()
        classes = outputs.shape[1]
        loss += F.cross_entropy(outputs, labels, reduction="sum")
        if classes > 5:
            in_top5 += (outputs.topk(5).indices == labels[:, None]).sum()
        confidence, predicted = outputs.softmax(1).max(1)
        index = (confidence * _BINS).long().clamp(max=_BINS - 1)
        rows = torch.stack([torch.ones_like(confidence), predicted == labels, confidence], 1)
        # A product, since sums by index depend on their order on a GPU.
        bins += F.one_hot(index, _BINS).double().T @ rows.double()
    counts, correct, confidences = bins.unbind(1)
    seen = float(counts.sum())
    return Evaluation(
        loss=float(loss) / seen,
        accuracy=float(correct.sum()) / seen,
        top5=float(in_top5) / seen if classes > 5 else None,
        calibration_error=float((correct - confidences).abs().sum()) / seen,
    )


def release_memory() -> None:
    """Return freed memory to the system, so that a run's peak does not count that before it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def reset_peak_memory(device: torch.device) -> None:
    """Begin to measure the peak of :func:`peak_memory_mib` anew, where the system allows it."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):
        # https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mib(device: torch.device) -> float:
    """Return the most memory in use since the reset, in MiB; see :class:`EpochResult`."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 2**10
    except (OSError, IndexError):
        # Of the process since its start; in bytes on macOS, else in KiB.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 2**10)
