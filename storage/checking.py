"""``sweeps storage check``: is a storage sound, and what did accidents leave in it?"""

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
import sqlalchemy
from optuna.trial import TrialState
from sqlalchemy import Connection, Row, delete, func, select
from sqlalchemy.engine import URL
from sqlalchemy.sql.elements import ColumnElement

from storage.budget import reclaim
from storage.copying import find_studies
from storage.errors import explaining
from storage.reconnecting import patient
from storage.schema import (
    GRACE_SECONDS,
    OPTUNA_TABLES,
    OUTCOME,
    READY,
    SCHEMA_VERSION,
    claims_table,
    metrics_table,
    studies_table,
    trials_table,
    workers_table,
)
from storage.snapshots import optuna_schema_version, refuse_older_schema, snapshot
from storage.storage import HardenedStorage
from storage.studies import study_uid
from storage.transactions import now, reading, transaction
from storage.trials import UNFINISHED
from storage.url import is_sqlite, show_url
from storage.workers import WorkerRecord

_RESTORE = "restore a backup, or save what can be read with `sweeps storage copy`"
_REPAIR = "`sweeps storage check --repair`"

# A worker's last transaction and the end of its process lie less than this apart.
_PAUSE_SECONDS = 1.0

# What a trial does, or how it ended where no outcome is noted.
_WORDS = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "completed",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}

# Rows of what was deleted: their table, and which they are.
_LEFT_BEHIND = {
    "workers": (
        workers_table,
        workers_table.c.study_id.not_in(select(studies_table.c.study_id)),
    ),
    "claims": (
        claims_table,
        claims_table.c.study_id.not_in(select(studies_table.c.study_id)),
    ),
    "records of epochs": (
        metrics_table,
        metrics_table.c.trial_id.not_in(select(trials_table.c.trial_id)),
    ),
}


@dataclass(frozen=True)
class Finding:
    """What was checked, and what is wrong there.

    Attributes:
        place: the file, the schema, a study, or other rows.
        text: what is wrong, or what is there where nothing is wrong.
        remedy: what a person can do about it; empty where nothing is wrong.
    """

    place: str
    text: str
    remedy: str = ""

    @property
    def is_wrong(self) -> bool:
        return bool(self.remedy)


def check_contents(url: URL, names: Sequence[str] = ()) -> list[Finding]:
    """Check a storage, while others may go on writing to it.

    A worker that ends its trial and exits just before its process is looked up seems to have died.
    So what seems wrong is checked again a little later, and reported if it was wrong both times.

    Args:
        url: where it is; it is not changed.
        names: of the studies to check; none for all.

    Raises:
        StorageError: it cannot be read, or has another schema.
    """
    with snapshot(url) as connection, explaining(show_url(url)):
        findings = _check_file(connection) if is_sqlite(url) else [Finding("database", "answers")]
        if any(finding.is_wrong for finding in findings):
            return findings
        refuse_older_schema(connection, show_url(url))
        optuna_version = optuna_schema_version(connection) or "unknown"
        findings.append(Finding("schema", f"Optuna {optuna_version}, sweeps {SCHEMA_VERSION}"))
        first = _check_rows(connection, url, names)
    if any(finding.is_wrong for finding in first):
        time.sleep(_PAUSE_SECONDS)
        with snapshot(url) as connection, explaining(show_url(url)):
            again = _check_rows(connection, url, names)
        first = [finding for finding in again if not finding.is_wrong or finding in first]
    return findings + first


def repair_contents(storage: HardenedStorage, names: Sequence[str] = ()) -> list[str]:
    """Retry what dead workers left, correct the budget, and delete what belongs to nothing.

    May be called while workers run.

    Args:
        storage: the storage.
        names: of the studies; none for all, and what belongs to none.

    Returns:
        What was done, a line each.

    Raises:
        StorageError: there is no study of a name.
    """
    with reading(storage.engine) as connection:
        studies = find_studies(connection, names, storage.location)
        ours = {name: i for name, i in studies.items() if _StudyRows.read(connection, i).is_ours}
    done = []
    for name, study_id in ours.items():
        study = optuna.load_study(study_name=name, storage=storage)
        lost = reclaim(storage, study, study_uid(storage, study))
        done += [f"study {name}: trial {number} was lost" for number in lost]
        done += [f"study {name}: {words}" for words in _correct_budget(storage, study_id)]
    return done if names else done + _delete_left_behind(storage)


