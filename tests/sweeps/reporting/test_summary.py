"""The summary: which numbers it gives, and what it says of them."""

import io
from datetime import datetime, timedelta

import optuna
import pytest
from optuna.trial import TrialState
from rich.console import Console

from storage import create_study, open_storage
from sweeps.reporting.findings import answer
from sweeps.reporting.formatting import clock
from sweeps.reporting.summary import print_summary
from sweeps.study.progress import read_progress
from tests.storage.claiming import claim_one


@pytest.fixture
def storage(tmp_path):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return open_storage(str(tmp_path / "sweeps.db"), create=True)


def _study(storage, metric="val_accuracy", direction="maximize", target=9):
    def set_up(study):
        study.set_user_attr("metric", metric)
        study.set_user_attr("target_trials", target)
        study.set_user_attr("validation_images", 1000)
        study.set_user_attr("classes", 10)

    return create_study(storage, "study", direction, set_up)


def _add(study, value, name=None, state=TrialState.COMPLETE, seconds=10, **attributes):
    attributes |= {"configuration": name} if name else {}
    trial = optuna.trial.create_trial(
        state=state, value=value if state is TrialState.COMPLETE else None, user_attrs=attributes
    )
    trial.datetime_start = datetime.now() - timedelta(seconds=seconds)
    trial.datetime_complete = datetime.now()
    study.add_trial(trial)


def _print(storage, study):
    console = Console(file=io.StringIO(), width=120)
    print_summary(console, read_progress(storage, study), "here")
    return " ".join(console.file.getvalue().split())


def test_differences_are_held_against_the_noise(storage):
    study = _study(storage)
    # One standard error of 0.5 on 1,000 images is 0.0158, of a difference 0.0224.
    for value, name in ((0.5, "far"), (0.58, "near"), (0.6, "same"), (0.6, None)):
        _add(study, value, name)
    study.enqueue_trial({}, user_attrs={"configuration": "waiting"})
    text = _print(storage, study)
    assert "Best: trial 2, val_accuracy 0.6000 ±0.0155 (same)" in text
    assert "far 0 0.5000 ±0.0158 0.1000 better near" in text
    assert "near 1 0.5800 ±0.0156 0.0200 better, within the noise" in text
    assert "waiting 4 waiting -" in text
    assert "The search found nothing better. Its own best is trial 3" in text
    assert "with 0.6000 ±0.0155: equal." in text


def test_with_what_did_not_learn_nothing_is_compared(storage):
    """A tenth is what guessing gives with ten classes; two standard errors are 0.019."""
    study = _study(storage)
    for value, name in ((0.115, "stuck"), (0.6, None)):
        _add(study, value, name)
    said = answer(read_progress(storage, study))
    assert said.endswith("stuck (trial 0), reached 0.1150 ±0.0101, no better than guessing.")
    _add(study, 0.13, "slow")
    text = _print(storage, study)
    assert "stuck 0 0.1150 ±0.0101 not compared, it did not learn" in text
    assert "slow 2 0.1300 ±0.0106 0.4700 better" in text
    assert "learning rate is too high" in text


def test_a_best_that_was_searched_is_said_to_be_chosen(storage):
    study = _study(storage)
    for value, name in ((0.5, "baseline"), (0.7, None), (0.6, None)):
        _add(study, value, name)
    text = _print(storage, study)
    assert "The search's best was chosen among 2 complete trials" in text
    assert "it is optimistic" in text
    assert "not tuned" in text
    assert "nothing better" not in text


def test_a_search_that_found_less_says_so(storage):
    study = _study(storage)
    for value, name in ((0.7, "baseline"), (0.6, None), (0.5, None)):
        _add(study, value, name)
    text = _print(storage, study)
    assert "Its own best is trial 1 with 0.6000 ±0.0155: 0.1000 worse." in text


def test_a_search_that_has_not_begun_has_not_failed(storage):
    study = _study(storage)
    _add(study, 0.5, "baseline")
    assert "The search has not begun" in _print(storage, study)
    _add(study, None, state=TrialState.PRUNED)
    assert "has found nothing better yet: none of its trials is complete" in _print(storage, study)


def test_a_loss_is_better_when_lower_and_has_no_binomial_error(storage):
    study = _study(storage, "val_loss", "minimize")
    _add(study, 1.5, "baseline")
    _add(study, 1.25)
    text = _print(storage, study)
    assert "Best: trial 1, val_loss 1.2500" in text
    assert "baseline 0 1.5000 0.2500 better" in text
    assert "±" not in text


def test_a_baseline_that_wins_shows_what_was_fixed_for_it(storage):
    study = _study(storage)
    _add(study, 0.7, "plain 3x3", overrides={"layer.dilation": 1, "layer.growth": 3})
    text = _print(storage, study)
    assert "layer.dilation 1 layer.growth 3" in text


def test_large_metrics_are_written_whole(storage):
    study = _study(storage)
    _add(study, 0.6, metrics={"images_per_second": 22630.8})
    assert "images_per_second 22630" in _print(storage, study)


def test_no_trial_is_complete(storage):
    study = _study(storage)
    _add(study, None, state=TrialState.PRUNED)
    assert "No trial is complete yet." in _print(storage, study)


def test_a_claim_is_no_finished_trial(storage):
    study = _study(storage, target=1)
    claim_one(storage, study)
    progress = read_progress(storage, study)
    assert (progress.finished, progress.is_done) == (0, False)


def test_trials_that_are_queued_again_do_not_count_as_finished(storage):
    study = _study(storage)
    _add(study, 0.5)
    trial = study.ask()
    trial.set_user_attr("outcome", "interrupted")
    study.tell(trial, state=TrialState.FAIL)
    assert read_progress(storage, study).finished == 1


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.9, "0:59"), (187, "3:07"), (3723, "1:02:03")]
)
def test_durations_read_as_clocks(seconds, text):
    assert clock(seconds) == text
