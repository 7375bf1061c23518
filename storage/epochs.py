"""What every epoch of every trial measured."""

from dataclasses import asdict, dataclass

from sqlalchemy import delete, select

from storage.rdb import HardenedStorage
from storage.schema import epochs_table


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of one trial.

    Attributes:
        epoch: counted from 1.
        train_loss: mean over the epoch's training pictures; ``None`` where it was not finite.
        val_loss: mean over the validation pictures; ``None`` where it was not finite.
        val_accuracy: share of the validation pictures that were classified correctly, 0 to 1.
        learning_rate: at the end of the epoch.
        seconds: training and validation together.
        images_per_second: training pictures per second of training.
    """

    epoch: int
    train_loss: float | None
    val_loss: float | None
    val_accuracy: float | None
    learning_rate: float
    seconds: float
    images_per_second: float


def record_epoch(storage: HardenedStorage, trial_id: int, record: EpochRecord) -> None:
    """Keep an epoch's record; one of the same trial and epoch is replaced."""
    same = (epochs_table.c.trial_id == trial_id) & (epochs_table.c.epoch == record.epoch)
    with storage.engine.begin() as connection:
        connection.execute(delete(epochs_table).where(same))
        connection.execute(epochs_table.insert().values(trial_id=trial_id, **asdict(record)))


def read_epochs(storage: HardenedStorage, trial_id: int) -> list[EpochRecord]:
    """The records of a trial, in the order of the epochs."""
    columns = [column for column in epochs_table.c if column.name != "trial_id"]
    query = select(*columns).where(epochs_table.c.trial_id == trial_id)
    with storage.engine.connect() as connection:
        rows = connection.execute(query.order_by(epochs_table.c.epoch))
        return [EpochRecord(**row._mapping) for row in rows]
