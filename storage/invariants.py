"""What holds of every study of ours at every moment, so that what does not is an accident."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import Connection, Row, Select, and_, func, or_, select
from sqlalchemy.sql.elements import ColumnElement

from storage.artifact_entries import artifact_ids
from storage.clock import now
from storage.schema import artifacts_table, claims_table, epochs_table, workers_table
from storage.snapshots import has_table
from storage.studies import READY
from storage.trials import OUTCOME, RETRY_OF, UNFINISHED
from storage.workers import GRACE_SECONDS, WorkerRecord

_TABLES = models.BaseModel.metadata.tables
_STUDIES, _TRIALS = _TABLES["studies"], _TABLES["trials"]
_STUDY_ATTRIBUTES = _TABLES["study_user_attributes"]
_STUDY_SYSTEM_ATTRIBUTES = _TABLES["study_system_attributes"]
_ATTRIBUTES = _TABLES["trial_user_attributes"]
_VALUES = _TABLES["trial_values"]
_INTERMEDIATE = _TABLES["trial_intermediate_values"]

#: Where Optuna keeps what a study's values are called.
_METRIC_NAMES = "study:metric_names"

_REPAIR = "`sweeps storage check --repair`"
_QUEUE = f"the next run queues it again, or {_REPAIR}"
_FORGET = f"{_REPAIR} forgets it"
_RESTORE = "restore a backup, or leave the trial out of comparisons"

#: What trials are at, or how they ended where that is not noted.
_WORDS = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "completed",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}

Problem = tuple[str, str]


@dataclass(frozen=True)
class StudyRows:
    """A study's trials, claims and workers, as they were at one moment.

    Attributes:
        study_id: the study's.
        is_ours: whether it was made by this program; others' trials have no claims.
        trials: their rows, by id.
        outcomes: how trials ended, by id, where that is noted.
        retries: trial id -> the number of the trial that it stands in for.
        claims: their rows.
        workers: all that there were, by id.
        moment: when this was so, in seconds since 1970.
    """

    study_id: int
    is_ours: bool
    trials: dict[int, Row[Any]]
    outcomes: dict[int, str]
    retries: dict[int, int]
    claims: list[Row[Any]]
    workers: dict[str, WorkerRecord]
    moment: float

    def summary(self) -> str:
        """What there is, in a few words."""
        words = Counter(
            self.outcomes.get(trial_id, _WORDS[row.state]).replace("_", " ")
            for trial_id, row in self.trials.items()
        )
        counts = ", ".join(f"{count} {word}" for word, count in sorted(words.items()))
        working = sum(worker.is_alive(self.moment) for worker in self.workers.values())
        said = f"{len(self.trials)} trials" + (f" ({counts})" if counts else "")
        return f"{said}, workers at work: {working}"

    def problems(self, connection: Connection) -> list[Problem]:
        """What is wrong, and what can be done about it."""
        found = [*self._numbers(), *self._without_value(connection)]
        if self.is_ours:
            found += [*self._loose_claims(), *self._running(), *self._uncounted(), *self._doubles()]
            found += [*self._epochs(connection), *self._artifacts(connection)]
        return found

    def ended_with_result(self, trial_id: int) -> bool:
        """Whether a trial has used its part of the budget."""
        trial = self.trials[trial_id]
        unfinished = trial.state is TrialState.FAIL and self.outcomes.get(trial_id) in UNFINISHED
        return trial.state.is_finished() and not unfinished

    def loose_claims(self) -> list[Row[Any]]:
        """Claims whose trial is not there, waits, or was queued again: they hold budget back."""

        def is_loose(claim: Row[Any]) -> bool:
            if claim.trial_id is None:
                return False
            if claim.trial_id not in self.trials:
                return True
            running = self.trials[claim.trial_id].state is TrialState.RUNNING
            return not running and not self.ended_with_result(claim.trial_id)

        return [claim for claim in self.claims if is_loose(claim)]

    def uncounted(self) -> list[int]:
        """The ids of trials that ended with a result that no claim accounts for."""
        claimed = {claim.trial_id for claim in self.claims}
        return [i for i in self.trials if i not in claimed and self.ended_with_result(i)]

    def _numbers(self) -> Iterator[Problem]:
        numbers = Counter(row.number for row in self.trials.values())
        missing = sorted(set(range(len(self.trials))) - set(numbers))
        twice = sorted(number for number, count in numbers.items() if count > 1)
        for word, some in (("no trial has", missing), ("several trials have", twice)):
            if some:
                yield f"{word} the number {_listed(some)}", _RESTORE

    def _without_value(self, connection: Connection) -> Iterator[Problem]:
        query = (
            select(_TRIALS.c.number)
            .outerjoin(_VALUES, _VALUES.c.trial_id == _TRIALS.c.trial_id)
            .where(self._mine, _TRIALS.c.state == TrialState.COMPLETE, _VALUES.c.trial_id.is_(None))
        )
        yield from _each_trial(connection, query, "is complete without a value", _RESTORE)

    def _loose_claims(self) -> Iterator[Problem]:
        for claim in self.loose_claims():
            trial = self.trials.get(claim.trial_id)
            of = "a trial that is not there" if trial is None else f"trial {trial.number}"
            how = "" if trial is None else ", which has no result and does not run"
            yield f"a part of the budget is held by {of}{how}", _FORGET
        for claim in self.claims:
            if claim.trial_id is None and not self._lives(claim.worker_id):
                yield (
                    f"a part of the budget is held by {self._name(claim.worker_id)}, which died",
                    f"the next run gives it back, or {_REPAIR}",
                )

    def _running(self) -> Iterator[Problem]:
        claims = {claim.trial_id: claim for claim in self.claims}
        for trial_id, trial in self.trials.items():
            if trial.state is not TrialState.RUNNING:
                continue
            claim = claims.get(trial_id)
            if claim is None:
                begun = trial.datetime_start.timestamp()
                if self.moment - begun > GRACE_SECONDS:
                    yield f"trial {trial.number} runs, but no worker has claimed it", _QUEUE
            elif not self._lives(claim.worker_id):
                name = self._name(claim.worker_id)
                yield f"trial {trial.number} runs, but its worker died: {name}", _QUEUE

    def _uncounted(self) -> Iterator[Problem]:
        numbers = sorted(self.trials[trial_id].number for trial_id in self.uncounted())
        if numbers:
            yield (
                f"the budget does not count what trials {_listed(numbers)} used, so that as many "
                "too many would run",
                f"{_REPAIR} counts them",
            )

    def _doubles(self) -> Iterator[Problem]:
        for number, count in Counter(self.retries.values()).items():
            if count > 1:
                yield (
                    f"{count} trials stand in for trial {number}",
                    "their results count all the same; leave all but one out of comparisons",
                )

    def _epochs(self, connection: Connection) -> Iterator[Problem]:
        if not has_table(connection, epochs_table.name):
            return
        same = and_(
            _INTERMEDIATE.c.trial_id == epochs_table.c.trial_id,
            _INTERMEDIATE.c.step == epochs_table.c.epoch,
        )
        recorded = select(epochs_table.c.trial_id)
        # Trials of another objective report values without records.
        unrecorded = (
            select(_TRIALS.c.number)
            .join(_INTERMEDIATE, _INTERMEDIATE.c.trial_id == _TRIALS.c.trial_id)
            .outerjoin(epochs_table, same)
            .where(self._mine, epochs_table.c.epoch.is_(None), _TRIALS.c.trial_id.in_(recorded))
        )
        unreported = (
            select(_TRIALS.c.number)
            .join(epochs_table, epochs_table.c.trial_id == _TRIALS.c.trial_id)
            .outerjoin(_INTERMEDIATE, same)
            .where(self._mine, _INTERMEDIATE.c.step.is_(None))
        )
        yield from _each_trial(connection, unrecorded, "lacks records of epochs", _RESTORE)
        yield from _each_trial(connection, unreported, "lacks values of epochs", _RESTORE)
        metric = self._metric(connection)
        if metric is None:
            return
        value, record = _INTERMEDIATE.c.intermediate_value, epochs_table.c[metric]
        other = or_(value != record, value.is_(None) != record.is_(None))
        differing = (
            select(_TRIALS.c.number)
            .join(_INTERMEDIATE, _INTERMEDIATE.c.trial_id == _TRIALS.c.trial_id)
            .join(epochs_table, same)
            .where(self._mine, other)
        )
        said = f"has values that are not the {metric} of its epochs"
        yield from _each_trial(connection, differing, said, _RESTORE)

    def _metric(self, connection: Connection) -> str | None:
        """The column of the epochs that the study's value is, if it is one."""
        query = select(_STUDY_SYSTEM_ATTRIBUTES.c.value_json).where(
            _STUDY_SYSTEM_ATTRIBUTES.c.study_id == self.study_id,
            _STUDY_SYSTEM_ATTRIBUTES.c.key == _METRIC_NAMES,
        )
        names = json.loads(connection.execute(query).scalar() or "[]")
        return names[0] if len(names) == 1 and names[0] in epochs_table.c else None

    def _artifacts(self, connection: Connection) -> Iterator[Problem]:
        whole = _whole_artifacts(connection)
        for artifact_id in sorted(artifact_ids(connection, self.study_id)):
            if not whole.get(artifact_id, False):
                how = "is not whole" if artifact_id in whole else "is not there"
                yield f"the content of artifact {artifact_id} {how}", _RESTORE

    def _lives(self, worker_id: str) -> bool:
        worker = self.workers.get(worker_id)
        return worker is not None and worker.is_alive(self.moment)

    def _name(self, worker_id: str) -> str:
        worker = self.workers.get(worker_id)
        if worker is None:
            return "a worker that is not known"
        return f"{worker.name} (process {worker.pid} on {worker.host})"

    @property
    def _mine(self) -> ColumnElement[bool]:
        return _TRIALS.c.study_id == self.study_id


