"""Copies of studies in another storage, with everything that belongs to them.

What there is to copy follows from the tables themselves: every table with a column ``trial_id`` or
``study_id`` belongs to trials or studies, and all its columns go along. Ids are the target's own.
"""

import json
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import sqlalchemy
from optuna.trial import TrialState
from sqlalchemy import Column, Connection, Integer, Select, Table, select
from sqlalchemy.engine import URL

from storage.errors import StorageError, explaining
from storage.schema import (
    OPTUNA_TABLES,
    STUDY_UID,
    metadata,
    studies_table,
    trials_table,
    workers_table,
)
from storage.snapshots import refuse_older_schema, snapshot
from storage.storage import open_storage
from storage.studies import no_such_study
from storage.transactions import now, transaction
from storage.url import show_url
from storage.workers import WorkerRecord

_BATCH_ROWS = 1000

# Where optuna-dashboard names a trial in the key of a study's attribute: the notes of trials, and
# trials that were skipped when asked to compare.
_TRIAL_IN_KEY = re.compile(r"^(dashboard:|preference:skip_trial:)(\d+)(:note_.*|)$")


@dataclass(frozen=True)
class CopiedStudy:
    """A study that was copied.

    Attributes:
        name: in the target.
        trials: how many it has.
        workers: how many are at work on the source.
        running: how many of its trials run on the source; in the copy nobody runs them.
    """

    name: str
    trials: int
    workers: int
    running: int


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
    where = show_url(source)
    with snapshot(source) as connection:
        with explaining(where):
            refuse_older_schema(connection, where)
            studies = find_studies(connection, names, where)
        if as_name is not None and len(studies) != 1:
            raise StorageError(
                f"{where}: holds {len(studies)} studies, which cannot all be called {as_name}; "
                "name one with --study"
            )
        storage = open_storage(target, create=True)
        try:
            to = storage.location
            with _writing(to, where), transaction(storage.engine) as writer:
                return [
                    _Copying(connection, where, writer, to).copy(study_id, as_name or name)
                    for name, study_id in studies.items()
                ]
        finally:
            storage.engine.dispose()


def find_studies(connection: Connection, names: Iterable[str], where: str) -> dict[str, int]:
    """The names and ids of studies, in the order in which they were made.

    Args:
        connection: to their storage.
        names: of the studies; none for all.
        where: the storage, as a person knows it.

    Raises:
        StorageError: there is none of a name; the message has the nearest name.
    """
    query = select(studies_table.c.study_name, studies_table.c.study_id).order_by(
        studies_table.c.study_id
    )
    found = {name: int(study_id) for name, study_id in connection.execute(query)}
    wanted = set(names)
    for name in wanted - set(found):
        raise no_such_study(name, list(found), where)
    return {name: study_id for name, study_id in found.items() if not wanted or name in wanted}