@dataclass(frozen=True)
class _StudyRows:
    """A study's trials, claims and workers, as they were at one moment.

    Attributes:
        is_ours: whether it was made by this program; others' trials have no claims.
        trials: their rows, by id.
        outcomes: how trials ended, by id, where that is noted.
        workers: all that there were, by id.
        moment: when this was so, in seconds since 1970.
    """

    is_ours: bool
    trials: dict[int, Row[Any]]
    outcomes: dict[int, str]
    claims: Sequence[Row[Any]]
    workers: dict[str, WorkerRecord]
    moment: float

    @classmethod
    def read(cls, connection: Connection, study_id: int) -> "_StudyRows":
        ready = OPTUNA_TABLES.tables["study_user_attributes"]
        ready_query = select(ready).where(ready.c.study_id == study_id, ready.c.key == READY)
        of_study = trials_table.c.study_id == study_id
        trials = connection.execute(select(trials_table).where(of_study))
        notes = OPTUNA_TABLES.tables["trial_user_attributes"]
        outcomes = connection.execute(
            select(notes.c.trial_id, notes.c.value_json)
            .join(trials_table, trials_table.c.trial_id == notes.c.trial_id)
            .where(of_study, notes.c.key == OUTCOME)
        )
        claims = select(claims_table).where(claims_table.c.study_id == study_id)
        workers = connection.execute(
            select(workers_table).where(workers_table.c.study_id == study_id)
        )
        return cls(
            is_ours=connection.execute(ready_query).first() is not None,
            trials={row.trial_id: row for row in trials},
            outcomes={row.trial_id: json.loads(row.value_json) for row in outcomes},
            claims=connection.execute(claims).all(),
            workers={row.worker_id: WorkerRecord(**row._mapping) for row in workers},
            moment=now(connection),
        )

    def summary(self) -> str:
        words = Counter(
            self.outcomes.get(trial_id, _WORDS[row.state]).replace("_", " ")
            for trial_id, row in self.trials.items()
        )
        counts = ", ".join(f"{count} {word}" for word, count in sorted(words.items()))
        working = sum(worker.is_alive(self.moment) for worker in self.workers.values())
        said = f"{len(self.trials)} trials" + (f" ({counts})" if counts else "")
        return f"{said}, workers at work: {working}"

    def has_result(self, trial_id: int) -> bool:
        """Whether a trial ended with a result, and so used its part of the budget."""
        trial = self.trials[trial_id]
        unfinished = trial.state is TrialState.FAIL and self.outcomes.get(trial_id) in UNFINISHED
        return trial.state.is_finished() and not unfinished

    def needless_claims(self) -> Iterator[Row[Any]]:
        """Claims whose trial does not exist, waits, or was retried: they hold budget back."""
        for claim in self.claims:
            trial = self.trials.get(claim.trial_id)
            if claim.trial_id is None or (trial and trial.state is TrialState.RUNNING):
                continue
            if trial is None or not self.has_result(claim.trial_id):
                yield claim

    def uncounted(self) -> list[int]:
        """The ids of trials that ended with a result and have no claim."""
        claimed = {claim.trial_id for claim in self.claims}
        return [i for i in self.trials if i not in claimed and self.has_result(i)]

    def problems(self) -> Iterator[tuple[str, str]]:
        """What is wrong, and its remedy."""
        next_run = f"the next run queues a retry, or {_REPAIR}"
        for claim in self.needless_claims():
            trial = self.trials.get(claim.trial_id)
            said = "a trial that does not exist"
            if trial is not None:
                said = f"trial {trial.number}, which has no result and does not run"
            yield f"a part of the budget is held by {said}", f"{_REPAIR} gives it back"
        claims = {claim.trial_id: claim for claim in self.claims}
        for trial_id, trial in self.trials.items():
            if trial.state is not TrialState.RUNNING:
                continue
            if trial_id not in claims:
                if self.moment - trial.datetime_start.timestamp() > GRACE_SECONDS:
                    yield f"trial {trial.number} runs, but no worker has claimed it", next_run
            elif dead := self._dead(claims[trial_id].worker_id):
                yield f"trial {trial.number} runs, but its worker died: {dead}", next_run
        for claim in self.claims:
            if claim.trial_id is None and (dead := self._dead(claim.worker_id)):
                remedy = f"the next run gives it back, or {_REPAIR}"
                yield f"a part of the budget is held by {dead}, which died", remedy
        if uncounted := sorted(self.trials[i].number for i in self.uncounted()):
            more = f" and {len(uncounted) - 5} more" if len(uncounted) > 5 else ""
            numbers = ", ".join(map(str, uncounted[:5])) + more
            said = f"the budget does not count trials {numbers}, so that as many too many would run"
            yield said, f"{_REPAIR} counts them"

    def _dead(self, worker_id: str) -> str:
        """The name of a worker that is not alive; empty for one that is."""
        worker = self.workers.get(worker_id)
        if worker is None:
            return "an unknown worker"
        if worker.is_alive(self.moment):
            return ""
        return f"{worker.name} (process {worker.pid} on {worker.host})"


