"""The budget: exact over processes, given back and queued again after deaths."""

import dataclasses
import signal
import time

import pytest

from storage import (
    ClaimLost,
    ask,
    beat,
    claim_trial,
    count_claims,
    end_trial,
    end_worker,
    list_workers,
    living_workers,
    reclaim,
    register_worker,
    release_claim,
)
from storage.schema import workers_table
from storage.transactions import transaction
from storage.workers import GRACE_SECONDS
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
    claims = {claim_trial(storage, study._study_id, f"w{i}", None) for i in range(5)}
    assert None not in claims
    assert count_claims(storage, study._study_id) == 5


def test_studies_have_budgets_of_their_own(storage, study):
    assert claim_trial(storage, study._study_id, "a", 1) is not None
    assert claim_trial(storage, study._study_id, "b", 1) is None
    assert claim_trial(storage, study._study_id + 1, "b", 1) is not None


def test_a_released_claim_can_be_claimed_again(storage, study):
    claim = claim_trial(storage, study._study_id, "w", 1)
    release_claim(storage, claim)
    assert claim_trial(storage, study._study_id, "another", 1) is not None


def test_a_claim_that_was_never_used_is_replaced_by_its_workers_next(storage, study):
    """As after a connection that broke before the answer came."""
    claim_trial(storage, study._study_id, "w", 1)
    assert claim_trial(storage, study._study_id, "w", 1) is not None
    assert count_claims(storage, study._study_id) == 1


@pytest.mark.parametrize("queued", [False, True])
def test_a_trial_is_not_asked_for_with_a_claim_that_was_given_back(storage, study, queued):
    """Its worker was suspended, and taken for dead; another has a claim of that number now."""
    if queued:
        study.enqueue_trial({"x": 0.5})
    lost = claim_trial(storage, study._study_id, "suspended", 1)
    release_claim(storage, lost)
    taken = claim_trial(storage, study._study_id, "another", 1)
    with pytest.raises(ClaimLost):
        ask(storage, study, lost)
    assert _states(study) == ["WAITING"] * queued
    ask(storage, study, taken)
    assert _states(study) == ["RUNNING"]


@pytest.mark.parametrize("queued", [False, True])
def test_a_claim_gives_one_trial_however_often_it_is_asked_with(storage, study, queued):
    if queued:
        study.enqueue_trial({"x": 0.5})
    claim = claim_trial(storage, study._study_id, "w", None)
    numbers = [ask(storage, study, claim).number for _ in range(3)]
    assert numbers == [0, 0, 0]
    assert _states(study) == ["RUNNING"]


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
    ask(storage, study, claim_trial(storage, study._study_id, worker.worker_id, None))
    assert reclaim(storage, study) == []
    assert _states(study) == ["RUNNING"]


@pytest.mark.parametrize("outcome", ["completed", "pruned", "diverged", "failed"])
def test_trials_with_a_result_keep_their_share_of_the_budget(storage, study, outcome):
    worker = register_worker(storage, study._study_id, "done", "cpu")
    trial = ask(storage, study, claim_trial(storage, study._study_id, worker.worker_id, None))
    trial.report(0.5, 1)
    assert end_trial(storage, study, trial.number, outcome, value=0.75)
    end_worker(storage, worker.worker_id)
    assert reclaim(storage, study) == []
    assert count_claims(storage, study._study_id) == 1
    [ended] = study.trials
    expected = {"completed": ("COMPLETE", 0.75), "failed": ("FAIL", None)}
    assert (ended.state.name, ended.value) == expected.get(outcome, ("PRUNED", 0.5))
    assert ended.user_attrs["outcome"] == outcome


@pytest.mark.parametrize("outcome", ["interrupted", "out_of_memory"])
def test_trials_without_one_give_it_back_and_are_queued_again(storage, study, outcome):
    trial = ask(storage, study, claim_trial(storage, study._study_id, "w", None))
    picked = trial.suggest_float("x", 0, 1)
    assert end_trial(storage, study, 0, outcome, reason="so it is", overrides={"small": True})
    assert count_claims(storage, study._study_id) == 0
    again = ask(storage, study, claim_trial(storage, study._study_id, "w", None))
    assert again.suggest_float("x", 0, 1) == picked
    assert again.user_attrs["retry_of"] == 0
    assert again.user_attrs["overrides"] == {"small": True}
    assert study.trials[0].user_attrs["reason"] == "so it is"


def test_what_was_begun_is_asked_for_before_what_was_not(storage, study):
    """So a sweep that was stopped ends its trials, whatever is left of its budget."""
    for x in (0.25, 0.5, 0.75):
        study.enqueue_trial({"x": x})
    study_id = study._study_id
    for number in (0, 1):
        ask(storage, study, claim_trial(storage, study_id, f"w{number}", None))
    for number in (1, 0):
        end_trial(storage, study, number, "interrupted")
    asked = [ask(storage, study, claim_trial(storage, study_id, f"v{n}", None)) for n in range(4)]
    assert [trial.suggest_float("x", 0, 1) for trial in asked[:3]] == [0.5, 0.25, 0.75]
    assert [trial.number for trial in asked] == [3, 4, 2, 5]


