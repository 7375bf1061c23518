"""The small runs of these tests: patterns of 16 pixels, a second each."""

import torch

from sweeps.spec.config import RunConfig

CPU = torch.device("cpu")


def run_config(**values):
    """A configuration with values, ``training__epochs`` for ``training.epochs``."""
    settings = {
        "data.name": "patterns",
        "data.size": 16,
        "data.train_limit": 300,
        "data.validation_limit": 200,
        "training.epochs": 3,
        "training.batch_size": 50,
        "training.learning_rate": 0.05,
        "training.precision": "float32",
    }
    settings.update({name.replace("__", "."): value for name, value in values.items()})
    return RunConfig().with_values(settings)
