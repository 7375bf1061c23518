"""Copies of studies in another storage, with everything that belongs to them.

What there is to copy follows from the tables themselves: every table with a column ``trial_id`` or
``study_id`` belongs to trials or studies, and all its columns go along. Ids are the target's own.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import sqlalchemy
from optuna.trial import TrialState
from sqlalchemy import Column, Connection, Integer, Select, Table, func, select
from sqlalchemy.engine import URL

from storage.artifact_entries import artifact_ids
from storage.claims import STUDY_UID
from storage.clock import now
from storage.errors import StorageError
from storage.rdb import HardenedStorage, open_storage
from storage.schema import artifacts_table, metadata, workers_table
from storage.snapshots import OPTUNA_TABLES, has_table, snapshot, telling
from storage.studies import no_such_study
from storage.transactions import transaction
from storage.url import show_url
from storage.workers import WorkerRecord

_BATCH_ROWS = 1000

_STUDIES = OPTUNA_TABLES.tables["studies"]
_TRIALS = OPTUNA_TABLES.tables["trials"]
_STUDY_ATTRIBUTES = OPTUNA_TABLES.tables["study_system_attributes"]

#: Where optuna-dashboard names a trial in the key of a study's attribute: the notes of trials, the
#: files that finished trials were given, and trials that were skipped when asked to compare.
_TRIAL_IN_KEY = re.compile(
    r"(dashboard:)(\d+)(:note_.*)|(dashboard:artifacts:)(\d+)(:.*)|(preference:skip_trial:)(\d+)()"
)


@dataclass(frozen=True)
class CopiedStudy:
    """A study that was copied.

    Attributes:
        name: in the target.
        workers: how many were at work on the source.
        running: how many of its trials run on the source, and in the copy are nobody's.
    """

    name: str
    trials: int
    workers: int
    running: int


@dataclass
class _Ids:
    """The ids of one study and its trials and workers in the source -> those in the target."""

    studies: dict[int, int] = field(default_factory=dict)
    trials: dict[int, int] = field(default_factory=dict)
    workers: dict[str, str] = field(default_factory=dict)


def copy_studies(
    source: URL, target: URL, names: Sequence[str] = (), *, as_name: str | None = None
) -> list[CopiedStudy]:
    """Copy studies: all of them in one transaction of the target, from one moment of the source.

    Args:
        source: the storage that they are in; it is not changed.
        target: the storage that gets them; made where there is none.
        names: of the studies; none for all.
        as_name: what the one study is called in the target; ``None`` for its own name.

    Raises:
        StorageError: they cannot be copied; the target holds what it did before.
    """
    with snapshot(source) as connection:
        with telling(show_url(source)):
            ids = find_studies(connection, names, show_url(source))
        if as_name is not None and len(ids) != 1:
            raise StorageError(
                f"{show_url(source)}: holds {len(ids)} studies, which cannot all be called "
                f"{as_name}; name one with --study"
            )
        storage = open_storage(target, create=True)
        try:
            return copy_from(connection, show_url(source), storage, ids, as_name)
        finally:
            storage.engine.dispose()


def copy_from(
    source: Connection,
    where: str,
    target: HardenedStorage,
    studies: dict[str, int],
    as_name: str | None = None,
) -> list[CopiedStudy]:
    """Copy studies from a snapshot of their storage, in one transaction.

    Args:
        source: the snapshot.
        where: its storage, as a person knows it.
        target: the storage that gets them.
        studies: their names and ids.
        as_name: what the one study is called in the target; ``None`` for its own name.

    Raises:
        StorageError: they cannot be copied; the target holds what it did before.
    """
    with _writing(target.location, where), transaction(target.engine) as connection:
        return [
            _Copying(source, where, connection, target.location).copy(study_id, as_name or name)
            for name, study_id in studies.items()
        ]


def find_studies(connection: Connection, names: Iterable[str], where: str) -> dict[str, int]:
    """The names and ids of studies, in the order in which they were made.

    Args:
        connection: to their storage.
        names: of the studies; none for all.
        where: the storage, as a person knows it.

    Raises:
        StorageError: there is none of a name; the nearest name is told.
    """
    query = select(_STUDIES.c.study_name, _STUDIES.c.study_id).order_by(_STUDIES.c.study_id)
    found = {name: int(study_id) for name, study_id in connection.execute(query)}
    wanted = set(names)
    for name in wanted - set(found):
        raise no_such_study(name, list(found), where)
    return {name: study_id for name, study_id in found.items() if not wanted or name in wanted}


class _Copying:
    """One study on its way from a storage to another."""

    def __init__(self, source: Connection, where: str, target: Connection, to: str) -> None:
        self._source = source
        self._where = where
        self._target = target
        self._to = to
        self._ids = _Ids()

    def copy(self, study_id: int, name: str) -> CopiedStudy:
        self._copy_study(study_id, name)
        self._copy_trials(study_id)
        workers, at_work = self._workers(study_id)
        self._ids.workers = {worker.worker_id: uuid.uuid4().hex for worker in workers}
        for table in (*OPTUNA_TABLES.sorted_tables, *metadata.sorted_tables):
            if table not in (_STUDIES, _TRIALS) and self._is_in_source(table):
                self._copy_table(table, study_id)
        self._copy_artifacts(study_id)
        running = select(func.count()).where(
            (_TRIALS.c.study_id == study_id) & (_TRIALS.c.state == TrialState.RUNNING)
        )
        with telling(self._where):
            count = self._source.execute(running).scalar_one()
        return CopiedStudy(name, len(self._ids.trials), at_work, count)

    def _copy_study(self, study_id: int, name: str) -> None:
        [row] = self._rows(select(_STUDIES).where(_STUDIES.c.study_id == study_id))
        values = _without(row, "study_id") | {"study_name": name}
        known = select(_STUDIES.c.study_id).where(_STUDIES.c.study_name == name)
        taken = StorageError(
            f"{name}: {self._to} holds a study of this name already; give the copy another with "
            "--as NAME"
        )
        if self._target.execute(known).first() is not None:
            raise taken
        try:
            statement = _STUDIES.insert().values(**values).returning(_STUDIES.c.study_id)
            self._ids.studies[study_id] = self._target.execute(statement).scalar_one()
        except sqlalchemy.exc.IntegrityError:
            # Another process made it in this moment.
            raise taken from None

    def _copy_trials(self, study_id: int) -> None:
        query = select(_TRIALS).where(_TRIALS.c.study_id == study_id)
        statement = _TRIALS.insert().returning(_TRIALS.c.trial_id, sort_by_parameter_order=True)
        for batch in _batches(self._rows(query.order_by(_TRIALS.c.trial_id))):
            values = [self._moved(_without(row, "trial_id")) for row in batch]
            new = self._target.execute(statement, values).scalars().all()
            self._ids.trials.update(zip((row["trial_id"] for row in batch), new, strict=True))

    def _workers(self, study_id: int) -> tuple[list[WorkerRecord], int]:
        """The workers that the study ever had, and how many are at work."""
        if not self._is_in_source(workers_table):
            return [], 0
        mine = select(workers_table).where(workers_table.c.study_id == study_id)
        workers = [WorkerRecord(**row) for row in self._rows(mine)]
        with telling(self._where):
            moment = now(self._source)
        return workers, sum(worker.is_alive(moment) for worker in workers)

    def _copy_table(self, table: Table, study_id: int) -> None:
        query = select(table)
        if "study_id" in table.c:
            query = query.where(table.c.study_id == study_id)
        elif "trial_id" in table.c:
            query = query.join(_TRIALS, table.c.trial_id == _TRIALS.c.trial_id)
            query = query.where(_TRIALS.c.study_id == study_id)
        else:
            return
        key = _own_key(table)
        drop = () if key is None else (key.name,)
        change = _CHANGES.get(table.name, _unchanged)
        for batch in _batches(self._rows(query.order_by(*table.primary_key))):
            values = [
                change(self._moved(_without(row, *drop)), self._ids)
                for row in batch
                if row.get("trial_id") in self._ids.trials or row.get("trial_id") is None
            ]
            if values:
                self._target.execute(table.insert(), values)

    def _copy_artifacts(self, study_id: int) -> None:
        if not self._is_in_source(artifacts_table):
            return
        with telling(self._where):
            wanted = sorted(artifact_ids(self._source, study_id))
        for artifact_id in wanted:
            mine = artifacts_table.c.artifact_id == artifact_id
            parts = select(artifacts_table).where(mine).order_by(artifacts_table.c.part)
            there = self._target.execute(parts).mappings().all()
            if not there:
                for row in self._rows(parts, batch=1):
                    self._target.execute(artifacts_table.insert(), row)
            # Ids are made to be unique, so it is the same file, of a copy that was made before.
            elif list(self._rows(parts)) != [dict(row) for row in there]:
                raise StorageError(
                    f"{self._to}: holds another artifact {artifact_id}; remove one of the two"
                )

    def _rows(self, query: Select[Any], batch: int = _BATCH_ROWS) -> Iterator[dict[str, Any]]:
        """Rows of the source, a batch at a time in memory."""
        with telling(self._where):
            result = self._source.execute(query.execution_options(yield_per=batch))
            for row in result.mappings():
                yield dict(row)

    def _moved(self, row: dict[str, Any]) -> dict[str, Any]:
        """A row with the target's ids."""
        moved = dict(row)
        if row.get("study_id") is not None:
            moved["study_id"] = self._ids.studies[row["study_id"]]
        if row.get("trial_id") is not None:
            moved["trial_id"] = self._ids.trials[row["trial_id"]]
        if "worker_id" in row:
            # A claim may be of a worker that is not known any more.
            moved["worker_id"] = self._ids.workers.get(row["worker_id"], row["worker_id"])
        return moved

    def _is_in_source(self, table: Table) -> bool:
        with telling(self._where):
            return has_table(self._source, table.name)


