"""The budget: exact over processes, given back when a worker dies, whose trial is retried."""

import contextlib
import dataclasses
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from storage import (
    CHECKPOINTS_ID,
    TARGET,
    ClaimLost,
    EpochRecord,
    StudyDeleted,
    ask,
    beat,
    claim_trial,
    copy_studies,
    count_claims,
    create_study,
    end_trial,
    end_worker,
    holding,
    list_workers,
    living_workers,
    open_study,
    parse_url,
    read_epochs,
    reclaim,
    register_worker,
    release_claim,
    report_epoch,
    study_uid,
    unfinished_outcome,
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


def test_no_limit_without_a_target(storage, study):
    claims = {claim_one(storage, study, f"w{i}") for i in range(5)}
    assert None not in claims
    assert count_claims(storage, study._study_id) == 5


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


def test_a_released_claim_can_be_claimed_again(storage, study):
    study.set_user_attr(TARGET, 1)
    release_claim(storage, claim_one(storage, study))
    assert claim_one(storage, study, "another") is not None


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


def test_what_live_workers_hold_is_left_alone(storage, study):
    worker = register_worker(storage, study._study_id, "alive", "cpu")
    begin(storage, study, worker.worker_id)
    assert reclaim(storage, study) == []
    assert _states(study) == ["RUNNING"]


@pytest.mark.parametrize("outcome", ["completed", "pruned", "diverged", "failed"])
def test_trials_with_a_result_keep_their_share_of_the_budget(storage, study, outcome):
    worker = register_worker(storage, study._study_id, "done", "cpu")
    with at_work(storage, study, worker.worker_id) as trial:
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
def test_trials_without_one_give_it_back_and_are_retried(storage, study, outcome):
    with at_work(storage, study) as trial:
        picked = trial.suggest_float("x", 0, 1)
        assert end_trial(storage, study, 0, outcome, reason="so it is", overrides={"small": True})
    assert count_claims(storage, study._study_id) == 0
    again = begin(storage, study)
    assert again.suggest_float("x", 0, 1) == picked
    assert again.user_attrs["retry_of"] == 0
    assert again.user_attrs["overrides"] == {"small": True}
    assert study.trials[0].user_attrs["reason"] == "so it is"


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


def test_of_two_that_end_a_trial_one_does(storage, study):
    with at_work(storage, study) as trial:
        trial.suggest_float("x", 0, 1)
        assert end_trial(storage, study, 0, "interrupted")
        assert not end_trial(storage, study, 0, "lost")
        assert end_trial(storage, study, 0, "interrupted"), "again, by the same worker"
    assert not end_trial(storage, study, 0, "interrupted")
    assert _states(study) == ["FAIL", "WAITING"]
    assert study.trials[0].user_attrs["outcome"] == "interrupted"


def test_an_end_is_whole_or_not_at_all(storage, study, monkeypatch):
    """Something breaks after the state is changed: neither the state nor the queue keeps it."""
    with at_work(storage, study):
        with monkeypatch.context() as patched:
            patched.setattr("storage.trials._queue_retry", lambda *arguments: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                end_trial(storage, study, 0, "interrupted")
        assert _states(study) == ["RUNNING"]
        assert "outcome" not in study.trials[0].user_attrs
        assert count_claims(storage, study._study_id) == 1
        assert end_trial(storage, study, 0, "interrupted")
    assert _states(study) == ["FAIL", "WAITING"]


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_lost_trial_is_retried_so_often_and_no_more(storage, study, retries):
    study.set_user_attr("retries", retries)
    study.set_user_attr(TARGET, 1)
    for _ in range(retries + 1):
        begin(storage, study)
        reclaim(storage, study)
    assert _states(study) == ["FAIL"] * (retries + 1)
    outcomes = [trial.user_attrs["outcome"] for trial in study.trials]
    assert outcomes == ["lost"] * retries + ["failed"]
    assert claim_one(storage, study) is None


def test_a_worker_that_starts_while_another_reclaims_keeps_its_trial(storage, study, monkeypatch):
    """It registers, claims and asks between two of the reads of :func:`storage.reclaim`."""
    started = []

    def start_then_list(*arguments):
        if not started:
            worker = register_worker(storage, study._study_id, "new", "cpu")
            begin(storage, study, worker.worker_id)
            started.append(worker)
        return list_workers(*arguments)

    monkeypatch.setattr("storage.budget.list_workers", start_then_list)
    # As if this process had been suspended there for long.
    monkeypatch.setattr("storage.budget.GRACE_SECONDS", -1)
    assert reclaim(storage, study) == []
    assert _states(study) == ["RUNNING"]
    assert count_claims(storage, study._study_id) == 1


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


def test_of_a_process_in_another_container_only_the_heartbeat_counts(storage, study):
    """Its number means nothing here, even if a process here has the same."""
    worker = register_worker(storage, study._study_id, "w", "cpu")
    elsewhere = dataclasses.replace(worker, birth=f"{worker.birth}0")
    assert elsewhere.is_alive(worker.last_seen + GRACE_SECONDS - 1)
    assert not elsewhere.is_alive(worker.last_seen + GRACE_SECONDS + 1)


def test_a_worker_that_was_taken_for_dead_and_comes_back_keeps_what_it_claims_then(storage, study):
    worker = register_worker(storage, study._study_id, "suspended", "cpu")
    end_worker(storage, worker.worker_id)
    begin(storage, study, worker.worker_id)
    assert reclaim(storage, study) == []
    assert _states(study) == ["RUNNING"]


def test_a_worker_that_was_seen_meanwhile_is_not_taken_for_dead(storage, study):
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
    begin(storage, study)
    reclaim(storage, study)
    study.set_user_attr("retries", 0)
    with at_work(storage, study):
        assert end_trial(storage, study, 1, "completed", value=0.5)
    assert study.trials[1].user_attrs["outcome"] == "completed"


@pytest.fixture(params=["ours", "another program's"])
def replace_study(request, storage, study):
    """Delete the study, and make another with a trial; on SQLite they get the same ids."""

    def replace():
        if request.param == "ours":
            storage.delete_study(study._study_id)
            other = create_study(storage, "other", "maximize", lambda study: None)
            return other, begin(storage, other, "other's")
        RDBStorage.delete_study(storage, study._study_id)
        other = optuna.create_study(storage=storage, study_name="other", direction="maximize")
        return other, other.ask()

    # As another process, which does not hold the claim of the test's thread.
    with ThreadPoolExecutor() as another:
        yield lambda: another.submit(replace).result()


def test_a_worker_of_a_deleted_study_changes_nothing_in_another_of_its_number(
    storage, study, replace_study
):
    uid = study_uid(storage, study)
    worker = register_worker(storage, study._study_id, "w", "cpu")
    with at_work(storage, study, worker.worker_id) as trial:
        trial.report(0.25, 1)
        other, theirs = replace_study()
        same = (other._study_id, theirs._trial_id) == (study._study_id, trial._trial_id)
        assert same == (storage.engine.dialect.name == "sqlite")
        before = storage.get_trial(theirs._trial_id)
        epoch = EpochRecord(2, 1.0, 1.0, 0.5, 0.1, 1.0, 100.0)
        writes = [
            lambda: report_epoch(storage, trial, epoch, 0.5, epochs=3, attributes={"a": 1}),
            lambda: trial.report(0.5, 2),
            lambda: trial.suggest_float("x", 0, 1),
            lambda: trial.set_user_attr("a", 1),
            lambda: storage.set_trial_system_attr(trial._trial_id, "a", 1),
            lambda: storage.set_trial_state_values(trial._trial_id, TrialState.COMPLETE, [1.0]),
        ]
        for write in writes:
            with pytest.raises((UpdateFinishedTrialError, KeyError)):
                write()
        for outcome in ("completed", "interrupted", "lost"):
            assert not end_trial(storage, study, trial.number, outcome, value=1.0)
    with pytest.raises(StudyDeleted):
        claim_trial(storage, study._study_id, uid, worker.worker_id)
    assert storage.get_trial(theirs._trial_id) == before
    assert read_epochs(storage, theirs._trial_id) == []
    assert len(other.trials) == 1


def test_a_claim_of_a_deleted_study_gives_no_trial_of_another(storage, study, replace_study):
    claim = claim_one(storage, study)
    other, _ = replace_study()
    other.enqueue_trial({"x": 0.5})
    with pytest.raises(ClaimLost):
        ask(storage, other, claim)
    with pytest.raises((ClaimLost, KeyError)):
        ask(storage, study, claim)
    assert [trial.state.name for trial in other.trials] == ["RUNNING", "WAITING"]


def test_nobody_writes_to_a_trial_that_another_claims(storage, study):
    trial = begin(storage, study, "another")
    epoch = EpochRecord(1, 1.0, 1.0, 0.5, 0.1, 1.0, 100.0)
    for claim in (None, claim_one(storage, study, "w")):
        with holding(claim) if claim else contextlib.nullcontext():
            with pytest.raises(ClaimLost):
                report_epoch(storage, trial, epoch, 0.5, epochs=3)
            assert not end_trial(storage, study, trial.number, "failed")
    assert _states(study) == ["RUNNING"]
    assert read_epochs(storage, trial._trial_id) == []


@pytest.mark.parametrize("outcome", ["interrupted", "lost", "out_of_memory"])
@pytest.mark.parametrize(
    "pruner",
    [
        optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
        optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9, reduction_factor=3),
    ],
    ids=["asha", "hyperband"],
)
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_trial_and_its_retry_count_once_in_a_pruner(storage, study, pruner, outcome):
    """With nine at the first rung, 0.1 to 0.9, a tenth of 0.72 is among the best third."""
    study.pruner = pruner

    def reach(value):
        trial = begin(storage, study, f"of {value}")
        trial.report(value, 1)
        trial.should_prune()
        return trial

    for tenths in range(1, 10):
        with at_work(storage, study) as trial:
            trial.report(tenths / 10, 1)
            is_hopeless = trial.should_prune()
            # Interrupted, and run again to the same rung.
            end_trial(storage, study, trial.number, "pruned" if is_hopeless else outcome)
        if not is_hopeless:
            reach(tenths / 10)

    counted = [t for t in study.trials if any("rung" in key for key in t.system_attrs)]
    assert counted
    assert not [trial.number for trial in counted if unfinished_outcome(trial)]
    if isinstance(pruner, optuna.pruners.SuccessiveHalvingPruner):
        # Hyperband's brackets go by numbers, and not all of them have a rung so early.
        assert len(counted) == 9
        trial = begin(storage, study, "tenth")
        trial.report(0.72, 1)
        assert not trial.should_prune()


def test_an_end_that_is_repeated_is_the_same_end(storage, study):
    study.set_user_attr("retries", 0)
    with at_work(storage, study):
        assert [end_trial(storage, study, 0, "lost") for _ in range(2)] == [True, True]
    assert study.trials[0].user_attrs["outcome"] == "failed"
    study.ask()
    assert [end_trial(storage, study, 1, "completed", value=1.0) for _ in range(2)] == [True, True]


def test_a_worker_of_a_deleted_copy_has_no_claim_to_the_next_copy(storage, study, url):
    """Both are copies of one study, and on SQLite they have the same number."""
    copy_studies(parse_url(url), parse_url(url), ["study"], as_name="first")
    first = open_study(storage, "first")
    uid = study_uid(storage, first)
    assert uid != study_uid(storage, study)
    assert first.user_attrs[CHECKPOINTS_ID] == study.user_attrs[CHECKPOINTS_ID]
    worker = register_worker(storage, first._study_id, "w", "cpu")
    storage.delete_study(first._study_id)
    copy_studies(parse_url(url), parse_url(url), ["study"], as_name="second")
    second = open_study(storage, "second")
    for number in (first._study_id, second._study_id):
        with pytest.raises(StudyDeleted):
            claim_trial(storage, number, uid, worker.worker_id)


def test_reclaiming_a_deleted_study_ends_no_trial_of_another(storage, study):
    uid = study_uid(storage, study)
    storage.delete_study(study._study_id)
    other = create_study(storage, "other", "maximize", lambda study: None)
    begin(storage, other)
    with pytest.raises((StudyDeleted, KeyError)):
        reclaim(storage, study, uid, stopped=True)
    assert _states(other) == ["RUNNING"]
