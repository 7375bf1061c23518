"""What every epoch of every trial measured."""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages._rdb.models import TrialIntermediateValueModel
from sqlalchemy import func, select

from storage.claims import lock_own_trial
from storage.reconnecting import patient
from storage.schema import OPTUNA_TABLES, epochs_table
from storage.storage import HardenedStorage
from storage.transactions import reading, transaction, upsert
from storage.workers import note_progress

_VALUES = OPTUNA_TABLES.tables["trial_intermediate_values"]
_ATTRIBUTES = OPTUNA_TABLES.tables["trial_user_attributes"]


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of one trial.

    Attributes:
        epoch: counted from 1.
        train_loss: mean over the epoch's training images; ``None`` where it was not finite.
        val_loss: mean over the validation images; ``None`` where it was not finite.
        val_accuracy: share of the validation images that were classified correctly, 0 to 1.
        learning_rate: at the end of the epoch.
        seconds: training and validation together.
        images_per_second: training images per second of training.
    """

    epoch: int
    train_loss: float | None
    val_loss: float | None
    val_accuracy: float | None
    learning_rate: float
    seconds: float
    images_per_second: float


@patient
def report_epoch(
    storage: HardenedStorage,
    trial: optuna.Trial,
    record: EpochRecord,
    value: float,
    *,
    epochs: int,
    worker_id: str | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Report an epoch of a running trial in one transaction: value, record, attributes, worker.

    The trial is the one of this thread's claim, or an unclaimed one. An epoch that is reported
    again replaces what was reported before.

    Args:
        storage: where the trial is.
        trial: the trial.
        record: what the epoch measured.
        value: the metric, for the pruner.
        epochs: how many the trial will have.
        worker_id: its worker; this is a heartbeat of it too.
        attributes: user attributes to set.

    Raises:
        optuna.exceptions.UpdateFinishedTrialError: the trial was ended by another process, or is
            another worker's (:class:`storage.errors.ClaimLost`); nothing was written.
    """
    trial_id = trial._trial_id
    # As Optuna writes them; its own calls, through its objects, take five times as long.
    stored, kind = TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)
    step = {"step": record.epoch, "intermediate_value": stored, "intermediate_value_type": kind}
    named = [
        {"key": name, "value_json": json.dumps(content)}
        for name, content in (attributes or {}).items()
    ]
    with transaction(storage.engine) as connection:
        if lock_own_trial(connection, trial_id).is_finished():
            raise UpdateFinishedTrialError(f"trial {trial.number} has ended and cannot be changed")
        for table, key, rows in (
            (_VALUES, "step", [step]),
            (epochs_table, "epoch", [asdict(record)]),
            (_ATTRIBUTES, "key", named),
        ):
            of_trial = [{"trial_id": trial_id, **row} for row in rows]
            upsert(connection, table, ("trial_id", key), of_trial)
        if worker_id is not None:
            note_progress(
                storage,
                worker_id,
                trial_number=trial.number,
                epoch=record.epoch,
                epochs=epochs,
                value=value,
            )
    # The trial's own copy, which the pruner reads.
    trial._cached_frozen_trial.intermediate_values[record.epoch] = value


@patient
def read_epochs(storage: HardenedStorage, trial_id: int) -> list[EpochRecord]:
    """The records of a trial, in the order of the epochs."""
    columns = [column for column in epochs_table.c if column.name != "trial_id"]
    query = select(*columns).where(epochs_table.c.trial_id == trial_id)
    with reading(storage.engine) as connection:
        rows = connection.execute(query.order_by(epochs_table.c.epoch))
        return [EpochRecord(**row._mapping) for row in rows]


@patient
def mean_epoch_seconds(storage: HardenedStorage, trial_ids: Collection[int]) -> float | None:
    """The mean duration of some trials' epochs; ``None`` where none was measured yet."""
    query = select(func.avg(epochs_table.c.seconds)).where(epochs_table.c.trial_id.in_(trial_ids))
    with reading(storage.engine) as connection:
        mean: float | None = connection.execute(query).scalar()
    return mean
