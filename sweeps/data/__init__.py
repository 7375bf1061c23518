"""Datasets: decoded once into arrays that processes map into memory.

`Batches` lives in `sweeps.data.batches`, which imports torch; nothing here does at import time.
"""

from sweeps.data.dataset import Dataset, DatasetInfo, Split
from sweeps.data.importing import ImportResult, import_dataset
from sweeps.data.listing import is_available, list_datasets
from sweeps.data.opening import open_dataset
from sweeps.data.split import split_rows, split_train_validation

__all__ = [
    "Dataset",
    "DatasetInfo",
    "ImportResult",
    "Split",
    "import_dataset",
    "is_available",
    "list_datasets",
    "open_dataset",
    "split_rows",
    "split_train_validation",
]
