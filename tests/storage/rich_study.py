"""A study with something of everything, and all that a storage holds of a study."""

import math
import re
from typing import Any

import optuna
from optuna.storages._rdb.models import BaseModel
from optuna.trial import TrialState
from optuna_dashboard import save_note
from sqlalchemy import select

from storage import (
    CONFIGURATION,
    STUDY_UID,
    EpochRecord,
    HardenedStorage,
    create_study,
    end_trial,
    register_worker,
    report_epoch,
)
from storage.schema import metadata
from tests.storage.claiming import at_work

NAME = "Größe 📏 'of' \"x\"; DROP % {}"


def record(epoch: int, value: float | None) -> EpochRecord:
    return EpochRecord(epoch, {"train_loss": 1.5, "val_loss": None, "val_accuracy": value})


def make_rich_study(storage: HardenedStorage, name: str = NAME) -> optuna.Study:
    """A study with trials of all states; one runs, on a worker that is this process."""

    def set_up(study: optuna.Study) -> None:
        study.set_user_attr("naïve ✓", {"list": [1, 2.5, None, "\x00 \ud83d"]})
        study.set_metric_names(["val_accuracy"])
        save_note(study, "the study's note ✓ " * 300)

    study = create_study(storage, name, "maximize", set_up)
    worker = register_worker(storage, study._study_id, "worker-0", "cpu")
    values = (0.25, math.inf, -math.inf)
    for value in values:
        with at_work(storage, study, worker.worker_id) as trial:
            _pick(trial)
            finite = math.isfinite(value)
            report_epoch(storage, trial, record(1, 0.1 + 0.2), 0.1 + 0.2, epochs=2)
            report_epoch(storage, trial, record(2, value if finite else None), value, epochs=2)
            trial.set_user_attr(CONFIGURATION, "ä\n")
            save_note(trial, f"note of trial {trial.number}")
            end_trial(storage, study, trial.number, "completed", value=value)

    with at_work(storage, study, worker.worker_id) as pruned:
        report_epoch(storage, pruned, record(1, None), math.nan, epochs=2)
        end_trial(storage, study, pruned.number, "diverged", reason="the loss was not finite")
    with at_work(storage, study, worker.worker_id) as failed:
        reason = "RuntimeError: x"
        end_trial(
            storage, study, failed.number, "failed", reason=reason, traceback=f"...\n{reason}"
        )
    with at_work(storage, study, worker.worker_id) as stopped:
        _pick(stopped)
        end_trial(storage, study, stopped.number, "interrupted", reason="stopped")

    # Written on the dashboard after the trial's end.
    storage.set_study_system_attr(
        study._study_id, f"dashboard:{failed._trial_id}:note_str:0", "of the failed trial"
    )

    with at_work(storage, study, worker.worker_id) as running:
        report_epoch(storage, running, record(1, 0.5), 0.5, epochs=2, worker_id=worker.worker_id)
    storage.record_heartbeat(running._trial_id)
    study.enqueue_trial({"float": 0.75, "choice": None}, user_attrs={"queued": True})
    states = [trial.state for trial in study.trials]
    assert set(states) == set(TrialState)
    return study


def _pick(trial: optuna.Trial) -> None:
    trial.suggest_float("float", 0.0, 1.0)
    trial.suggest_float("log", 1e-5, 1.0, log=True)
    trial.suggest_float("step", 0.0, 1.0, step=0.25)
    trial.suggest_int("int", 1, 2**40)
    trial.suggest_categorical("choice", ["ä", 1, 2.5, None, True])


def rows_of(storage: HardenedStorage, study: optuna.Study) -> dict[str, list[Any]]:
    """All rows that a storage holds of a study, by table, with numbers in place of its ids."""
    trials = {trial._trial_id: trial.number for trial in study.get_trials(deepcopy=False)}
    found: dict[str, list[Any]] = {}
    with storage.engine.connect() as connection:
        workers = {
            row.worker_id: row.number
            for row in connection.execute(select(metadata.tables["sweeps_workers"]))
            if row.study_id == study._study_id
        }
        for table in (*BaseModel.metadata.sorted_tables, *metadata.sorted_tables):
            rows = []
            for row in connection.execute(select(table)).mappings():
                belongs = row.get("trial_id") in trials or row.get("study_id") == study._study_id
                if not belongs:
                    continue
                plain = dict(row)
                for column in table.primary_key:
                    if column.name not in ("epoch", "trial_id", "worker_id"):
                        del plain[column.name]
                plain.pop("study_id", None)
                if plain.get("trial_id") is not None:
                    plain["trial_id"] = trials[plain["trial_id"]]
                if "worker_id" in plain:
                    plain["worker_id"] = workers[plain["worker_id"]]
                if plain.get("key") == STUDY_UID:
                    # Of each copy its own.
                    continue
                if "key" in plain:
                    plain["key"] = re.sub(
                        r"(?<=^dashboard:)(\d+)(?=:)",
                        lambda match: f"trial {trials[int(match[1])]}",
                        plain["key"],
                    )
                rows.append(plain)
            if rows:
                found[table.name] = sorted(rows, key=repr)
    return found
