"""Training: a function of a configuration that yields one result an epoch. It knows no studies."""

from sweeps.training.evaluation import EpochResult
from sweeps.training.optimizer import check_optimizer
from sweeps.training.precision import MICRO_BATCHES, is_out_of_memory, resolve_precision
from sweeps.training.state import Checkpoint
from sweeps.training.train import measure_test, new_model, train

__all__ = [
    "MICRO_BATCHES",
    "Checkpoint",
    "EpochResult",
    "check_optimizer",
    "is_out_of_memory",
    "measure_test",
    "new_model",
    "resolve_precision",
    "train",
]
