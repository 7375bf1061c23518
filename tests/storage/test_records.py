"""Studies, epochs and workers as the storage keeps them."""

import dataclasses
import signal
import subprocess
import time
from pathlib import Path

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage

from storage import (
    EpochRecord,
    StorageError,
    beat,
    create_study,
    end_trial,
    end_worker,
    list_workers,
    living_workers,
    note_progress,
    open_storage,
    open_study,
    read_epochs,
    register_worker,
    report_epoch,
    study_names,
)
from storage.schema import claims_table, epochs_table, workers_table
from storage.workers import GRACE_SECONDS
from tests.storage.claiming import at_work
from tests.storage.processes import CONTEXT, open_and_create, run_at_once
from tests.sweeps.waiting import wait_for

EPOCH = EpochRecord(
    epoch=1,
    train_loss=2.0,
    val_loss=None,
    val_accuracy=0.5,
    learning_rate=0.1,
    seconds=1.5,
    images_per_second=400.0,
)


class TestStudies:
    def test_processes_that_create_one_at_once_share_it(self, url):
        """Eight, five times over; the first time they make the tables too."""
        for name in ("first", "second", "third", "fourth", "fifth"):
            assert run_at_once(open_and_create, [(url, name)] * 8) == [name] * 8
            storage = open_storage(url)
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

    def test_one_whose_set_up_fails_is_not_there(self, storage):
        def set_up(study):
            study.enqueue_trial({"x": 1.0})
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            create_study(storage, "new", "maximize", set_up)
        assert study_names(storage) == []

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

    def test_it_is_set_up_once(self, storage):
        calls = []
        for _ in range(2):
            create_study(storage, "once", "maximize", lambda study: calls.append(study))
        assert len(calls) == 1

    def test_a_set_up_that_was_cut_off_is_finished_by_the_next(self, storage):
        def cut_off(study):
            study.set_user_attr("half", True)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            create_study(storage, "cut", "maximize", cut_off)
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
            for table in (workers_table, claims_table, epochs_table):
                assert len(connection.execute(table.select()).all()) == 1, table.name
        with pytest.raises(KeyError):
            storage.delete_study(deleted._study_id)


class TestEpochs:
    def test_records_come_back_in_order(self, storage, study):
        trial = study.ask()
        second = dataclasses.replace(EPOCH, epoch=2, val_loss=1.0)
        report_epoch(storage, trial, second, 0.75, epochs=3)
        report_epoch(storage, trial, EPOCH, 0.5, epochs=3)
        assert read_epochs(storage, trial._trial_id) == [EPOCH, second]
        assert study.trials[0].intermediate_values == {1: 0.5, 2: 0.75}

    def test_an_epoch_that_is_repeated_replaces_the_first(self, storage, study):
        trial = study.ask()
        again = dataclasses.replace(EPOCH, train_loss=1.0)
        report_epoch(storage, trial, EPOCH, 0.5, epochs=3)
        report_epoch(storage, trial, again, 0.25, epochs=3)
        assert read_epochs(storage, trial._trial_id) == [again]
        assert study.trials[0].intermediate_values == {1: 0.25}

    def test_attributes_and_the_worker_are_written_with_it(self, storage, study):
        worker_id = register_worker(storage, study._study_id, "w", "cpu").worker_id
        trial = study.ask()
        more = {"worker_id": worker_id, "attributes": {"epoch seconds": 1.5}}
        report_epoch(storage, trial, EPOCH, 0.5, epochs=3, **more)
        [worker] = list_workers(storage, study._study_id)
        assert (worker.trial_number, worker.epoch, worker.epochs, worker.value) == (0, 1, 3, 0.5)
        assert study.trials[0].user_attrs == {"epoch seconds": 1.5}

    def test_nothing_of_it_is_kept_when_the_trial_was_ended(self, storage, study):
        worker_id = register_worker(storage, study._study_id, "w", "cpu").worker_id
        trial = study.ask()
        end_trial(storage, study, trial.number, "lost")
        more = {"worker_id": worker_id, "attributes": {"late": True}}
        with pytest.raises(UpdateFinishedTrialError):
            report_epoch(storage, trial, EPOCH, 0.5, epochs=3, **more)
        assert read_epochs(storage, trial._trial_id) == []
        [worker] = list_workers(storage, study._study_id)
        assert worker.epoch is None
        assert study.trials[0].intermediate_values == {}
        assert "late" not in study.trials[0].user_attrs


