"""Several calls of Optuna's as one."""

from collections.abc import Callable

from storage.rdb import HardenedStorage
from storage.reconnecting import patient
from storage.transactions import transaction


@patient
def batch(storage: HardenedStorage, study_id: int, calls: Callable[[], None]) -> None:
    """Make calls that write, in one transaction; all of them again if the database was away.

    Args:
        storage: the storage that is written to.
        study_id: the study whose parts are written.
        calls: makes them; has to bear being called again.
    """
    # The study is locked before its trials, as everywhere.
    with transaction(storage.engine, study_id):
        calls()
