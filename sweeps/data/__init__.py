"""Datasets: decoded once into arrays that processes map into memory.

`Batches` lives in `sweeps.data.batches`, which imports torch; nothing here does at import time.
"""

from sweeps.data.catalog import list_datasets, open_data
from sweeps.data.dataset import Dataset, Split, split_rows
from sweeps.data.importing import ImportResult, import_dataset

__all__ = [
    "Dataset",
    "ImportResult",
    "Split",
    "import_dataset",
    "list_datasets",
    "open_data",
    "split_rows",
]