def test_of_two_that_end_a_trial_one_does(storage, study):
    study.ask().suggest_float("x", 0, 1)
    assert end_trial(storage, study, 0, "interrupted", ended_by="a")
    assert not end_trial(storage, study, 0, "lost", ended_by="b")
    assert end_trial(storage, study, 0, "interrupted", ended_by="a"), "told again by the same"
    assert _states(study) == ["FAIL", "WAITING"]
    assert study.trials[0].user_attrs["outcome"] == "interrupted"


def test_an_end_is_whole_or_not_at_all(storage, study, monkeypatch):
    """Something breaks after the state is changed: neither the state nor the queue keeps it."""
    ask(storage, study, claim_trial(storage, study._study_id, "w", None))
    with monkeypatch.context() as patched:
        patched.setattr("storage.trials._queue_again", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            end_trial(storage, study, 0, "interrupted")
    assert _states(study) == ["RUNNING"]
    assert "outcome" not in study.trials[0].user_attrs
    assert count_claims(storage, study._study_id) == 1
    assert end_trial(storage, study, 0, "interrupted")
    assert _states(study) == ["FAIL", "WAITING"]


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_lost_trial_is_tried_again_so_often_and_no_more(storage, study, retries):
    study.set_user_attr("retries", retries)
    for _ in range(retries + 1):
        ask(storage, study, claim_trial(storage, study._study_id, "w", 1))
        reclaim(storage, study)
    assert _states(study) == ["FAIL"] * (retries + 1)
    outcomes = [trial.user_attrs["outcome"] for trial in study.trials]
    assert outcomes == ["lost"] * retries + ["failed"]
    assert claim_trial(storage, study._study_id, "w", 1) is None


def test_a_worker_that_starts_while_another_looks_for_dead_ones_keeps_its_trial(
    storage, study, monkeypatch
):
    """It registers, claims and asks between two of the reads of :func:`storage.reclaim`."""
    started = []

    def start_then_list(*arguments):
        if not started:
            worker = register_worker(storage, study._study_id, "new", "cpu")
            ask(storage, study, claim_trial(storage, study._study_id, worker.worker_id, None))
            started.append(worker)
        return list_workers(*arguments)

    monkeypatch.setattr("storage.budget.list_workers", start_then_list)
    # As if this process had been suspended there for long.
    monkeypatch.setattr("storage.budget.GRACE_SECONDS", -1)
    assert reclaim(storage, study) == []
    assert _states(study) == ["RUNNING"]
    assert count_claims(storage, study._study_id) == 1


def test_processes_that_queue_a_trial_again_at_once_do_it_once(url, storage, study):
    study.enqueue_trial({"x": 0.25})
    run_and_wait(die_in_the_middle, url, "value")
    run_at_once(reclaim_once, [(url,)] * 4)
    assert _states(study) == ["FAIL", "WAITING"]
    assert count_claims(storage, study._study_id) == 0


def test_a_database_that_was_away_is_no_workers_death(storage, study):
    """Workers elsewhere could not say that they live; whoever comes back first waits for them."""
    worker = register_worker(storage, study._study_id, "w", "cpu")
    ask(storage, study, claim_trial(storage, study._study_id, worker.worker_id, None))
    long_ago = worker.last_seen - GRACE_SECONDS - 10
    with transaction(storage.engine) as connection:
        connection.execute(workers_table.update().values(host="elsewhere", last_seen=long_ago))
    storage.last_disconnect = time.monotonic()
    assert reclaim(storage, study) == []
    storage.last_disconnect = None
    assert reclaim(storage, study) == [0]


def test_a_process_of_another_container_is_known_by_its_heartbeat_alone(storage, study):
    """Its number means nothing here, be there a process of the same."""
    worker = register_worker(storage, study._study_id, "w", "cpu")
    elsewhere = dataclasses.replace(worker, birth=f"{worker.birth}0")
    assert elsewhere.is_alive(worker.last_seen + GRACE_SECONDS - 1)
    assert not elsewhere.is_alive(worker.last_seen + GRACE_SECONDS + 1)


def test_a_worker_that_was_given_up_and_comes_back_keeps_what_it_claims_then(storage, study):
    worker = register_worker(storage, study._study_id, "suspended", "cpu")
    end_worker(storage, worker.worker_id)
    ask(storage, study, claim_trial(storage, study._study_id, worker.worker_id, 1))
    assert reclaim(storage, study) == []
    assert _states(study) == ["RUNNING"]


def test_a_worker_that_was_seen_meanwhile_is_not_given_up(storage, study):
    worker = register_worker(storage, study._study_id, "suspended", "cpu")
    beat(storage, worker.worker_id)
    end_worker(storage, worker.worker_id, last_seen=worker.last_seen)
    assert [each.name for each in living_workers(storage, study._study_id)] == ["suspended"]


def test_the_result_of_a_trial_that_nobody_claimed_is_part_of_the_budget(storage, study):
    study.ask()
    assert end_trial(storage, study, 0, "failed", reason="its worker died")
    assert count_claims(storage, study._study_id) == 1


def test_a_completed_trial_is_not_failed_for_what_was_lost_before(storage, study):
    """The study's retries were lowered meanwhile."""
    ask(storage, study, claim_trial(storage, study._study_id, "w", 1))
    reclaim(storage, study)
    study.set_user_attr("retries", 0)
    ask(storage, study, claim_trial(storage, study._study_id, "w", 1))
    assert end_trial(storage, study, 1, "completed", value=0.5)
    assert study.trials[1].user_attrs["outcome"] == "completed"
