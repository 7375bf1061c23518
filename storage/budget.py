"""The number of trials a study may spend, claimed by workers before they ask for one.

Optuna counts trials per process and overshoots with several. Here a worker inserts a claim in one
write transaction that also reads the study's target and counts the claims, so that all workers
together, over any number of runs, start as many trials as the target says. The trial that is then
asked for belongs to the claim from its first moment. A claim stays when its trial ends with a
result (complete, pruned, diverged, failed) and goes when it ends without one (interrupted, lost,
out of memory): see :func:`storage.trials.end_trial`.
"""

import time
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Row, delete, func, select

from storage.claims import IS_CLAIM, Claim, holding, refuse_other_study
from storage.reconnecting import patient
from storage.schema import GRACE_SECONDS, RETRY_OF, STUDY_UID, TARGET, claims_table
from storage.storage import HardenedStorage
from storage.transactions import now, reading, transaction
from storage.trials import Outcome, end_trial
from storage.workers import WorkerRecord, beat, end_worker, list_workers

#: When this process first saw a trial that runs without a claim, by storage and trial id.
_first_seen: dict[tuple[str, int], float] = {}


@patient
def claim_trial(
    storage: HardenedStorage, study_id: int, study_uid: str, worker_id: str
) -> Claim | None:
    """Claim one trial of a study's budget.

    A claim that the worker made before, and asked for no trial with, is replaced.

    Args:
        storage: where the study is.
        study_id: the study.
        study_uid: the study's own id; see :func:`storage.studies.study_uid`.
        worker_id: the worker.

    Returns:
        The claim, or ``None`` where the budget is spent.

    Raises:
        StudyDeleted: the study is gone, or another one has its id.
    """
    unused = (claims_table.c.worker_id == worker_id) & claims_table.c.trial_id.is_(None)
    with transaction(storage.engine, study_id) as connection:
        refuse_other_study(connection, study_id, study_uid)
        # Left by a call whose answer was lost with its connection.
        connection.execute(delete(claims_table).where(unused))
        target = storage.get_study_user_attrs(study_id).get(TARGET)
        if target is not None and _count(connection, study_id) >= target:
            return None
        values = {"study_id": study_id, "worker_id": worker_id}
        statement = claims_table.insert().values(**values).returning(claims_table.c.claim_id)
        # A worker that claims is alive, though it may have been taken for dead.
        beat(storage, worker_id)
        return Claim(int(connection.execute(statement).scalar_one()), worker_id, study_uid)


def ask(storage: HardenedStorage, study: optuna.Study, claim: Claim) -> optuna.Trial:
    """Ask a study for a trial that belongs to a claim; retries that wait come first.

    Raises:
        ClaimLost: the claim was given back, since its worker was taken for dead.
    """
    with holding(claim):
        for trial in study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            # The study then returns the trial that the claim has.
            if RETRY_OF in trial.user_attrs and _take(storage, trial):
                break
        return study.ask()


@patient
def release_claim(storage: HardenedStorage, claim: Claim) -> None:
    """Give back a claim with which no trial was asked for."""
    unused = IS_CLAIM & claims_table.c.trial_id.is_(None)
    with transaction(storage.engine) as connection:
        connection.execute(delete(claims_table).where(unused), claim.row)


@patient
def count_claims(storage: HardenedStorage, study_id: int) -> int:
    """How much of its budget a study has spent or is spending."""
    with reading(storage.engine) as connection:
        return _count(connection, study_id)


def reclaim(
    storage: HardenedStorage,
    study: optuna.Study,
    study_uid: str | None = None,
    *,
    stopped: bool = False,
) -> list[int]:
    """End the trials of dead workers, give back their budget, and queue retries.

    May be called by any process, at any time, as often as it likes.

    Args:
        storage: where the study is.
        study: the study.
        study_uid: the study's own id, where it may have been deleted since it was opened.
        stopped: the workers were ended on purpose: their trials are interrupted, not lost.

    Returns:
        The numbers of the trials that were ended.

    Raises:
        StudyDeleted: another study has its id.
        KeyError: the study is gone, and no other has its id.
    """
    uid = study_uid or study.user_attrs.get(STUDY_UID, "")
    running, claims, workers, moment = _read_running(storage, study, study_uid)
    alive = {worker.worker_id for worker in workers if _is_alive(storage, worker, moment)}
    for worker in workers:
        if worker.ended is None and worker.worker_id not in alive:
            end_worker(storage, worker.worker_id, last_seen=worker.last_seen)
    outcome: Outcome = "interrupted" if stopped else "lost"
    reason = "the sweep was stopped" if stopped else "its worker died"
    ended = []
    for row in claims:
        if row.worker_id in alive:
            continue
        claim = Claim(row.claim_id, row.worker_id, uid)
        if row.trial_id is None:
            release_claim(storage, claim)
        elif row.trial_id in running:
            number = running[row.trial_id].number
            with holding(claim):
                if end_trial(storage, study, number, outcome, reason=reason):
                    ended.append(number)

    # An unclaimed trial is none of our workers': another program asked for it, and left it.
    claimed = {claim.trial_id for claim in claims}
    for trial in running.values():
        if (
            trial._trial_id not in claimed
            and _seen_for(storage, trial) > GRACE_SECONDS
            and end_trial(storage, study, trial.number, "lost", reason="its worker died")
        ):
            ended.append(trial.number)
    return ended


@patient
def _read_running(
    storage: HardenedStorage, study: optuna.Study, study_uid: str | None
) -> tuple[dict[int, FrozenTrial], Sequence[Row[Any]], list[WorkerRecord], float]:
    """Running trials by id, claims, workers, and the time, all as of one moment."""
    study_id: int = study._study_id
    query = select(claims_table).where(claims_table.c.study_id == study_id)
    with reading(storage.engine) as connection:
        if study_uid is not None:
            refuse_other_study(connection, study_id, study_uid)
        trials = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        claims = connection.execute(query).all()
        workers = list_workers(storage, study_id)
        return {trial._trial_id: trial for trial in trials}, claims, workers, now(connection)


def _is_alive(storage: HardenedStorage, worker: WorkerRecord, moment: float) -> bool:
    if worker.is_alive(moment):
        return True
    # While the database was unavailable, workers elsewhere could not send their heartbeats.
    lost = storage.last_disconnect
    recently = lost is not None and time.monotonic() - lost < GRACE_SECONDS
    return recently and worker.ended is None and not worker.is_here()


def _take(storage: HardenedStorage, trial: FrozenTrial) -> bool:
    try:
        return storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
    except (UpdateFinishedTrialError, KeyError):
        return False


def _count(connection: Connection, study_id: int) -> int:
    query = select(func.count()).where(claims_table.c.study_id == study_id)
    return int(connection.execute(query).scalar_one())


def _seen_for(storage: HardenedStorage, trial: FrozenTrial) -> float:
    """For how many seconds this process has known of an unclaimed trial.

    Its start was noted by the clock, and in the time zone, of the machine that asked for it.
    """
    now = time.monotonic()
    return now - _first_seen.setdefault((storage.location, trial._trial_id), now)
