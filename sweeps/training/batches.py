"""A run's images, in batches."""

import math

import torch

from sweeps.data import Dataset, split_rows
from sweeps.data.batches import Batches
from sweeps.spec.config import RunConfig, check_run

_EVALUATION_BATCH = 500


def make_batches(
    config: RunConfig, dataset: Dataset, device: torch.device
) -> tuple[Batches, Batches]:
    """The training and the validation batches of a run.

    Raises:
        SweepsError: the configuration does not go with the dataset's images.
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
        math.ceil(_EVALUATION_BATCH / settings.micro_batches),
        dataset.mean,
        dataset.std,
        device=device,
        channels_last=settings.channels_last,
    )
    return training, validation
