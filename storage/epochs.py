"""What every epoch of every trial measured."""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages._rdb.models import TrialIntermediateValueModel
from sqlalchemy import func, select

from storage.claims import lock_own_trial
from storage.reconnecting import patient
from storage.schema import MAX_METRIC_NAME, OPTUNA_TABLES, metrics_table
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
        metrics: what it measured, by name, as ``{"val_accuracy": 0.5}``; ``None`` where a value was
            not finite. ``seconds``, its duration, is what the time left is estimated from.
    """

    epoch: int
    metrics: Mapping[str, float | None]


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

    The trial is the one of this thread's claim, or an unclaimed one. A metric that is reported
    again for an epoch replaces what was reported before.

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
        ValueError: a metric's name is too long for a database.
    """
    for name in record.metrics:
        if len(name) > MAX_METRIC_NAME:
            most = f"a metric's name has at most {MAX_METRIC_NAME} letters"
            raise ValueError(f"{name[:40]}...: {most}")
    trial_id = trial._trial_id
    # As Optuna writes them; its own calls, through its objects, take five times as long.
    stored, kind = TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)
    step = {"step": record.epoch, "intermediate_value": stored, "intermediate_value_type": kind}
    metrics = [
        {"epoch": record.epoch, "name": name, "value": measured}
        for name, measured in record.metrics.items()
    ]
    named = [
        {"key": name, "value_json": json.dumps(content)}
        for name, content in (attributes or {}).items()
    ]
    with transaction(storage.engine) as connection:
        if lock_own_trial(connection, trial_id).is_finished():
            raise UpdateFinishedTrialError(f"trial {trial.number} has ended and cannot be changed")
        for table, key, rows in (
            (_VALUES, ("step",), [step]),
            (metrics_table, ("epoch", "name"), metrics),
            (_ATTRIBUTES, ("key",), named),
        ):
            of_trial = [{"trial_id": trial_id, **row} for row in rows]
            upsert(connection, table, ("trial_id", *key), of_trial)
        if worker_id is not None:
            note_progress(
                storage,
                worker_id,
                trial_number=trial.number,
                epoch=record.epoch,
                epochs=epochs,
                value=value if math.isfinite(value) else None,
            )
    # The trial's own copy, which the pruner reads.
    trial._cached_frozen_trial.intermediate_values[record.epoch] = value


@patient
def read_epochs(storage: HardenedStorage, trial_id: int) -> list[EpochRecord]:
    """The records of a trial, in the order of the epochs."""
    query = select(metrics_table).where(metrics_table.c.trial_id == trial_id)
    query = query.order_by(metrics_table.c.epoch, metrics_table.c.name)
    epochs: dict[int, dict[str, float | None]] = {}
    with reading(storage.engine) as connection:
        for row in connection.execute(query):
            epochs.setdefault(row.epoch, {})[row.name] = row.value
    return [EpochRecord(epoch, metrics) for epoch, metrics in epochs.items()]


@patient
def mean_epoch_seconds(storage: HardenedStorage, trial_ids: Collection[int]) -> float | None:
    """The mean duration of some trials' epochs; ``None`` where none was measured yet."""
    query = select(func.avg(metrics_table.c.value)).where(
        metrics_table.c.trial_id.in_(trial_ids), metrics_table.c.name == "seconds"
    )
    with reading(storage.engine) as connection:
        mean: float | None = connection.execute(query).scalar()
    return mean
