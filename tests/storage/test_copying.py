"""Copies of studies: nothing is lost on the way between databases and back."""

import math
import shutil

import pytest

from storage import (
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
    reclaim,
    study_names,
)
from storage.schema import claims_table
from tests.storage.processes import claim_until_spent, run_at_once
from tests.storage.rich_study import NAME, make_rich_study, rows_of


@pytest.fixture(scope="module")
def source_file(tmp_path_factory):
    """A storage with a rich study, whose ids are others than they will be in a target."""
    path = tmp_path_factory.mktemp("source") / "sweeps.db"
    storage = open_storage(str(path), create=True)
    for name in ("before", "another"):
        create_study(storage, name, "minimize", lambda study: None).ask()
    storage.delete_study(1)
    make_rich_study(storage)
    storage.engine.dispose()
    return path


@pytest.fixture
def source(source_file, sqlite_url):
    shutil.copyfile(source_file, sqlite_url.removeprefix("sqlite:///"))
    storage = open_storage(sqlite_url)
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
    study = open_study(source, NAME)
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


def test_the_copy_is_sound_and_ids_that_the_target_gives_afterwards_are_free(
    source, sqlite_url, postgresql_url
):
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
    target = str(tmp_path / "copy.db")
    _copy(sqlite_url, target, NAME)
    with pytest.raises(StorageError, match=r"(?s)holds a study of this name already.*--as NAME"):
        _copy(sqlite_url, target)
    assert study_names(open_storage(target)) == [NAME]
    [copied] = _copy(sqlite_url, target, NAME, as_name="another name")
    assert copied.name == "another name"
    assert study_names(open_storage(target)) == [NAME, "another name"]


def test_a_study_is_copied_within_its_storage(source, sqlite_url):
    study = open_study(source, NAME)
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
    study = open_study(source, NAME)
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
    with pytest.raises(StorageError, match=said):
        _copy(sqlite_url, str(tmp_path / "copy.db"), *names, as_name=as_name)
    assert not (tmp_path / "copy.db").exists()


def test_claims_that_hang_loose_are_left_behind(source, sqlite_url, tmp_path):
    study = open_study(source, NAME)
    values = {"study_id": study._study_id, "worker_id": "gone", "trial_id": 10**6}
    with source.engine.begin() as connection:
        connection.execute(claims_table.insert().values(**values))
    target = str(tmp_path / "copy.db")
    _copy(sqlite_url, target, NAME)
    storage = open_storage(target)
    assert count_claims(storage, open_study(storage)._study_id) == 6