def read_study(connection: Connection, study_id: int) -> StudyRows:
    """Read a study, in one transaction that sees one moment."""
    trials = select(_TRIALS).where(_TRIALS.c.study_id == study_id).order_by(_TRIALS.c.number)
    attributes = (
        select(_ATTRIBUTES)
        .join(_TRIALS, _TRIALS.c.trial_id == _ATTRIBUTES.c.trial_id)
        .where(_TRIALS.c.study_id == study_id, _ATTRIBUTES.c.key.in_([OUTCOME, RETRY_OF]))
    )
    told: dict[str, dict[int, Any]] = {OUTCOME: {}, RETRY_OF: {}}
    for row in connection.execute(attributes):
        told[row.key][row.trial_id] = json.loads(row.value_json)
    ready = select(_STUDY_ATTRIBUTES.c.key).where(
        _STUDY_ATTRIBUTES.c.study_id == study_id, _STUDY_ATTRIBUTES.c.key == READY
    )
    claims: list[Row[Any]] = []
    workers: list[WorkerRecord] = []
    if has_table(connection, claims_table.name):
        of_study = claims_table.c.study_id == study_id
        claims = list(connection.execute(select(claims_table).where(of_study)))
        of_study = workers_table.c.study_id == study_id
        rows = connection.execute(select(workers_table).where(of_study))
        workers = [WorkerRecord(**row._mapping) for row in rows]
    return StudyRows(
        study_id=study_id,
        is_ours=connection.execute(ready).first() is not None,
        trials={row.trial_id: row for row in connection.execute(trials)},
        outcomes=told[OUTCOME],
        retries=told[RETRY_OF],
        claims=claims,
        workers={worker.worker_id: worker for worker in workers},
        moment=now(connection),
    )


