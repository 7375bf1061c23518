"""A run's fresh model."""

import torch
from torch import nn

from sweeps.data import Dataset
from sweeps.errors import SweepsError
from sweeps.models import build_model
from sweeps.spec.config import RunConfig


def new_model(config: RunConfig, dataset: Dataset) -> nn.Module:
    """A model for a dataset, initialised from the configuration's seed.

    Raises:
        SweepsError: the configuration does not go with the dataset's images.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        try:
            return build_model(config, size=dataset.size, num_classes=len(dataset.classes))
        except ValueError as error:
            raise SweepsError(str(error)) from None
