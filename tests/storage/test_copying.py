"""Copies of studies: nothing is lost on the way between databases and back."""

import math

import pytest
from optuna_dashboard import get_note

from storage import (
    STUDY_UID,
    TARGET,
    StorageError,
    check_contents,
    copy_studies,
    count_claims,
    create_study,
    list_workers,
    open_storage,
    open_study,
    parse_url,
    read_epochs,
    reclaim,
    study_names,
)
from storage.schema import claims_table
from tests.storage.processes import claim_until_spent, run_at_once
from tests.storage.rich_study import NAME, make_rich_study, rows_of


@pytest.fixture
def source(sqlite_url):
    storage = open_storage(sqlite_url, create=True)
    # The ids of what is copied are to be others than in the target.
    for name in ("before", "another"):
        other = create_study(storage, name, "minimize", lambda study: None)
        other.ask()
    storage.delete_study(1)
    yield storage
    storage.engine.dispose()


def _copy(source_url, target_url, *names, as_name=None):
    return copy_studies(parse_url(source_url), parse_url(target_url), names, as_name=as_name)


def _without_ends(rows):
    """Workers are at work on the source alone."""
    workers = [{**row, "ended": None} for row in rows["sweeps_workers"]]
    return {**rows, "sweeps_workers": workers}


def _trials(study):
    """The trials as Optuna shows them, with numbers for ids; no nan is equal to another."""
    trials = study.get_trials()
    for trial in trials:
        trial._trial_id = trial.number
        trial.intermediate_values = {
            step: "nan" if math.isnan(value) else value
            for step, value in trial.intermediate_values.items()
        }
    return trials


def test_all_rows_come_back_from_postgresql_as_they_were(
    source, sqlite_url, postgresql_url, tmp_path
):
    study = make_rich_study(source)
    back = str(tmp_path / "back.db")
    [there] = _copy(sqlite_url, postgresql_url, NAME)
    assert (there.name, there.workers, there.running) == (NAME, 1, 1)
    [again] = _copy(postgresql_url, back)
    assert (again.workers, again.running) == (0, 1)

    rows = _without_ends(rows_of(source, study))
    assert {"trial_heartbeats", "sweeps_claims", "trial_params"} <= set(rows)
    for url in (postgresql_url, back):
        storage = open_storage(url)
        copy = open_study(storage)
        assert _without_ends(rows_of(storage, copy)) == rows
        assert all(worker.ended for worker in list_workers(storage, copy._study_id))
        storage.engine.dispose()
    # And from the source itself nothing was taken.
    assert _without_ends(rows_of(source, study)) == rows


def test_optuna_sees_the_same_study(source, sqlite_url, postgresql_url):
    study = make_rich_study(source)
    _copy(sqlite_url, postgresql_url)
    storage = open_storage(postgresql_url)
    copy = open_study(storage, NAME)
    assert study_names(storage) == ["another", NAME]
    assert _trials(copy) == _trials(study)
    assert copy.directions == study.directions
    assert copy.user_attrs | {STUDY_UID: ""} == study.user_attrs | {STUDY_UID: ""}
    assert copy.user_attrs[STUDY_UID] != study.user_attrs[STUDY_UID]
    assert copy.metric_names == study.metric_names == ["val_accuracy"]
    assert copy.best_trial.number == study.best_trial.number
    assert get_note(copy) == get_note(study)
    before = {trial.number: trial._trial_id for trial in study.trials}
    for trial in copy.trials:
        old = before[trial.number]
        assert old != trial._trial_id
        assert read_epochs(storage, trial._trial_id) == read_epochs(source, old)
        assert _note(copy, trial._trial_id) == _note(study, old)
    storage.engine.dispose()


def _note(study, trial_id):
    attributes = study._storage.get_study_system_attrs(study._study_id)
    return attributes.get(f"dashboard:{trial_id}:note_str:0")


