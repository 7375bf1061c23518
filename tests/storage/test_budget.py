"""The budget: exact over processes, given back when a worker dies, whose trial is retried."""

import signal
import time

import pytest
from sqlalchemy import event

from storage import (
    TARGET,
    ClaimLost,
    ask,
    count_claims,
    create_study,
    end_trial,
    end_worker,
    open_storage,
    open_study,
    reclaim,
    register_worker,
    release_claim,
)
from storage.schema import workers_table
from storage.transactions import transaction
from storage.workers import GRACE_SECONDS
from tests.storage.claiming import at_work, begin, claim_one
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
    study.set_user_attr(TARGET, 25)
    counts = run_at_once(claim_until_spent, [(url,)] * 4)
    assert sum(counts) == 25
    assert _states(study) == ["COMPLETE"] * 25


def test_no_queued_trial_runs_twice(url, study):
    for index in range(40):
        study.enqueue_trial({"x": float(index)})
    popped = run_at_once(pop_all, [(url, 10)] * 4)
    assert sorted(number for numbers in popped for number in numbers) == list(range(40))


def test_studies_have_budgets_of_their_own(storage, study):
    study.set_user_attr(TARGET, 1)
    another = create_study(storage, "another", "maximize", lambda study: None)
    assert claim_one(storage, study, "a") is not None
    assert claim_one(storage, study, "b") is None
    assert claim_one(storage, another, "b") is not None


def test_a_target_that_is_lowered_is_heeded_by_the_next_claim(storage, study):
    """However shortly before it is lowered: claims read it where they are counted."""
    study.set_user_attr(TARGET, 2)
    assert claim_one(storage, study, "a") is not None
    study.set_user_attr(TARGET, 1)
    assert claim_one(storage, study, "b") is None
    study.set_user_attr(TARGET, None)
    assert claim_one(storage, study, "b") is not None


def test_a_claim_that_was_never_used_is_replaced_by_its_workers_next(storage, study):
    """As after a connection that broke before the answer came."""
    study.set_user_attr(TARGET, 1)
    claim_one(storage, study)
    assert claim_one(storage, study) is not None
    assert count_claims(storage, study._study_id) == 1


@pytest.mark.parametrize("queued", [False, True])
def test_a_trial_is_not_asked_for_with_a_claim_that_was_given_back(storage, study, queued):
    """Its worker was suspended, and taken for dead; another has a claim of that number now."""
    if queued:
        study.enqueue_trial({"x": 0.5})
    study.set_user_attr(TARGET, 1)
    lost = claim_one(storage, study, "suspended")
    release_claim(storage, lost)
    taken = claim_one(storage, study, "another")
    with pytest.raises(ClaimLost):
        ask(storage, study, lost)
    assert _states(study) == ["WAITING"] * queued
    ask(storage, study, taken)
    assert _states(study) == ["RUNNING"]


@pytest.mark.parametrize("queued", [False, True])
def test_a_claim_gives_one_trial_however_often_it_is_asked_with(storage, study, queued):
    if queued:
        study.enqueue_trial({"x": 0.5})
    claim = claim_one(storage, study)
    numbers = [ask(storage, study, claim).number for _ in range(3)]
    assert numbers == [0, 0, 0]
    assert _states(study) == ["RUNNING"]


@pytest.mark.parametrize("after", ["claim", "ask", "value"])
def test_what_a_killed_worker_held_is_given_back_and_retried(url, storage, study, after):
    study.enqueue_trial({"x": 0.25}, user_attrs={"configuration": "baseline"})
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
    assert retry.user_attrs["configuration"] == "baseline"
    assert reclaim(storage, study) == []
    assert len(study.trials) == 2


def test_a_trial_that_kills_its_workers_is_given_up_and_keeps_its_claim(url, storage, study):
    study.enqueue_trial({"x": 0.25})
    for _ in range(3):
        run_and_wait(die_in_the_middle, url, "value")
        reclaim(storage, study)
    assert _states(study) == ["FAIL"] * 3
    assert count_claims(storage, study._study_id) == 1


def test_retries_are_asked_for_before_new_trials(storage, study):
    """So a sweep that was stopped finishes its trials, whatever is left of its budget."""
    for x in (0.25, 0.5, 0.75):
        study.enqueue_trial({"x": x})
    with at_work(storage, study, "w0"):
        with at_work(storage, study, "w1"):
            end_trial(storage, study, 1, "interrupted")
        end_trial(storage, study, 0, "interrupted")
    asked = [begin(storage, study, f"v{n}") for n in range(4)]
    assert [trial.suggest_float("x", 0, 1) for trial in asked[:3]] == [0.5, 0.25, 0.75]
    assert [trial.number for trial in asked] == [3, 4, 2, 5]


def test_a_worker_that_starts_while_another_reclaims_keeps_its_trial(
    url, storage, study, monkeypatch
):
    """It registers, claims and asks between two of the reads of :func:`storage.reclaim`."""
    another = open_storage(url)
    started = []

    def start(connection, cursor, statement, *_):
        if "FROM trials" in statement and not started:
            started.append(register_worker(another, study._study_id, "new", "cpu"))
            begin(another, open_study(another), started[0].worker_id)

    event.listen(storage.engine, "after_cursor_execute", start)
    # As if this process had been suspended there for long.
    monkeypatch.setattr("storage.budget.GRACE_SECONDS", -1)
    assert reclaim(storage, study) == []
    assert started
    assert _states(study) == ["RUNNING"]
    assert count_claims(storage, study._study_id) == 1
    another.engine.dispose()


def test_processes_that_retry_a_trial_at_once_do_it_once(url, storage, study):
    study.enqueue_trial({"x": 0.25})
    run_and_wait(die_in_the_middle, url, "value")
    run_at_once(reclaim_once, [(url,)] * 4)
    assert _states(study) == ["FAIL", "WAITING"]
    assert count_claims(storage, study._study_id) == 0


def test_workers_do_not_die_of_an_unavailable_database(storage, study):
    """Workers elsewhere could not send heartbeats; the first to be back waits for them."""
    worker = register_worker(storage, study._study_id, "w", "cpu")
    begin(storage, study, worker.worker_id)
    long_ago = worker.last_seen - GRACE_SECONDS - 10
    with transaction(storage.engine) as connection:
        connection.execute(workers_table.update().values(host="elsewhere", last_seen=long_ago))
    storage.last_disconnect = time.monotonic()
    assert reclaim(storage, study) == []
    storage.last_disconnect = None
    assert reclaim(storage, study) == [0]


def test_a_worker_that_was_taken_for_dead_and_comes_back_keeps_what_it_claims_then(storage, study):
    worker = register_worker(storage, study._study_id, "suspended", "cpu")
    end_worker(storage, worker.worker_id)
    begin(storage, study, worker.worker_id)
    assert reclaim(storage, study) == []
    assert _states(study) == ["RUNNING"]