def loose_rows() -> dict[str, tuple[Any, ColumnElement[bool]]]:
    """What belongs to studies or trials that are not there -> its table, and which rows."""
    studies, trials = select(_STUDIES.c.study_id), select(_TRIALS.c.trial_id)
    return {
        "workers": (workers_table, workers_table.c.study_id.not_in(studies)),
        "claims": (claims_table, claims_table.c.study_id.not_in(studies)),
        "records of epochs": (epochs_table, epochs_table.c.trial_id.not_in(trials)),
    }


def loose_artifacts(connection: Connection) -> list[str]:
    """The ids of artifacts that no study and no trial has an entry for."""
    return sorted(set(_whole_artifacts(connection)) - artifact_ids(connection))


def find_loose_rows(connection: Connection) -> Iterator[Problem]:
    """What belongs to nothing: left by studies that were deleted."""
    for words, (table, condition) in loose_rows().items():
        if has_table(connection, table.name):
            query = select(func.count()).select_from(table).where(condition)
            if count := connection.execute(query).scalar_one():
                yield f"{count} {words} of what is not there any more", f"{_REPAIR} forgets them"
    if count := len(loose_artifacts(connection)):
        yield f"{count} artifacts of what is not there any more", f"{_REPAIR} forgets them"


def _whole_artifacts(connection: Connection) -> dict[str, bool]:
    """The artifacts whose content there is -> whether none of its parts is missing."""
    if not has_table(connection, artifacts_table.name):
        return {}
    part = artifacts_table.c.part
    query = select(artifacts_table.c.artifact_id, func.count(), func.max(part)).group_by(
        artifacts_table.c.artifact_id
    )
    return {name: count == last + 1 for name, count, last in connection.execute(query)}


def _each_trial(
    connection: Connection, query: Select[Any], said: str, remedy: str
) -> Iterator[Problem]:
    ordered = query.distinct().order_by(_TRIALS.c.number)
    for number in connection.execute(ordered).scalars():
        yield f"trial {number} {said}", remedy


def _listed(numbers: list[int]) -> str:
    more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
    return ", ".join(str(number) for number in numbers[:5]) + more