def test_the_copy_is_sound_and_ids_that_the_target_gives_afterwards_are_free(
    source, sqlite_url, postgresql_url
):
    make_rich_study(source)
    _copy(sqlite_url, postgresql_url)
    storage = open_storage(postgresql_url)
    copy = open_study(storage, NAME)
    copy.set_user_attr("new", 1)
    trial = copy.ask()
    trial.suggest_float("float", 0.0, 1.0)
    trial.report(0.5, 1)
    copy.tell(trial, 0.5)
    create_study(storage, "one more", "maximize", lambda study: None).ask()
    storage.engine.dispose()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_unfinished_copy_is_resumed_to_its_exact_budget(
    source, sqlite_url, tmp_path, request, kind
):
    target = str(tmp_path / "copy.db")
    if kind == "postgresql":
        target = request.getfixturevalue("postgresql_url")
    make_rich_study(source)
    _copy(sqlite_url, target, NAME)
    storage = open_storage(target)
    copy = open_study(storage)
    # Six have used the budget or are using it; in the copy nobody runs the running trial.
    assert count_claims(storage, copy._study_id) == 6
    assert len(reclaim(storage, copy)) == 1
    assert count_claims(storage, copy._study_id) == 5
    copy.set_user_attr(TARGET, 12)
    counts = run_at_once(claim_until_spent, [(target,)] * 2)
    assert sum(counts) == 7
    assert count_claims(storage, copy._study_id) == 12
    assert not any(finding.is_wrong for finding in check_contents(parse_url(target)))
    # The original was left to its worker.
    assert reclaim(source, open_study(source, NAME)) == []
    storage.engine.dispose()


def test_a_name_that_is_taken_is_refused_and_nothing_is_copied(source, sqlite_url, tmp_path):
    make_rich_study(source)
    target = str(tmp_path / "copy.db")
    _copy(sqlite_url, target, NAME)
    with pytest.raises(StorageError, match=r"(?s)holds a study of this name already.*--as NAME"):
        _copy(sqlite_url, target)
    assert study_names(open_storage(target)) == [NAME]
    [copied] = _copy(sqlite_url, target, NAME, as_name="another name")
    assert copied.name == "another name"
    assert study_names(open_storage(target)) == [NAME, "another name"]


def test_a_study_is_copied_within_its_storage(source, sqlite_url):
    study = make_rich_study(source)
    _copy(sqlite_url, sqlite_url, NAME, as_name="twin")
    twin = open_study(source, "twin")
    assert _trials(twin) == _trials(study)
    rows = _without_ends(rows_of(source, study))
    copied = _without_ends(rows_of(source, twin))
    assert copied.pop("studies") == [{"study_name": "twin"}]
    assert rows.pop("studies") == [{"study_name": NAME}]
    assert copied == rows


def test_what_the_target_cannot_hold_is_refused_and_nothing_is_copied(
    source, sqlite_url, postgresql_url
):
    """SQLite takes numbers that PostgreSQL has no room for."""
    study = make_rich_study(source)
    study.ask().report(0.5, 2**40)
    with pytest.raises(StorageError, match=r"cannot hold what .* nothing was copied"):
        _copy(sqlite_url, postgresql_url)
    assert study_names(open_storage(postgresql_url)) == []


@pytest.mark.parametrize(
    ("names", "as_name", "said"),
    [
        (["anothr"], None, "anothr: no such study in .*; did you mean another?"),
        ([], "new", "cannot all be called new"),
    ],
)
def test_names_that_do_not_fit_are_refused(source, sqlite_url, tmp_path, names, as_name, said):
    make_rich_study(source)
    with pytest.raises(StorageError, match=said):
        _copy(sqlite_url, str(tmp_path / "copy.db"), *names, as_name=as_name)
    assert not (tmp_path / "copy.db").exists()


def test_claims_that_hang_loose_are_left_behind(source, sqlite_url, tmp_path):
    study = make_rich_study(source)
    values = {"study_id": study._study_id, "worker_id": "gone", "trial_id": 10**6}
    with source.engine.begin() as connection:
        connection.execute(claims_table.insert().values(**values))
    target = str(tmp_path / "copy.db")
    _copy(sqlite_url, target, NAME)
    storage = open_storage(target)
    assert count_claims(storage, open_study(storage)._study_id) == 6
