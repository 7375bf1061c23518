"""Tables of earlier releases are upgraded when they are opened."""

import json

import pytest
import sqlalchemy

from storage import (
    EpochRecord,
    StorageError,
    copy_studies,
    end_trial,
    end_worker,
    open_storage,
    open_study,
    parse_url,
    read_epochs,
    register_worker,
    transaction,
)
from storage.schema import (
    OPTUNA_TABLES,
    SCHEMA_VERSION,
    _artifacts_table,
    _epochs_table,
    metrics_table,
    schema_table,
)
from tests.storage.claiming import at_work

ATTRIBUTES = OPTUNA_TABLES.tables["trial_system_attributes"]


def _add_artifact(connection, trial_id, artifact_id, filename, *parts):
    entry = {"artifact_id": artifact_id, "filename": filename, "mimetype": "text/plain"}
    row = {
        "trial_id": trial_id,
        "key": f"artifacts:{artifact_id}",
        "value_json": json.dumps(json.dumps(entry)),
    }
    connection.execute(ATTRIBUTES.insert().values(row))
    for part, content in enumerate(parts):
        values = {"artifact_id": artifact_id, "part": part, "content": content}
        connection.execute(_artifacts_table.insert().values(values))


@pytest.fixture
def make_older(storage, study):
    """Gives the storage, with a trial of each outcome, what version 2 had."""

    def make_older(*outcomes, **files):
        for number, outcome in enumerate(outcomes):
            with at_work(storage, study, f"w{number}") as trial:
                end_trial(storage, study, trial.number, outcome, value=1.0)
        with transaction(storage.engine) as connection:
            connection.exec_driver_sql("CREATE TABLE sweeps_leases (name VARCHAR(255))")
            _artifacts_table.create(connection)
            for trial in study.trials:
                row = {"trial_id": trial._trial_id, "key": "completed_rung_0", "value_json": "0.5"}
                connection.execute(ATTRIBUTES.insert().values(row))
            trial_id = study.trials[-1]._trial_id
            for number, (filename, parts) in enumerate(files.items()):
                _add_artifact(connection, trial_id, f"a{number}", f"{filename}.txt", *parts)
            connection.execute(schema_table.update().values(version=2))

    return make_older


def _upgrade(url):
    """The study's trials and the names of the tables after the upgrade."""
    storage = open_storage(url)
    trials = open_study(storage).trials
    tables = set(sqlalchemy.inspect(storage.engine).get_table_names())
    with storage.engine.connect() as connection:
        version = connection.execute(sqlalchemy.select(schema_table.c.version)).scalar()
    storage.engine.dispose()
    assert version == SCHEMA_VERSION
    return trials, tables


def test_rungs_of_trials_that_were_retried_are_deleted(url, make_older):
    make_older("completed", "interrupted")
    trials, tables = _upgrade(url)
    assert [t.number for t in trials if "completed_rung_0" in t.system_attrs] == [0, 2]
    assert not {"sweeps_leases", "sweeps_artifacts"} & tables


def test_workers_of_an_older_release_end_first(url, storage, study, make_older):
    worker = register_worker(storage, study._study_id, "w", "cpu")
    make_older("completed")
    for _ in range(2):
        with pytest.raises(StorageError, match=r"1 worker of an older release at work.*try again"):
            open_storage(url)
    end_worker(storage, worker.worker_id)
    _, tables = _upgrade(url)
    assert "sweeps_leases" not in tables


def test_tracebacks_become_attributes(url, make_older):
    make_older("failed", traceback=(b"Traceback: zu gro\xc3", b"\x9f \xff"))
    [trial], tables = _upgrade(url)
    assert trial.user_attrs["traceback"] == "Traceback: zu groß \ufffd"
    assert not any("artifacts" in key for key in trial.system_attrs)
    assert "sweeps_artifacts" not in tables


def test_files_that_people_uploaded_stay_in_the_database(url, make_older):
    make_older("failed", traceback=(b"Traceback",), mine=(b"precious",))
    [trial], tables = _upgrade(url)
    assert trial.user_attrs["traceback"] == "Traceback"
    assert "sweeps_artifacts" in tables
    storage = open_storage(url)
    with storage.engine.connect() as connection:
        content = sqlalchemy.select(_artifacts_table.c.content)
        assert connection.execute(content).scalars().all() == [b"precious"]
    storage.engine.dispose()


def test_epochs_of_fixed_columns_become_metrics(url, storage, study, tmp_path):
    """In place, and in a copy of a storage that is not upgraded."""
    measured = {"train_loss": 2.5, "val_accuracy": 0.1 + 0.2, "seconds": 1.5}
    with at_work(storage, study, "w") as trial:
        end_trial(storage, study, trial.number, "completed", value=1.0)
    with transaction(storage.engine) as connection:
        metrics_table.drop(connection)
        _epochs_table.create(connection)
        connection.execute(
            _epochs_table.insert().values(trial_id=trial._trial_id, epoch=1, **measured)
        )
        connection.execute(schema_table.update().values(version=4))
    storage.engine.dispose()

    copy_studies(parse_url(url), parse_url(f"sqlite:///{tmp_path}/copy.db"))
    others = {"val_loss": None, "learning_rate": None, "images_per_second": None}
    expected = [EpochRecord(1, measured | others)]
    for place in (f"sqlite:///{tmp_path}/copy.db", url):
        opened = open_storage(place)
        [found] = open_study(opened).trials
        assert read_epochs(opened, found._trial_id) == expected
        tables = sqlalchemy.inspect(opened.engine).get_table_names()
        assert "sweeps_epochs" not in tables
        opened.engine.dispose()
