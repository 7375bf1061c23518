"""The number of trials a study may spend, claimed by workers before they ask for one.

Optuna counts trials per process and overshoots with several. Here a worker inserts a claim in one
write transaction that also counts the claims there are, so that all workers together, over any
number of runs, start as many trials as the study's target says. A claim stays when its trial ends
with a result (complete, pruned, diverged, failed) and is given back when it ends without one
(interrupted, lost).
"""

from datetime import datetime

import optuna
import sqlalchemy
from optuna.trial import TrialState
from sqlalchemy import delete, func, select, update

from storage.rdb import HardenedStorage
from storage.schema import claims_table
from storage.sqlite import write_lock
from storage.trials import abandon_trial, queue_again, unfinished_outcome
from storage.workers import GRACE_SECONDS, end_worker, list_workers


def claim_trial(
    storage: HardenedStorage, study_id: int, worker_id: str, target: int | None
) -> int | None:
    """Claim one trial of a study's budget.

    Args:
        target: the number of trials the study may have; ``None`` for no limit.

    Returns:
        The claim's id, or ``None`` where the budget is spent.
    """
    with write_lock(), storage.engine.begin() as connection:
        if target is not None and _count(connection, study_id) >= target:
            return None
        values = {"study_id": study_id, "worker_id": worker_id}
        statement = claims_table.insert().values(**values).returning(claims_table.c.claim_id)
        return int(connection.execute(statement).scalar_one())


def attach_trial(storage: HardenedStorage, claim_id: int, trial_id: int) -> None:
    """Say which trial a claim was used for."""
    with storage.engine.begin() as connection:
        statement = update(claims_table).where(claims_table.c.claim_id == claim_id)
        connection.execute(statement.values(trial_id=trial_id))


def release_claim(storage: HardenedStorage, claim_id: int) -> None:
    """Give a claim back: its trial ended without a result."""
    with storage.engine.begin() as connection:
        connection.execute(delete(claims_table).where(claims_table.c.claim_id == claim_id))


def count_claims(storage: HardenedStorage, study_id: int) -> int:
    """How much of its budget a study has spent or is spending."""
    with storage.engine.connect() as connection:
        return _count(connection, study_id)


def reclaim(storage: HardenedStorage, study: optuna.Study) -> list[int]:
    """End what dead workers left behind, give back its budget, and queue its parameters again.

    May be called by any process, at any time, as often as it likes.

    Returns:
        The numbers of the trials that were ended.
    """
    study_id: int = study._study_id
    # In this order: a worker registers before it claims, and claims before it asks, so what is
    # read later knows of all that was read before.
    query = select(claims_table).where(claims_table.c.study_id == study_id)
    with storage.engine.connect() as connection:
        claims = connection.execute(query).all()
    workers = list_workers(storage, study_id)
    trials = {trial._trial_id: trial for trial in study.get_trials(deepcopy=False)}
    for worker in workers:
        if worker.ended is None and not worker.is_alive():
            end_worker(storage, worker.worker_id)
    alive = {worker.worker_id for worker in workers if worker.is_alive()}

    ended = []
    for claim in claims:
        if claim.worker_id in alive:
            continue
        trial = trials.get(claim.trial_id)
        if trial is None:
            _release_unused(storage, claim.claim_id)
        elif trial.state is TrialState.RUNNING:
            if abandon_trial(study, storage, trial, "lost", "its worker died"):
                ended.append(trial.number)
            # A trial given up for good keeps its claim: it has used its share of the budget.
            if unfinished_outcome(study.get_trials(deepcopy=False)[trial.number]):
                release_claim(storage, claim.claim_id)
        elif unfinished_outcome(trial):
            queue_again(study, storage, trial)
            release_claim(storage, claim.claim_id)

    claimed = {claim.trial_id for claim in claims}
    # A worker that died between asking for a trial and saying so leaves it with no claim.
    for trial in trials.values():
        if (
            trial.state is TrialState.RUNNING
            and trial._trial_id not in claimed
            and _age_seconds(trial) > GRACE_SECONDS
            and abandon_trial(study, storage, trial, "lost", "its worker died")
        ):
            ended.append(trial.number)
    return ended


def _release_unused(storage: HardenedStorage, claim_id: int) -> None:
    unused = (claims_table.c.claim_id == claim_id) & claims_table.c.trial_id.is_(None)
    with storage.engine.begin() as connection:
        connection.execute(delete(claims_table).where(unused))


def _count(connection: sqlalchemy.Connection, study_id: int) -> int:
    query = select(func.count()).where(claims_table.c.study_id == study_id)
    return int(connection.execute(query).scalar_one())


def _age_seconds(trial: optuna.trial.FrozenTrial) -> float:
    assert trial.datetime_start is not None
    return (datetime.now() - trial.datetime_start).total_seconds()
