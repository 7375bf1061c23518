"""Nobody writes to a trial without a claim to it, however slow the write is."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from storage import (
    CHECKPOINTS_ID,
    RETRY_OF,
    ClaimLost,
    EpochRecord,
    StudyDeleted,
    ask,
    claim_trial,
    copy_studies,
    create_study,
    end_trial,
    holding,
    open_storage,
    open_study,
    parse_url,
    read_epochs,
    reclaim,
    register_worker,
    report_epoch,
    study_uid,
)
from tests.storage.claiming import at_work, begin, claim_one


@pytest.mark.parametrize("change", ["parameter", "attribute", "value"])
def test_what_is_written_is_either_in_time_or_not_at_all(url, storage, study, monkeypatch, change):
    """As by a worker that is suspended between its check of the trial and its write."""
    trial = study.ask()
    trial.suggest_float("x", 0, 1)

    def end() -> None:
        another = open_storage(url)
        end_trial(another, open_study(another), 0, "lost")
        another.engine.dispose()

    ending = threading.Thread(target=end)
    look = storage.check_trial_is_updatable

    def look_and_be_slow(*arguments):
        look(*arguments)
        if not ending.is_alive():
            ending.start()
            ending.join(timeout=0.5)

    monkeypatch.setattr(storage, "check_trial_is_updatable", look_and_be_slow)
    if change == "parameter":
        trial.suggest_float("y", 0, 1)
    elif change == "attribute":
        trial.set_user_attr("y", 1)
    else:
        trial.report(0.5, 1)
    assert ending.is_alive(), "it waits for what was begun before"
    ending.join(timeout=60)
    lost, retry = study.trials
    assert retry.user_attrs[RETRY_OF] == 0
    assert retry.system_attrs["fixed_params"] == lost.params


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
        epoch = EpochRecord(2, {"val_accuracy": 0.5, "seconds": 1.0})
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
    epoch = EpochRecord(1, {"val_accuracy": 0.5, "seconds": 1.0})
    for claim in (None, claim_one(storage, study, "w")):
        with holding(claim) if claim else contextlib.nullcontext():
            with pytest.raises(ClaimLost):
                report_epoch(storage, trial, epoch, 0.5, epochs=3)
            assert not end_trial(storage, study, trial.number, "failed")
    assert [trial.state.name for trial in study.trials] == ["RUNNING"]
    assert read_epochs(storage, trial._trial_id) == []


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
    assert [trial.state.name for trial in other.trials] == ["RUNNING"]
