"""What training gives."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EpochResult:
    """What one epoch gave.

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