def _check_file(connection: Connection) -> list[Finding]:
    try:
        damages = connection.exec_driver_sql("PRAGMA integrity_check(10)").scalars().all()
        wrong = [f"is damaged: {said}" for said in damages if said != "ok"]
        # Keys are checked where the file is whole: the check reads through its indexes.
        if not wrong:
            rows = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            tables = sorted({str(row[0]) for row in rows})
            wrong = [f"{table} has rows that belong to nothing" for table in tables]
    except sqlalchemy.exc.DatabaseError as error:
        if "malformed" not in str(error.orig):
            raise
        wrong = [f"is damaged: {error.orig}"]
    findings = [Finding("file", said, _RESTORE) for said in wrong]
    return findings or [Finding("file", "whole, and every row belongs to one that is there")]


def _check_rows(connection: Connection, url: URL, names: Sequence[str]) -> list[Finding]:
    findings = []
    for name, study_id in find_studies(connection, names, show_url(url)).items():
        study = _StudyRows.read(connection, study_id)
        wrong = [Finding(f"study {name}", *each) for each in study.problems()]
        findings += (
            wrong if wrong and study.is_ours else [Finding(f"study {name}", study.summary())]
        )
    if not names:
        for words, (_, condition) in _LEFT_BEHIND.items():
            if count := _count(connection, condition):
                said = f"{count} {words} of what was deleted"
                findings.append(Finding("other rows", said, f"{_REPAIR} deletes them"))
    return findings


@patient
def _correct_budget(storage: HardenedStorage, study_id: int) -> list[str]:
    done = []
    with transaction(storage.engine, study_id) as connection:
        rows = _StudyRows.read(connection, study_id)
        needless = [claim.claim_id for claim in rows.needless_claims()]
        if needless:
            connection.execute(delete(claims_table).where(claims_table.c.claim_id.in_(needless)))
            done.append(f"gave back {len(needless)} parts of the budget")
        uncounted = [
            {"study_id": study_id, "worker_id": "", "trial_id": trial_id}
            for trial_id in rows.uncounted()
        ]
        if uncounted:
            connection.execute(claims_table.insert(), uncounted)
            done.append(f"counted {len(uncounted)} trials as parts of the budget")
    return done


@patient
def _delete_left_behind(storage: HardenedStorage) -> list[str]:
    done = []
    with transaction(storage.engine) as connection:
        for words, (table, condition) in _LEFT_BEHIND.items():
            if count := _count(connection, condition):
                connection.execute(delete(table).where(condition))
                done.append(f"deleted {count} {words} of what was deleted")
    return done


def _count(connection: Connection, condition: ColumnElement[bool]) -> int:
    return int(connection.execute(select(func.count()).where(condition)).scalar_one())