class _Copying:
    """One study on its way from a storage to another.

    Args:
        source: the storage that it is in, and ``where`` as a person knows it.
        target: the storage that gets it, and ``to`` likewise.
    """

    def __init__(self, source: Connection, where: str, target: Connection, to: str) -> None:
        self._source = source
        self._where = where
        self._target = target
        self._to = to
        # The target's ids: of the study, and of trials and workers by the source's.
        self._study_id = 0
        self._trials: dict[int, int] = {}
        self._workers: dict[str, str] = {}
        self._running = 0

    def copy(self, study_id: int, name: str) -> CopiedStudy:
        self._copy_study(study_id, name)
        self._copy_trials(study_id)
        mine = select(workers_table).where(workers_table.c.study_id == study_id)
        workers = [WorkerRecord(**row) for row in self._rows(mine)]
        with explaining(self._where):
            moment = now(self._source)
        at_work = sum(worker.is_alive(moment) for worker in workers)
        self._workers = {worker.worker_id: uuid.uuid4().hex for worker in workers}
        for table in (*OPTUNA_TABLES.sorted_tables, *metadata.sorted_tables):
            if table not in (studies_table, trials_table):
                self._copy_table(table, study_id)
        return CopiedStudy(name, len(self._trials), at_work, self._running)

    def _copy_study(self, study_id: int, name: str) -> None:
        [row] = self._rows(select(studies_table).where(studies_table.c.study_id == study_id))
        values = _without(row, "study_id") | {"study_name": name}
        statement = studies_table.insert().values(**values).returning(studies_table.c.study_id)
        try:
            self._study_id = self._target.execute(statement).scalar_one()
        except sqlalchemy.exc.IntegrityError:
            raise StorageError(
                f"{name}: {self._to} holds a study of this name already; give the copy another "
                "with --as NAME"
            ) from None

    def _copy_trials(self, study_id: int) -> None:
        query = select(trials_table).where(trials_table.c.study_id == study_id)
        statement = trials_table.insert().returning(
            trials_table.c.trial_id, sort_by_parameter_order=True
        )
        for batch in _batches(self._rows(query.order_by(trials_table.c.trial_id))):
            values = [self._moved(trials_table, _without(row, "trial_id")) for row in batch]
            new = self._target.execute(statement, values).scalars().all()
            self._trials.update(zip((row["trial_id"] for row in batch), new, strict=True))
            self._running += sum(row["state"] is TrialState.RUNNING for row in batch)

    def _copy_table(self, table: Table, study_id: int) -> None:
        query = select(table).order_by(*table.primary_key)
        if "study_id" in table.c:
            query = query.where(table.c.study_id == study_id)
        elif "trial_id" in table.c:
            query = query.join(trials_table, table.c.trial_id == trials_table.c.trial_id)
            query = query.where(trials_table.c.study_id == study_id)
        else:
            return
        key = _own_key(table)
        drop = () if key is None else (key.name,)
        for batch in _batches(self._rows(query)):
            values = [
                self._moved(table, _without(row, *drop))
                for row in batch
                if row.get("trial_id") in self._trials or row.get("trial_id") is None
            ]
            if values:
                self._target.execute(table.insert(), values)

    def _rows(self, query: Select[Any]) -> Iterator[dict[str, Any]]:
        """Rows of the source, a batch at a time in memory."""
        with explaining(self._where):
            result = self._source.execute(query.execution_options(yield_per=_BATCH_ROWS))
            for row in result.mappings():
                yield dict(row)

    def _moved(self, table: Table, row: dict[str, Any]) -> dict[str, Any]:
        """A row of a table as the target has it: with its ids, and nobody at work."""
        moved = dict(row)
        if "study_id" in row:
            moved["study_id"] = self._study_id
        if row.get("trial_id") is not None:
            moved["trial_id"] = self._trials[row["trial_id"]]
        if "worker_id" in row:
            # The worker of a claim may be unknown.
            moved["worker_id"] = self._workers.get(row["worker_id"], row["worker_id"])
        if table is workers_table and row["ended"] is None:
            moved["ended"] = row["last_seen"]
        if table.name == "study_user_attributes" and row["key"] == STUDY_UID:
            # An id of its own, so that the source's workers have no claim to the copy.
            moved["value_json"] = json.dumps(uuid.uuid4().hex)
        if table.name == "study_system_attributes":
            moved["key"] = _TRIAL_IN_KEY.sub(self._renamed, row["key"])
        return moved

    def _renamed(self, match: re.Match[str]) -> str:
        """A key with the target's id of the trial that it names."""
        before, trial_id, after = match.groups()
        return f"{before}{self._trials.get(int(trial_id), trial_id)}{after}"


def _own_key(table: Table) -> Column[Any] | None:
    """A table's primary key where it is a number that the database gives."""
    key, *more = table.primary_key
    if more or not isinstance(key.type, Integer) or key.foreign_keys:
        return None
    return key


@contextmanager
def _writing(target: str, source: str) -> Iterator[None]:
    try:
        with explaining(target):
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
