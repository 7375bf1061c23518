"""Trials read straight from Optuna's tables, as they are at one moment.

A worker reads its trial in every epoch, and all trials at the rungs of its pruner. Optuna maps each
row to an object first, which takes several times as long; see "What it costs" in
``docs/reliability.md``.
"""

from collections.abc import Collection, Container, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Row, bindparam, select

from storage.schema import studies_table, trials_table
from storage.transactions import reading

AnyRow = Row[*tuple[Any, ...]]

_SELECT = select(
    trials_table.c.trial_id,
    trials_table.c.number,
    trials_table.c.state,
    trials_table.c.datetime_start,
    trials_table.c.datetime_complete,
)
# Built once, since that takes longer than executing them.
_TRIAL = _SELECT.where(trials_table.c.trial_id == bindparam("trial_id"))
# What else is kept of trials, under the names of Optuna's model of one.
_PARTS = {
    name: select(table)
    .where(table.c.trial_id.in_(bindparam("trial_ids", expanding=True)))
    .order_by(*table.primary_key)
    for name, table in {
        "values": models.TrialValueModel.__table__,
        "params": models.TrialParamModel.__table__,
        "user_attributes": models.TrialUserAttributeModel.__table__,
        "system_attributes": models.TrialSystemAttributeModel.__table__,
        "intermediate_values": models.TrialIntermediateValueModel.__table__,
    }.items()
}
# Databases limit the number of parameters of a statement.
_CHUNK = 1000


@dataclass
class _TrialRows:
    """A trial's rows, under the names of Optuna's model of a trial."""

    trial_id: int
    number: int
    state: TrialState
    _datetime_start_utc: datetime | None
    _datetime_complete_utc: datetime | None
    values: list[AnyRow] = field(default_factory=list)
    params: list[AnyRow] = field(default_factory=list)
    user_attributes: list[AnyRow] = field(default_factory=list)
    system_attributes: list[AnyRow] = field(default_factory=list)
    intermediate_values: list[AnyRow] = field(default_factory=list)

    # Stored as UTC, shown as local time.
    datetime_start = models.TrialModel.datetime_start
    datetime_complete = models.TrialModel.datetime_complete


def read_trial(storage: RDBStorage, trial_id: int) -> FrozenTrial:
    """What :meth:`optuna.storages.RDBStorage.get_trial` returns."""
    with reading(storage.engine) as connection:
        rows = connection.execute(_TRIAL, {"trial_id": trial_id}).all()
        if not rows:
            raise KeyError(models.NOT_FOUND_MSG)
        return _with_parts(storage, connection, rows)[0]


def read_trials(
    storage: RDBStorage,
    study_id: int,
    states: Container[TrialState] | None,
    included_trial_ids: Collection[int],
    trial_id_greater_than: int,
) -> list[FrozenTrial]:
    """What ``optuna.storages.RDBStorage._get_trials`` returns."""
    older = sorted(i for i in included_trial_ids if i <= trial_id_greater_than)
    either = [trials_table.c.trial_id.in_(ids) for ids in _chunks(older)]
    either.append(trials_table.c.trial_id > trial_id_greater_than)
    every = [trials_table.c.study_id == study_id]
    if states is not None:
        every.append(trials_table.c.state.in_([state for state in TrialState if state in states]))
    study = select(studies_table.c.study_id).where(studies_table.c.study_id == study_id)
    with reading(storage.engine) as connection:
        if connection.execute(study).one_or_none() is None:
            raise KeyError(models.NOT_FOUND_MSG)
        rows = (
            row
            for condition in either
            for row in connection.execute(_SELECT.where(condition, *every))
        )
        return _with_parts(storage, connection, rows)


def _with_parts(
    storage: RDBStorage, connection: Connection, rows: Iterable[AnyRow]
) -> list[FrozenTrial]:
    """The trials of the rows, in the order in which they were made."""
    found = {row.trial_id: _TrialRows(*row) for row in rows}
    for ids in _chunks(sorted(found)):
        for name, query in _PARTS.items():
            for row in connection.execute(query, {"trial_ids": ids}):
                getattr(found[row.trial_id], name).append(row)
    return [
        storage._build_frozen_trial_from_trial_model(trial)  # type: ignore[arg-type]
        for _, trial in sorted(found.items())
    ]


def _chunks(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]
