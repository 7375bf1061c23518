"""A worker: a process that runs trials of a study, one after another, while there are any."""

import time
from collections.abc import Callable
from dataclasses import replace

import optuna

from storage import (
    ClaimLost,
    HardenedStorage,
    StudyDeleted,
    ask,
    claim_trial,
    end_worker,
    holding,
    note_progress,
    reclaim,
    register_worker,
    release_claim,
)
from sweeps.study.failures import ended_numbers, refuse_deleted, refuse_failures_in_a_row
from sweeps.study.progress import is_done
from sweeps.worker.heartbeat import Heartbeat
from sweeps.worker.trial import Desk, Objective, run_trial

_RECLAIM_SECONDS = 10.0
_IDLE_SECONDS = 1.0


def run_worker(
    storage: HardenedStorage,
    study: optuna.Study,
    objective: Objective,
    *,
    study_uid: str,
    name: str,
    device: str,
    seat: str = "",
    make_sampler: Callable[[int], optuna.samplers.BaseSampler],
    deadline: float | None,
    should_stop: Callable[[], bool],
) -> None:
    """Run trials of a study until its budget is spent, the time is up, or a stop is asked for.

    A worker that finds the budget claimed by others waits until their trials have ended: one that
    is lost is to be run by somebody.

    Args:
        storage: where the study is.
        study: the study, with its pruner.
        objective: what a trial does.
        study_uid: the study's own id, read before all else that is known of it.
        name: what the worker is called in tables and notes.
        device: what it trains on, as a person knows it: ``cuda:3``.
        seat: the worker's place in a run; see :meth:`sweeps.engines.WorkerPlan.seat`.
        make_sampler: gives the sampler of the study's n-th worker; all need different ones, with
            the same they would pick the same values.
        deadline: start no trial after this, by ``time.monotonic``; ``None`` for no limit.
        should_stop: asked before every batch.

    Raises:
        SweepsError: too many trials failed in a row, or the study was deleted.
    """
    worker = register_worker(storage, study._study_id, name, device, seat)
    study.sampler = make_sampler(worker.number)
    desk = Desk(study, storage, worker.worker_id, name, should_stop)
    try:
        with Heartbeat(storage, worker.worker_id) as heartbeat:

            def stop_or_live_on() -> bool:
                heartbeat.ensure()
                return should_stop()

            desk = replace(desk, should_stop=stop_or_live_on)
            _run_trials(desk, objective, study_uid, deadline)
    except (KeyError, StudyDeleted):
        refuse_deleted(study, study_uid)
        raise
    finally:
        end_worker(storage, worker.worker_id)


def _run_trials(desk: Desk, objective: Objective, study_uid: str, deadline: float | None) -> None:
    before = ended_numbers(desk.study.get_trials(deepcopy=False))
    looked = -_RECLAIM_SECONDS
    while not desk.should_stop() and (deadline is None or time.monotonic() < deadline):
        if time.monotonic() - looked >= _RECLAIM_SECONDS:
            reclaim(desk.storage, desk.study, study_uid)
            looked = time.monotonic()
        claim = claim_trial(desk.storage, desk.study._study_id, study_uid, desk.worker_id)
        if claim is None:
            if is_done(desk.study):
                return
            time.sleep(_IDLE_SECONDS)
            continue
        if desk.should_stop():
            release_claim(desk.storage, claim)
            return
        try:
            trial = ask(desk.storage, desk.study, claim)
        except ClaimLost:
            # This process was silent for so long that it was given up; it is back now.
            continue
        with holding(claim):
            outcome = run_trial(desk, objective, trial)
        note_progress(desk.storage, desk.worker_id, trial_number=None)
        if outcome == "failed":
            refuse_failures_in_a_row(desk.study.get_trials(deepcopy=False), but_for=before)
