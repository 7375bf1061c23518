"""Training: a function of a configuration that yields one result an epoch. It knows no studies."""

from sweeps.training.batches import make_batches
from sweeps.training.evaluation import evaluate
from sweeps.training.memory import MICRO_BATCHES, is_out_of_memory
from sweeps.training.model import new_model
from sweeps.training.precision import Precision, resolve_precision
from sweeps.training.results import EpochResult
from sweeps.training.schedule import one_cycle
from sweeps.training.train import Checkpoint, train

__all__ = [
    "MICRO_BATCHES",
    "Checkpoint",
    "EpochResult",
    "Precision",
    "evaluate",
    "is_out_of_memory",
    "make_batches",
    "new_model",
    "one_cycle",
    "resolve_precision",
    "train",
]
