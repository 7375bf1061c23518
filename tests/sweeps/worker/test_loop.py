"""How trials end, and that a worker's heartbeat outlives errors."""

import threading
from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest

from storage import StorageError, create_study, list_workers, open_storage, reclaim, study_uid
from sweeps.errors import Diverged, Interrupted, OutOfMemory
from sweeps.worker.checkpoints import Checkpoints
from sweeps.worker.loop import Worker, heartbeat
from tests.storage.claiming import at_work
from tests.sweeps.waiting import wait_for


@pytest.fixture
def storage(tmp_path):
    return open_storage(str(tmp_path / "sweeps.db"), create=True)


@pytest.fixture
def worker(storage, tmp_path):
    """A worker of a study, whose objective is set by the tests."""
    study = create_study(storage, "study", "maximize", lambda study: None)
    worker = Worker(
        storage=storage,
        study=study,
        study_uid=study_uid(storage, study),
        objective=lambda context: 0.5,
        configure=lambda trial: trial.suggest_float("x", 0, 1),
        make_sampler=lambda number: optuna.samplers.RandomSampler(seed=number),
        checkpoints=Checkpoints(tmp_path / "checkpoints", study),
        metrics=["val_accuracy"],
        name="w",
    )
    worker.register()
    return worker


def run(worker, objective):
    """Run a trial: its outcome, and the trial as it then is in the storage."""
    worker.objective = objective
    with at_work(worker.storage, worker.study, worker.worker_id) as trial:
        return worker.run_trial(trial), worker.study.trials[trial.number]


def reporting(*values):
    """An objective that reports these values of the metric and returns the last."""

    def objective(context):
        context.describe(epochs=len(values), note="# A note", attributes={"size": 3})
        for epoch, value in enumerate(values, 1):
            context.report(
                epoch,
                val_accuracy=value,
                val_loss=1 - value,
                train_loss=0.5,
                learning_rate=0.1,
                seconds=1.0,
                images_per_second=10.0,
            )
        return values[-1]

    return objective


def raising(error):
    def objective(context):
        raise error

    return objective


def test_a_trial_is_given_its_configuration_and_described_and_recorded(worker):
    seen = []

    def objective(context):
        seen.append((context.config, context.device, context.metrics, context.worker_name))
        return reporting(0.25, 0.75)(context)

    outcome, trial = run(worker, objective)
    assert outcome == trial.user_attrs["outcome"] == "completed"
    assert seen == [(trial.params["x"], "cpu", ["val_accuracy"], "w")]
    assert trial.intermediate_values == {1: 0.25, 2: 0.75}
    assert (trial.value, trial.user_attrs["worker"], trial.user_attrs["size"]) == (0.75, "w", 3)


@pytest.mark.parametrize(
    ("objective", "outcome", "reason"),
    [
        (raising(Interrupted()), "interrupted", "the sweep was stopped"),
        (raising(Diverged("too large")), "diverged", "too large"),
        (raising(OutOfMemory("none left", {})), "failed", "none left"),
        (raising(OutOfMemory("none left", {"a": 1})), "out_of_memory", "none left"),
        (raising(ZeroDivisionError("by nought\nand")), "failed", "ZeroDivisionError: by nought"),
        (reporting(0.5, float("nan")), "failed", "ValueError: val_accuracy was nan in epoch 2"),
    ],
)
def test_an_exception_says_how_a_trial_ends(worker, objective, outcome, reason):
    ended, trial = run(worker, objective)
    assert (ended, trial.user_attrs["outcome"], trial.user_attrs["reason"]) == (
        outcome,
        outcome,
        reason,
    )
    is_retried = outcome in ("interrupted", "out_of_memory")
    assert len(worker.study.trials) == 1 + is_retried


def test_hopeless_trials_are_pruned_but_not_in_their_last_epoch(worker):
    worker.study.pruner = optuna.pruners.ThresholdPruner(lower=0.5)
    assert run(worker, reporting(0.25, 0.75))[0] == "pruned"
    assert run(worker, reporting(0.75, 0.25))[0] == "completed"


def test_a_trial_that_does_not_say_how_many_epochs_it_has_is_pruned_too(worker):
    def objective(context):
        for epoch in (1, 2):
            context.report(epoch, val_accuracy=0.25)

    worker.study.pruner = optuna.pruners.ThresholdPruner(lower=0.5)
    assert run(worker, objective)[0] == "pruned"


def test_an_objective_may_report_from_a_thread_of_its_own(worker):
    def objective(context):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(reporting(0.25, 0.75), context).result()

    outcome, trial = run(worker, objective)
    assert (outcome, trial.value, trial.user_attrs["size"]) == ("completed", 0.75, 3)


def test_a_trial_that_is_its_workers_does_not_run_on_whatever_was_raised(worker):
    error = optuna.exceptions.UpdateFinishedTrialError("of another trial")
    outcome, trial = run(worker, raising(error))
    assert outcome == trial.user_attrs["outcome"] == "failed"
    assert trial.user_attrs["reason"] == "UpdateFinishedTrialError: of another trial"


def test_a_worker_does_not_wait_twice_for_a_storage_that_is_unavailable(worker, monkeypatch):
    def unavailable(*_):
        raise StorageError(f"waited {worker.storage.haste or 300} s")

    monkeypatch.setattr("sweeps.worker.loop.reclaim", unavailable)
    monkeypatch.setattr("sweeps.worker.loop.end_worker", unavailable)
    with pytest.raises(StorageError, match="waited 300 s"):
        worker.run()
    assert worker.storage.haste == 3


def test_a_trial_is_not_failed_for_a_storage_that_is_unavailable(worker):
    """It belongs to its worker until that ends, and is then retried."""
    with pytest.raises(StorageError):
        run(worker, raising(StorageError("unavailable for longer than anybody waits")))
    assert worker.study.trials[0].state.name == "RUNNING"
    assert reclaim(worker.storage, worker.study) == []


def last_seen(worker):
    return list_workers(worker.storage, worker.study._study_id)[0].last_seen


def heartbeats():
    return [thread for thread in threading.enumerate() if thread.name == "heartbeat"]


def test_a_heartbeat_beats_until_the_end_of_its_block(storage, worker):
    before = last_seen(worker)
    with heartbeat(storage, worker.worker_id, seconds=0.02):
        wait_for(lambda: last_seen(worker) > before, "a beat")
    wait_for(lambda: not heartbeats(), "the thread's end")


def test_a_heartbeat_survives_errors_and_logs_each_once_in_a_row(
    storage, worker, monkeypatch, caplog
):
    restart, full = RuntimeError("the server restarts\n[SQL: UPDATE]"), OSError("the disk is full")
    left = [restart, restart, restart, full, full, restart, None, restart, None]

    def beat(*arguments):
        error = left.pop(0) if left else None
        if error is not None:
            raise error

    monkeypatch.setattr("sweeps.worker.loop.beat", beat)
    with heartbeat(storage, worker.worker_id, seconds=0.01):
        wait_for(lambda: not left, "all beats")
    logged = [(record.levelname, record.getMessage(), record.exc_info) for record in caplog.records]
    assert logged == [
        ("WARNING", f"the worker's heartbeat failed: {said} (tried again)", None)
        for said in (
            "RuntimeError: the server restarts",
            "OSError: the disk is full",
            "RuntimeError: the server restarts",
            "RuntimeError: the server restarts",
        )
    ]
