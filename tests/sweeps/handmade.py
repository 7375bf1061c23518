"""A study whose trials and workers are moved by hand, without any training."""

from pathlib import Path
from typing import Any

import optuna

from storage import (
    EpochRecord,
    create_study,
    end_trial,
    end_worker,
    note_progress,
    open_storage,
    register_worker,
    report_epoch,
)
from sweeps.study.progress import Progress, read_progress


class HandmadeStudy:
    """A study in ``sweeps.db``; this process stands for its workers."""

    def __init__(self, folder: Path, target: int = 4, name: str = "handmade") -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.storage = open_storage(str(folder / "sweeps.db"), create=True)

        def set_up(study: optuna.Study) -> None:
            study.set_user_attr("metric", "val_accuracy")
            study.set_user_attr("target_trials", target)

        self.study = create_study(self.storage, name, "maximize", set_up)
        self._trials: dict[int, optuna.Trial] = {}

    def queue(self, configuration: str) -> None:
        self.study.enqueue_trial({}, user_attrs={"configuration": configuration})

    def start_worker(self, name: str) -> str:
        return register_worker(self.storage, self.study._study_id, name, "cpu").worker_id

    def end_worker(self, worker_id: str) -> None:
        end_worker(self.storage, worker_id)

    def start(self, worker_id: str | None = None, epochs: int = 5) -> int:
        trial = self.study.ask()
        self._trials[trial.number] = trial
        if worker_id is not None:
            note_progress(self.storage, worker_id, trial_number=trial.number, epochs=epochs)
        return trial.number

    def report(self, number: int, epoch: int, value: float) -> None:
        self._trials[number].report(value, epoch)

    def train(self, number: int, worker_id: str, epoch: int, epochs: int, seconds: float) -> None:
        """Let a trial finish an epoch as a worker does, with its record."""
        record = EpochRecord(epoch, {"val_accuracy": 0.5, "seconds": seconds})
        report_epoch(
            self.storage, self._trials[number], record, 0.5, epochs=epochs, worker_id=worker_id
        )

    def end(self, number: int, outcome: str = "completed", **settings: Any) -> None:
        end_trial(self.storage, self.study, number, outcome, **settings)

    def run(self, value: float) -> int:
        """Start a trial, let it reach a value in its first epoch, and end it."""
        number = self.start()
        self.report(number, 1, value)
        self.end(number, value=value)
        return number

    def progress(self) -> Progress:
        return read_progress(self.storage, self.study)
