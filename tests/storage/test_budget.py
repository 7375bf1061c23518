"""The budget: exact over processes, given back and queued again after deaths."""

import signal

import pytest
from optuna.trial import TrialState

from storage import (
    abandon_trial,
    attach_trial,
    claim_trial,
    count_claims,
    end_worker,
    list_workers,
    reclaim,
    register_worker,
    release_claim,
)
from tests.storage.processes import (
    claim_until_spent,
    die_in_the_middle,
    pop_all,
    reclaim_once,
    run_and_wait,
    run_at_once,
)


def _states(study):
    return [trial.state.name for trial in study.trials]


def test_processes_together_run_exactly_the_target(url, study):
    counts = run_at_once(claim_until_spent, [(url, 25)] * 4)
    assert sum(counts) == 25
    assert _states(study) == ["COMPLETE"] * 25


def test_no_queued_trial_runs_twice(url, study):
    for index in range(40):
        study.enqueue_trial({"x": float(index)})
    popped = run_at_once(pop_all, [(url, 10)] * 4)
    assert sorted(number for numbers in popped for number in numbers) == list(range(40))


def test_no_limit_without_a_target(storage, study):
    claims = {claim_trial(storage, study._study_id, "w", None) for _ in range(5)}
    assert None not in claims
    assert len(claims) == 5


def test_studies_have_budgets_of_their_own(storage, study):
    assert claim_trial(storage, study._study_id, "w", 1) is not None
    assert claim_trial(storage, study._study_id, "w", 1) is None
    assert claim_trial(storage, study._study_id + 1, "w", 1) is not None


def test_a_released_claim_can_be_claimed_again(storage, study):
    claim = claim_trial(storage, study._study_id, "w", 1)
    release_claim(storage, claim)
    assert claim_trial(storage, study._study_id, "w", 1) is not None


@pytest.mark.parametrize("after", ["claim", "ask", "value"])
def test_what_a_killed_worker_held_is_given_back_and_queued_again(url, storage, study, after):
    study.enqueue_trial({"x": 0.25}, user_attrs={"configuration": "yardstick"})
    assert run_and_wait(die_in_the_middle, url, after) == -signal.SIGKILL
    assert count_claims(storage, study._study_id) == 1

    ended = reclaim(storage, study)

    assert count_claims(storage, study._study_id) == 0
    if after == "claim":
        assert ended == []
        assert _states(study) == ["WAITING"]
        return
    assert ended == [0]
    assert _states(study) == ["FAIL", "WAITING"]
    assert study.trials[0].user_attrs["outcome"] == "lost"
    retry = study.ask()
    assert retry.suggest_float("x", 0, 1) == 0.25
    assert retry.user_attrs["configuration"] == "yardstick"
    assert reclaim(storage, study) == []
    assert len(study.trials) == 2


def test_a_trial_that_kills_its_workers_is_given_up_and_keeps_its_claim(url, storage, study):
    study.enqueue_trial({"x": 0.25})
    for _ in range(3):
        run_and_wait(die_in_the_middle, url, "value")
        reclaim(storage, study)
    assert _states(study) == ["FAIL"] * 3
    assert count_claims(storage, study._study_id) == 1


def test_what_live_workers_hold_is_left_alone(storage, study):
    worker = register_worker(storage, study._study_id, "alive", "cpu")
    claim = claim_trial(storage, study._study_id, worker.worker_id, None)
    attach_trial(storage, claim, study.ask()._trial_id)
    assert reclaim(storage, study) == []
    assert _states(study) == ["RUNNING"]


def test_finished_trials_of_ended_workers_stay_spent(storage, study):
    worker = register_worker(storage, study._study_id, "done", "cpu")
    for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL):
        claim = claim_trial(storage, study._study_id, worker.worker_id, None)
        trial = study.ask()
        attach_trial(storage, claim, trial._trial_id)
        study.tell(trial, 1.0 if state is TrialState.COMPLETE else None, state=state)
    end_worker(storage, worker.worker_id)
    assert reclaim(storage, study) == []
    assert count_claims(storage, study._study_id) == 3


def test_an_interrupted_trial_that_was_not_queued_again_is_so_by_the_next(storage, study):
    """Its worker died between ending the trial and queueing it."""
    worker = register_worker(storage, study._study_id, "w", "cpu")
    claim = claim_trial(storage, study._study_id, worker.worker_id, None)
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    attach_trial(storage, claim, trial._trial_id)
    trial.set_user_attr("outcome", "interrupted")
    study.tell(trial, state=TrialState.FAIL)
    end_worker(storage, worker.worker_id)
    reclaim(storage, study)
    assert _states(study) == ["FAIL", "WAITING"]
    assert count_claims(storage, study._study_id) == 0


def test_of_two_that_end_a_trial_one_does(storage, study):
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    frozen = study.trials[0]
    assert abandon_trial(study, storage, frozen, "interrupted", "stopped")
    assert not abandon_trial(study, storage, frozen, "lost", "died")
    assert _states(study) == ["FAIL", "WAITING"]
    assert study.trials[0].user_attrs["outcome"] == "interrupted"


def test_a_worker_that_starts_while_another_looks_for_dead_ones_keeps_its_trial(
    storage, study, monkeypatch
):
    """It registers, claims and asks between two of the reads of :func:`storage.reclaim`."""
    started = []

    def start_then_list(*arguments):
        if not started:
            worker = register_worker(storage, study._study_id, "new", "cpu")
            claim = claim_trial(storage, study._study_id, worker.worker_id, None)
            attach_trial(storage, claim, study.ask()._trial_id)
            started.append(worker)
        return list_workers(*arguments)

    monkeypatch.setattr("storage.budget.list_workers", start_then_list)
    assert reclaim(storage, study) == []
    assert _states(study) == ["RUNNING"]
    assert count_claims(storage, study._study_id) == 1


def test_processes_that_queue_a_trial_again_at_once_do_it_once(url, storage, study):
    study.enqueue_trial({"x": 0.25})
    run_and_wait(die_in_the_middle, url, "value")
    run_at_once(reclaim_once, [(url,)] * 4)
    assert _states(study) == ["FAIL", "WAITING"]
    assert count_claims(storage, study._study_id) == 0