class TestWorkers:
    def test_what_it_does_is_known(self, storage, study):
        worker_id = register_worker(storage, study._study_id, "worker-0", "cuda:1").worker_id
        note_progress(storage, worker_id, trial_number=3, epoch=2, epochs=9, value=0.25)
        [worker] = list_workers(storage, study._study_id)
        assert (worker.name, worker.device) == ("worker-0", "cuda:1")
        assert (worker.trial_number, worker.epoch, worker.epochs, worker.value) == (3, 2, 9, 0.25)
        assert worker.is_alive(time.time())

    def test_one_that_ended_is_not_alive(self, storage, study):
        worker_id = register_worker(storage, study._study_id, "w", "cpu").worker_id
        end_worker(storage, worker_id)
        [worker] = list_workers(storage, study._study_id)
        assert not worker.is_alive(time.time())

    def test_one_whose_process_is_gone_is_not_alive(self, storage, study):
        process = CONTEXT.Process(target=int)
        process.start()
        process.join()
        register_worker(storage, study._study_id, "w", "cpu")
        [worker] = list_workers(storage, study._study_id)
        assert not dataclasses.replace(worker, pid=process.pid).is_alive(time.time())
        # Of another host's processes nothing is known but the heartbeat.
        assert dataclasses.replace(worker, pid=process.pid, host="elsewhere").is_alive(time.time())

    def test_one_that_was_silent_here_is_alive_while_its_process_runs(self, storage, study):
        """As after a pause of the whole machine."""
        worker = register_worker(storage, study._study_id, "w", "cpu")
        later = worker.last_seen + GRACE_SECONDS + 1
        assert worker.is_alive(later)
        assert not dataclasses.replace(worker, host="elsewhere").is_alive(later)

    @pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux")
    def test_one_that_was_suspended_alone_is_dead_after_the_grace(self, storage, study):
        worker = register_worker(storage, study._study_id, "w", "cpu")
        process = subprocess.Popen(["sleep", "60"])
        try:
            suspended = dataclasses.replace(worker, pid=process.pid, birth="")
            later = worker.last_seen + GRACE_SECONDS + 1
            assert suspended.is_alive(later)
            process.send_signal(signal.SIGSTOP)
            wait_for(lambda: not suspended.is_alive(later), "it is taken for dead")
            assert suspended.is_alive(worker.last_seen)
        finally:
            process.kill()
            process.wait()

    def test_the_living_are_listed_without_the_ended(self, storage, study):
        first, second = (register_worker(storage, study._study_id, n, "cpu") for n in "ab")
        end_worker(storage, first.worker_id)
        assert [worker.name for worker in living_workers(storage, study._study_id)] == ["b"]
        assert living_workers(storage, study._study_id)[0].worker_id == second.worker_id

    @pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux")
    def test_another_process_of_the_same_number_is_not_it(self, storage, study):
        worker = register_worker(storage, study._study_id, "w", "cpu")
        assert worker.is_alive(time.time())
        assert not dataclasses.replace(worker, birth="1").is_alive(time.time())

    def test_one_that_was_taken_for_dead_comes_back_with_its_heartbeat(self, storage, study):
        worker = register_worker(storage, study._study_id, "w", "cpu")
        end_worker(storage, worker.worker_id)
        beat(storage, worker.worker_id)
        [worker] = list_workers(storage, study._study_id)
        assert worker.is_alive(time.time())

    def test_they_are_numbered_within_their_study(self, storage, study):
        other = create_study(storage, "other", "maximize", lambda study: None)
        numbers = [
            register_worker(storage, each._study_id, "w", "cpu").number
            for each in (study, study, other, study)
        ]
        assert numbers == [0, 1, 0, 2]
