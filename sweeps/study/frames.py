"""A study for scripts and notebooks: Optuna's, with the epochs of its trials as a table."""

from typing import TYPE_CHECKING, Any

import optuna

from storage import DEFAULT_URL, HardenedStorage, open_storage, read_epochs
from storage import open_study as find_study

if TYPE_CHECKING:
    import pandas


class SweepStudy(optuna.Study):
    """A study of a sweep, with all that ``optuna.Study`` has.

    Attributes:
        storage: where it is.

    ``trials_dataframe()`` is Optuna's: a row for each trial. It and :meth:`epochs_dataframe` need
    pandas: ``pip install 'interpodil[notebook]'``.
    """

    def __init__(self, name: str, storage: HardenedStorage) -> None:
        super().__init__(name, storage)
        self.storage = storage

    def epochs_dataframe(self) -> "pandas.DataFrame":
        """Return a table with a row for each epoch of each trial, in their order.

        Columns: ``trial`` (its number), ``epoch`` (counted from 1), then a column for each metric
        that any epoch reported.

        Raises:
            ImportError: pandas is not installed.
        """
        import pandas

        rows: list[dict[str, Any]] = []
        for trial in self.get_trials(deepcopy=False):
            for record in read_epochs(self.storage, trial._trial_id):
                rows.append({"trial": trial.number, "epoch": record.epoch, **record.metrics})
        return pandas.DataFrame(rows)


def open_study(name: str | None = None, *, storage: str = DEFAULT_URL) -> SweepStudy:
    """Open a study that a sweep made.

    Args:
        name: its name; ``None`` for the newest.
        storage: a database URL, or the path of a SQLite file.

    Raises:
        storage.StorageError: there is no such storage or study; the message has the nearest name.

    Example::

        study = open_study("quick-cifar10")
        study.best_trial.params
        study.epochs_dataframe().groupby("trial").val_accuracy.max()
    """
    opened = open_storage(storage)
    return SweepStudy(find_study(opened, name).study_name, opened)
