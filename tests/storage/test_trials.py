"""How trials end, and are retried."""

import optuna
import pytest
from optuna.pruners import HyperbandPruner, SuccessiveHalvingPruner
from optuna.samplers import NSGAIISampler

from storage import (
    TARGET,
    count_claims,
    end_trial,
    end_worker,
    reclaim,
    register_worker,
    unfinished_outcome,
)
from tests.storage.claiming import at_work, begin, claim_one

# What differs between the databases is tested where claims, budgets and lost answers are.
pytestmark = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


def _states(study):
    return [trial.state.name for trial in study.trials]


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


class _Failing(optuna.samplers.RandomSampler):
    def after_trial(self, study, trial, state, values):
        raise ValueError("no\nidea")


@pytest.mark.parametrize("outcome", ["completed", "interrupted"])
def test_a_trial_whose_sampler_fails_after_it_has_ended_all_the_same(
    storage, study, outcome, caplog
):
    study.sampler = _Failing()
    with at_work(storage, study) as trial:
        assert end_trial(storage, study, trial.number, outcome, value=0.75)
    assert study.trials[0].user_attrs["outcome"] == outcome
    assert len(study.trials) == (1 if outcome == "completed" else 2)
    assert caplog.messages == [
        "trial 0 ended, and its sampler's after_trial failed: ValueError: no idea"
    ]


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


def test_a_retry_takes_its_trials_place_in_a_generation(storage, study):
    study.sampler = NSGAIISampler(population_size=2, seed=0)
    begin(storage, study).suggest_float("x", 0, 1)
    reclaim(storage, study)
    begin(storage, study).suggest_float("x", 0, 1)
    generations = [t.system_attrs["NSGAIISampler:generation"] for t in study.trials]
    assert generations == [0, 0]


@pytest.mark.parametrize(
    ("pruner", "outcome"),
    [
        (SuccessiveHalvingPruner(min_resource=1, reduction_factor=3), "interrupted"),
        (SuccessiveHalvingPruner(min_resource=1, reduction_factor=3), "lost"),
        (HyperbandPruner(min_resource=1, max_resource=9, reduction_factor=3), "out_of_memory"),
    ],
    ids=["asha", "asha-lost", "hyperband"],
)
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
    if isinstance(pruner, SuccessiveHalvingPruner):
        # Hyperband's brackets go by numbers, and not all of them have a rung so early.
        assert len(counted) == 9
        trial = begin(storage, study, "tenth")
        trial.report(0.72, 1)
        assert not trial.should_prune()
