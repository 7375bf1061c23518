"""Tables of earlier releases are upgraded when they are opened; see also `tests/sweeps/upgrade`."""

import pytest
import sqlalchemy

from storage import (
    EpochRecord,
    StorageError,
    end_trial,
    end_worker,
    open_storage,
    open_study,
    read_epochs,
    register_worker,
    transaction,
)
from storage.schema import OPTUNA_TABLES, SCHEMA_VERSION, schema_table
from tests.storage.claiming import at_work

COLUMNS = "train_loss, val_loss, val_accuracy, learning_rate, seconds, images_per_second"


@pytest.fixture
def older(storage, study):
    """A storage of version 2, with a trial that has a result and one that was retried."""
    for number, outcome in enumerate(("completed", "interrupted")):
        with at_work(storage, study, f"w{number}") as trial:
            end_trial(storage, study, trial.number, outcome, value=1.0)
    with transaction(storage.engine) as connection:
        connection.exec_driver_sql("CREATE TABLE sweeps_leases (name VARCHAR(255))")
        connection.exec_driver_sql(
            "CREATE TABLE sweeps_epochs (trial_id INTEGER, epoch INTEGER, "
            + COLUMNS.replace(",", " FLOAT,")
            + " FLOAT)"
        )
        connection.exec_driver_sql(
            f"INSERT INTO sweeps_epochs (trial_id, epoch, {COLUMNS})"
            f" VALUES ({study.trials[0]._trial_id}, 1, 2.5, NULL, 0.1, NULL, 1.5, NULL)"
        )
        for trial in study.trials:
            row = {"trial_id": trial._trial_id, "key": "completed_rung_0", "value_json": "0.5"}
            table = OPTUNA_TABLES.tables["trial_system_attributes"]
            connection.execute(table.insert().values(row))
        connection.execute(schema_table.update().values(version=2))


def test_rungs_and_epochs_are_as_today(url, older):
    storage = open_storage(url)
    trials = open_study(storage).trials
    assert [t.number for t in trials if "completed_rung_0" in t.system_attrs] == [0, 2]
    measured = {"train_loss": 2.5, "val_accuracy": 0.1, "seconds": 1.5}
    others = {"val_loss": None, "learning_rate": None, "images_per_second": None}
    assert read_epochs(storage, trials[0]._trial_id) == [EpochRecord(1, measured | others)]
    tables = set(sqlalchemy.inspect(storage.engine).get_table_names())
    assert not {"sweeps_leases", "sweeps_epochs"} & tables
    with storage.engine.connect() as connection:
        version = connection.execute(sqlalchemy.select(schema_table.c.version)).scalar()
    assert version == SCHEMA_VERSION
    storage.engine.dispose()


def test_workers_of_an_older_release_end_first(url, storage, study, older):
    worker = register_worker(storage, study._study_id, "w", "cpu")
    for _ in range(2):
        with pytest.raises(StorageError, match=r"1 worker of an older release at work.*try again"):
            open_storage(url)
    end_worker(storage, worker.worker_id)
    open_storage(url).engine.dispose()
