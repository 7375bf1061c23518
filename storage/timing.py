"""How long epochs take."""

from collections.abc import Collection

from sqlalchemy import func, select

from storage.rdb import HardenedStorage
from storage.reconnecting import patient
from storage.schema import epochs_table
from storage.transactions import reading


@patient
def mean_epoch_seconds(storage: HardenedStorage, trial_ids: Collection[int]) -> float | None:
    """The mean over the epochs of some trials; ``None`` where none was measured yet."""
    query = select(func.avg(epochs_table.c.seconds)).where(epochs_table.c.trial_id.in_(trial_ids))
    with reading(storage.engine) as connection:
        mean: float | None = connection.execute(query).scalar()
    return mean
