"""Studies: created once by many, found by name, deleted with all that is their own."""

import optuna
import pytest
from optuna.storages import RDBStorage

from storage import (
    StorageError,
    create_study,
    list_workers,
    open_storage,
    open_study,
    read_epochs,
    register_worker,
    report_epoch,
    study_names,
)
from storage.schema import claims_table, metrics_table, workers_table
from tests.storage.claiming import at_work
from tests.storage.processes import open_and_create, run_at_once
from tests.storage.test_epochs import EPOCH


class TestStudies:
    def test_processes_that_create_one_at_once_share_it(self, url):
        """Eight of them create five, after they have made the tables."""
        names = ("first", "second", "third", "fourth", "fifth")
        assert run_at_once(open_and_create, [(url, names)] * 8) == [list(names)] * 8
        storage = open_storage(url)
        for name in names:
            trials = open_study(storage, name).trials
            assert [trial.system_attrs["fixed_params"]["x"] for trial in trials] == [*range(10)]
        storage.engine.dispose()

    def test_one_that_another_program_created_is_set_up_once(self, storage):
        optuna.create_study(storage=storage, study_name="theirs", direction="maximize")
        for _ in range(2):
            study = create_study(
                storage, "theirs", "maximize", lambda study: study.enqueue_trial({"x": 1.0})
            )
        assert len(study.trials) == 1

    def test_the_newest_is_meant_when_none_is_named(self, storage):
        for name in ("first", "second"):
            create_study(storage, name, "maximize", lambda study: None)
        assert open_study(storage).study_name == "second"
        assert open_study(storage, "first").study_name == "first"
        assert study_names(storage) == ["first", "second"]

    def test_an_unknown_name_is_refused_with_the_nearest(self, storage, study):
        create_study(storage, "quick-cifar10", "maximize", lambda study: None)
        with pytest.raises(StorageError, match="did you mean quick-cifar10"):
            open_study(storage, "quick-cifar")
        with pytest.raises(StorageError, match="there are quick-cifar10, study"):
            open_study(storage, "zzz")

    def test_an_empty_storage_says_so(self, storage):
        with pytest.raises(StorageError, match="no study yet"):
            open_study(storage)

    def test_a_set_up_that_was_cut_off_is_finished_by_the_next(self, storage):
        def cut_off(study):
            study.enqueue_trial({"x": 1.0})
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            create_study(storage, "cut", "maximize", cut_off)
        assert study_names(storage) == []
        done = []
        create_study(storage, "cut", "maximize", lambda study: done.append(study))
        assert len(done) == 1

    @pytest.mark.parametrize("url", ["sqlite"], indirect=True)
    def test_rows_of_a_deleted_study_are_not_taken_for_those_of_a_new_one(self, storage):
        """SQLite gives the ids of deleted rows to new ones; another program deleted the study."""
        old = create_study(storage, "old", "maximize", lambda study: None)
        trial = old.ask()
        register_worker(storage, old._study_id, "w", "cpu")
        report_epoch(storage, trial, EPOCH, 0.5, epochs=3)
        RDBStorage.delete_study(storage, old._study_id)
        new = create_study(storage, "new", "maximize", lambda study: None)
        assert new._study_id == old._study_id
        assert new.ask()._trial_id == trial._trial_id
        assert list_workers(storage, new._study_id) == []
        assert read_epochs(storage, trial._trial_id) == []

    def test_a_deleted_study_takes_all_that_is_its_own_along(self, storage):
        kept, deleted = (
            create_study(storage, name, "maximize", lambda study: None)
            for name in ("kept", "deleted")
        )
        for study in (kept, deleted):
            worker = register_worker(storage, study._study_id, "w", "cpu")
            with at_work(storage, study, worker.worker_id) as trial:
                report_epoch(storage, trial, EPOCH, 0.5, epochs=3)
        storage.delete_study(deleted._study_id)
        with storage.engine.connect() as connection:
            for table, rows in ((workers_table, 1), (claims_table, 1), (metrics_table, 4)):
                assert len(connection.execute(table.select()).all()) == rows, table.name
        with pytest.raises(KeyError):
            storage.delete_study(deleted._study_id)
