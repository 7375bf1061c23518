"""What every epoch measured."""

import math

import pytest
from optuna.exceptions import UpdateFinishedTrialError

from storage import (
    EpochRecord,
    end_trial,
    list_workers,
    read_epochs,
    register_worker,
    report_epoch,
)

EPOCH = EpochRecord(1, {"val_accuracy": 0.5, "val_loss": None, "größe": 2.0, "seconds": 1.5})


class TestEpochs:
    def test_records_come_back_in_order(self, storage, study):
        trial = study.ask()
        second = EpochRecord(2, {**EPOCH.metrics, "val_loss": 1.0})
        report_epoch(storage, trial, second, 0.75, epochs=3)
        report_epoch(storage, trial, EPOCH, 0.5, epochs=3)
        assert read_epochs(storage, trial._trial_id) == [EPOCH, second]
        assert study.trials[0].intermediate_values == {1: 0.5, 2: 0.75}

    def test_an_epoch_that_is_repeated_replaces_the_first(self, storage, study):
        trial = study.ask()
        again = EpochRecord(1, {**EPOCH.metrics, "größe": 1.0})
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

    def test_a_metrics_name_fits_every_database(self, storage, study):
        trial = study.ask()
        report_epoch(storage, trial, EpochRecord(1, {"m" * 128: 1.0}), 0.5, epochs=1)
        with pytest.raises(ValueError, match="at most 128 letters"):
            report_epoch(storage, trial, EpochRecord(2, {"m" * 129: 1.0}), 0.5, epochs=1)

    def test_a_value_that_is_not_finite_is_no_value_of_the_worker(self, storage, study):
        worker_id = register_worker(storage, study._study_id, "w", "cpu").worker_id
        trial = study.ask()
        report_epoch(storage, trial, EPOCH, math.nan, epochs=3, worker_id=worker_id)
        [worker] = list_workers(storage, study._study_id)
        assert (worker.epoch, worker.value) == (1, None)
        assert math.isnan(study.trials[0].intermediate_values[1])

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
