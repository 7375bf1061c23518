"""The number of trials a study may spend, claimed by workers before they ask for one.

Optuna counts trials per process and overshoots with several. Here a worker inserts a claim in one
write transaction that also reads the study's target and counts the claims there are, so that all
workers together, over any number of runs, start as many trials as the target says. The trial that
is then asked for belongs to the claim from its first moment. A claim stays when its trial ends with
a result (complete, pruned, diverged, failed) and goes when it ends without one (interrupted, lost,
out of memory): see :func:`storage.trials.end_trial`.
"""

import time

import optuna
import sqlalchemy
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState
from sqlalchemy import delete, func, select

from storage.claims import IS_CLAIM, STUDY_UID, Claim, holding, refuse_other_study
from storage.clock import now
from storage.rdb import HardenedStorage
from storage.reconnecting import patient
from storage.schema import claims_table
from storage.transactions import reading, transaction
from storage.trials import RETRY_OF, end_trial
from storage.workers import GRACE_SECONDS, WorkerRecord, beat, end_worker, list_workers

#: User attribute of a study: how many trials it may have; ``None`` for no limit.
TARGET = "target_trials"

#: When this process first saw trials that run without a claim: by storage and trial.
_first_seen: dict[tuple[str, int], float] = {}


@patient
def claim_trial(
    storage: HardenedStorage, study_id: int, study_uid: str, worker_id: str
) -> Claim | None:
    """Claim one trial of a study's budget.

    Args:
        storage: where the study is.
        study_id: the study.
        study_uid: the study's own id; see :func:`storage.studies.study_uid`.
        worker_id: who claims; a claim that it made before and has asked for no trial with is gone.

    Returns:
        The claim, or ``None`` where the budget is spent.

    Raises:
        StudyDeleted: the study is gone, or another one has its number.
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
        # Who claims lives, whatever others thought of it while it was suspended.
        beat(storage, worker_id)
        return Claim(int(connection.execute(statement).scalar_one()), worker_id, study_uid)


def ask(storage: HardenedStorage, study: optuna.Study, claim: Claim) -> optuna.Trial:
    """Ask a study for a trial that belongs to a claim: one that was begun before, if any waits.

    Raises:
        ClaimLost: the claim was given back, since its worker was taken for dead.
    """
    with holding(claim):
        waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        # The first that is still to be had is the claim's, and the one that the study then gives.
        any(_take(storage, trial) for trial in waiting if RETRY_OF in trial.user_attrs)
        return study.ask()


def _take(storage: HardenedStorage, trial: optuna.trial.FrozenTrial) -> bool:
    try:
        return storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
    except (UpdateFinishedTrialError, KeyError):
        return False


@patient
def release_claim(storage: HardenedStorage, claim: Claim) -> None:
    """Give back a claim that no trial was asked for with."""
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
    """End what dead workers left behind, give back its budget, and queue its parameters again.

    May be called by any process, at any time, as often as it likes.

    Args:
        storage: where the study is.
        study: the study.
        study_uid: the study's own id, where it may have been deleted since it was opened.
        stopped: the workers were ended on purpose, which counts as no loss of their trials.

    Returns:
        The numbers of the trials that were ended.

    Raises:
        StudyDeleted: another study has its number.
        KeyError: the study is gone, and no other has its number.
    """
    study_id: int = study._study_id
    uid = study_uid or study.user_attrs.get(STUDY_UID, "")
    # Read first: a trial has its claim from its first moment, so one that has none later never had.
    running = {
        trial._trial_id: trial
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    }
    claims, workers, moment = _claims_and_workers(storage, study_id, study_uid)
    alive = {worker.worker_id for worker in workers if _is_alive(storage, worker, moment)}
    for worker in workers:
        if worker.ended is None and worker.worker_id not in alive:
            end_worker(storage, worker.worker_id, last_seen=worker.last_seen)
    orphaned = [claim for claim in claims if claim.worker_id not in alive]
    ended = []
    for row in orphaned:
        claim = Claim(row.claim_id, row.worker_id, uid)
        if row.trial_id is None:
            release_claim(storage, claim)
        elif row.trial_id in running:
            with holding(claim):
                if _end(storage, study, running[row.trial_id], stopped=stopped):
                    ended.append(running[row.trial_id].number)

    # A trial without a claim is none of our workers': another program asked for it, and left it.
    claimed = {claim.trial_id for claim in claims}
    for trial in running.values():
        if (
            trial._trial_id not in claimed
            and _seen_for(storage, trial) > GRACE_SECONDS
            and _end(storage, study, trial, stopped=False)
        ):
            ended.append(trial.number)
    return ended


@patient
def _claims_and_workers(
    storage: HardenedStorage, study_id: int, study_uid: str | None
) -> tuple[list[sqlalchemy.Row], list[WorkerRecord], float]:
    query = select(claims_table).where(claims_table.c.study_id == study_id)
    # In this order: a worker registers before it claims, and claims before it asks, so what is
    # read later knows of all that was read before.
    with reading(storage.engine) as connection:
        if study_uid is not None:
            refuse_other_study(connection, study_id, study_uid)
        claims = list(connection.execute(query).all())
        moment = now(connection)
    return claims, list_workers(storage, study_id), moment


def _is_alive(storage: HardenedStorage, worker: WorkerRecord, moment: float) -> bool:
    if worker.is_alive(moment):
        return True
    # Those that the database was away from could not say that they live.
    away = storage.last_disconnect
    recently = away is not None and time.monotonic() - away < GRACE_SECONDS
    return recently and worker.ended is None and not worker.is_here()


def _end(
    storage: HardenedStorage,
    study: optuna.Study,
    trial: optuna.trial.FrozenTrial,
    *,
    stopped: bool,
) -> bool:
    if stopped:
        return end_trial(
            storage, study, trial.number, "interrupted", reason="the sweep was stopped"
        )
    return end_trial(storage, study, trial.number, "lost", reason="its worker died")


def _count(connection: sqlalchemy.Connection, study_id: int) -> int:
    query = select(func.count()).where(claims_table.c.study_id == study_id)
    return int(connection.execute(query).scalar_one())


def _seen_for(storage: HardenedStorage, trial: optuna.trial.FrozenTrial) -> float:
    """For how many seconds this process has known of a trial without a claim.

    When it began is told by the clock, and in the time zone, of the machine that asked for it.
    """
    now = time.monotonic()
    return now - _first_seen.setdefault((storage.location, trial._trial_id), now)
