"""Optuna's RDB storage, with trials that are read straight from its tables.

A worker reads its trial in every epoch, for the pruner; through Optuna's objects that takes several
times as long.
"""

from collections.abc import Collection, Container, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Row, bindparam, select

from storage.transactions import reading

AnyRow = Row[*tuple[Any, ...]]

_STUDIES = models.StudyModel.__table__
_TRIALS = models.TrialModel.__table__
_SELECT = select(
    _TRIALS.c.trial_id,
    _TRIALS.c.number,
    _TRIALS.c.state,
    _TRIALS.c.datetime_start,
    _TRIALS.c.datetime_complete,
)
# To put a statement together takes longer than to execute it.
_TRIAL = _SELECT.where(_TRIALS.c.trial_id == bindparam("trial_id"))
#: What else is kept of trials, under the names of Optuna's model of one.
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
#: More trials are not named in one statement, since databases bear only so many parameters.
_MOST_NAMED = 1000


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

    # Kept as UTC, shown as local time.
    datetime_start = models.TrialModel.datetime_start
    datetime_complete = models.TrialModel.datetime_complete


class QuickReadingStorage(RDBStorage):
    """An :class:`optuna.storages.RDBStorage` that maps no rows to objects to read trials.

    What it returns is what Optuna returns.
    """

    def get_trial(self, trial_id: int) -> FrozenTrial:
        with reading(self.engine) as connection:
            rows = connection.execute(_TRIAL, {"trial_id": trial_id})
            trials = self._with_parts(connection, rows)
        if not trials:
            raise KeyError(models.NOT_FOUND_MSG)
        return trials[0]

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: Collection[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        newer = _TRIALS.c.trial_id > trial_id_greater_than
        named = sorted(number for number in included_trial_ids if number <= trial_id_greater_than)
        # The newer ones last: whoever is seen to have ended is seen with the trial that then came
        # to stand in for it, else its checkpoint would seem to be of no use.
        either = [*(_TRIALS.c.trial_id.in_(some) for some in _chunks(named)), newer]
        every = [_TRIALS.c.study_id == study_id]
        if states is not None:
            every.append(_TRIALS.c.state.in_([state for state in TrialState if state in states]))
        exists = select(_STUDIES.c.study_id).where(_STUDIES.c.study_id == study_id)
        with reading(self.engine) as connection:
            if connection.execute(exists).one_or_none() is None:
                raise KeyError(models.NOT_FOUND_MSG)
            rows = (
                row
                for condition in either
                for row in connection.execute(_SELECT.where(condition, *every))
            )
            return self._with_parts(connection, rows)

    def _with_parts(self, connection: Connection, rows: Iterable[AnyRow]) -> list[FrozenTrial]:
        """The trials of the rows, in the order in which they were made."""
        # Read before their parts: those of a trial that has ended change no more.
        found = {row.trial_id: _TrialRows(*row) for row in rows}
        for some in _chunks(sorted(found)):
            for name, query in _PARTS.items():
                for row in connection.execute(query, {"trial_ids": some}):
                    getattr(found[row.trial_id], name).append(row)
        return [
            self._build_frozen_trial_from_trial_model(rows)  # type: ignore[arg-type]
            for _, rows in sorted(found.items())
        ]


def _chunks(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), _MOST_NAMED):
        yield ids[start : start + _MOST_NAMED]