def _unchanged(row: dict[str, Any], _ids: _Ids) -> dict[str, Any]:
    return row


def _ended(row: dict[str, Any], _ids: _Ids) -> dict[str, Any]:
    """A worker is at work on the source, never on the copy."""
    return row if row["ended"] is not None else row | {"ended": row["last_seen"]}


def _renamed(row: dict[str, Any], ids: _Ids) -> dict[str, Any]:
    match = _TRIAL_IN_KEY.fullmatch(row["key"])
    if match is None:
        return row
    before, trial_id, after = (group for group in match.groups() if group is not None)
    return row | {"key": f"{before}{ids.trials.get(int(trial_id), trial_id)}{after}"}


def _of_another_study(row: dict[str, Any], _ids: _Ids) -> dict[str, Any]:
    """A copy is not the study that it was made from, whose workers have no claim to it."""
    return row if row["key"] != STUDY_UID else row | {"value_json": json.dumps(uuid.uuid4().hex)}


_CHANGES: dict[str, Callable[[dict[str, Any], _Ids], dict[str, Any]]] = {
    workers_table.name: _ended,
    _STUDY_ATTRIBUTES.name: _renamed,
    "study_user_attributes": _of_another_study,
}


def _own_key(table: Table) -> Column[Any] | None:
    """A table's primary key where it is a number that the database gives."""
    key, *more = table.primary_key
    if more or not isinstance(key.type, Integer) or key.foreign_keys:
        return None
    return key


@contextmanager
def _writing(target: str, source: str) -> Iterator[None]:
    try:
        with telling(target):
            yield
    except sqlalchemy.exc.DataError as error:
        said = " ".join(str(error.orig).split())
        raise StorageError(
            f"{target}: cannot hold what {source} holds, nothing was copied ({said})"
        ) from None


def _without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(rows, _BATCH_ROWS)):
        yield batch
