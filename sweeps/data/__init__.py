"""Datasets: decoded once into arrays that processes map into memory.

`Batches` lives in `sweeps.data.batches`, which imports torch; nothing here does at import time.
"""

from sweeps.data.catalog import (
    DatasetInfo,
    is_available,
    list_datasets,
    open_data,
    open_dataset,
)
from sweeps.data.dataset import Dataset, Split, split_rows, split_train_validation
from sweeps.data.importing import ImportResult, import_dataset

__all__ = [
    "Dataset",
    "DatasetInfo",
    "ImportResult",
    "Split",
    "import_dataset",
    "is_available",
    "list_datasets",
    "open_data",
    "open_dataset",
    "split_rows",
    "split_train_validation",
]
