"""The training objective: trials that are interrupted, taken away, pruned or too large."""

from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest
import torch
from sqlalchemy import text

from storage import end_worker, list_workers, open_storage, reclaim, study_uid, transaction
from sweeps.spec.spec import parse_spec
from sweeps.study.study import open_or_create_study, trial_config
from sweeps.training import train
from sweeps.worker.checkpoints import Checkpoints
from sweeps.worker.loop import Worker
from sweeps.worker.objective import train_network
from tests.storage.claiming import at_work


@pytest.fixture
def precision():
    return "float32"


@pytest.fixture
def study(tmp_path, patterns, small, precision):
    storage = open_storage(str(tmp_path / "sweeps.db"), create=True)
    small["baselines"] = []
    small["training"]["precision"] = precision
    return open_or_create_study(storage, parse_spec(small, "small"), "study", patterns)


@pytest.fixture
def run(study, patterns, small, tmp_path):
    """Run a trial: its outcome, and the trial as it then is in the storage."""
    storage = study._storage._backend
    spec = parse_spec(small, "small")
    worker = Worker(
        storage=storage,
        study=study,
        study_uid=study_uid(storage, study),
        objective=train_network,
        dataset=patterns,
        configure=lambda trial: trial_config(spec, trial),
        make_sampler=lambda number: optuna.samplers.RandomSampler(seed=number),
        checkpoints=Checkpoints(tmp_path / "kept", study, seconds=0),
        metrics=["val_accuracy"],
        name="w",
    )
    worker.register()

    def one(should_stop=lambda: False):
        worker.should_stop = should_stop
        with at_work(storage, study, worker.worker_id) as trial:
            return worker.run_trial(trial), study.trials[trial.number]

    return one


def stop_after(calls):
    """Asked for a stop at the n-th time it is looked."""
    left = iter(range(calls))
    return lambda: next(left, None) is None


def measure(monkeypatch, faster):
    monkeypatch.setattr("sweeps.training.precision._bfloat16_pays", lambda *network: faster)


def precision_of(trial):
    return trial.user_attrs["config"]["training"]["precision"]


@pytest.mark.parametrize("precision", ["auto"])
def test_the_first_trial_decides_on_the_precision_of_all(run, study, monkeypatch):
    for faster in (True, False):
        measure(monkeypatch, faster)
        _, trial = run()
        assert precision_of(trial) == "bfloat16"


@pytest.mark.parametrize("precision", ["auto"])
def test_a_study_that_an_older_release_began_in_float32_goes_on_in_it(run, study, monkeypatch):
    measure(monkeypatch, False)
    run()
    forget = text("DELETE FROM study_user_attributes WHERE key = 'cpu_precision'")
    with transaction(study._storage._backend.engine) as connection:
        assert connection.execute(forget).rowcount == 1
    measure(monkeypatch, True)
    _, trial = run()
    assert precision_of(trial) == "float32"


NETWORK = """
import time
import torch
from torch import nn

class Network(nn.Sequential):
    def forward(self, images):
        end = time.thread_time() + 0.1
        while not torch.is_autocast_enabled("cpu") and time.thread_time() < end:
            pass
        return super().forward(images)

def build(image_shape, num_classes):
    layers = nn.Conv2d(3, 8, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return Network(*layers, nn.Linear(8, num_classes))
"""


def test_a_sweep_trains_in_bfloat16_where_that_is_faster(place, small):
    (place.folder / "slow_in_float32.py").write_text(NETWORK)
    small["model"] = {"import": "slow_in_float32:build"}
    small["search"], small["baselines"] = {"training.learning_rate": {"float": [0.01, 0.1]}}, []
    small["budget"] = {"trials": 3}
    done = place.run("run", place.write_spec(small), "--workers", "2", "--devices", "cpu")
    assert done.returncode == 0, done.stderr
    assert [precision_of(trial) for trial in place.study().trials] == ["bfloat16"] * 3


def test_an_interrupted_trial_is_resumed_and_its_epochs_are_replayed(run):
    outcome, trial = run(stop_after(9))
    assert outcome == "interrupted"
    assert list(trial.intermediate_values) == [1]
    outcome, retry = run()
    assert outcome == "completed"
    assert retry.params == trial.params
    assert retry.intermediate_values[1] == trial.intermediate_values[1]
    assert list(retry.intermediate_values) == [1, 2]


def test_no_replayed_epoch_is_judged_again(run, study):
    run(stop_after(9))
    study.pruner = optuna.pruners.ThresholdPruner(lower=2.0)
    assert run()[0] == "completed"
    outcome, other = run()
    assert outcome == "pruned"
    assert list(other.intermediate_values) == [1]


def too_large(*arguments, **settings):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    yield


def test_out_of_memory_is_retried_once_in_micro_batches(run, study, monkeypatch):
    monkeypatch.setattr("sweeps.worker.objective.train", too_large)
    outcome, trial = run()
    assert outcome == trial.user_attrs["outcome"] == "out_of_memory"
    assert study.trials[1].state.name == "WAITING"
    outcome, retry = run()
    assert outcome == "failed"
    assert retry.user_attrs["config"]["training"]["micro_batches"] == 4
    assert retry.user_attrs["reason"] == (
        "out of memory: CUDA out of memory. Tried to allocate 2.00 GiB (in 4 micro-batches)"
    )
    assert retry.params == trial.params
    assert [t.state.name for t in study.trials] == ["FAIL", "FAIL"]


def test_a_retry_in_less_memory_resumes_from_the_checkpoint(run, study, monkeypatch):
    """The second epoch is too much: its retry replays the first and does the second alone."""
    real, resumed = train, []

    def too_large_later(config, *arguments, **settings):
        if config.training.micro_batches > 1:
            stop = settings["should_stop"]
            settings["should_stop"] = lambda: resumed.append(1) or stop()
        for result in real(config, *arguments, **settings):
            yield result
            if config.training.micro_batches == 1:
                raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("sweeps.worker.objective.train", too_large_later)
    outcome, trial = run()
    assert outcome == "out_of_memory"
    assert list(trial.intermediate_values) == [1]
    outcome, retry = run()
    assert outcome == "completed"
    assert retry.user_attrs["retry_of"] == trial.number
    assert retry.user_attrs["config"]["training"]["micro_batches"] == 4
    assert retry.intermediate_values[1] == trial.intermediate_values[1]
    # Written before the last batch of the first epoch: that, and what comes after. The validation
    # is done in parts too.
    assert len(resumed) == (1 + 2) + (6 + 2)
    assert [t.state.name for t in study.trials] == ["FAIL", "COMPLETE"]


def test_any_other_error_fails_a_trial_with_the_traceback_in_its_note(run, study, monkeypatch):
    def broken(*arguments, **settings):
        raise ZeroDivisionError("by nought\nand more")
        yield

    monkeypatch.setattr("sweeps.worker.objective.train", broken)
    outcome, trial = run()
    assert outcome == "failed"
    assert trial.user_attrs["reason"] == "ZeroDivisionError: by nought"
    traceback = trial.user_attrs["traceback"]
    assert traceback.startswith("Traceback")
    assert "ZeroDivisionError: by nought" in traceback
    notes = study._storage.get_study_system_attrs(study._study_id)
    note = notes[f"dashboard:{trial._trial_id}:note_str:0"]
    assert note.index("Effective kernel") < note.index("Traceback")


def test_a_trial_that_was_taken_from_its_worker_leaves_its_retry_alone(run, study):
    """The worker was suspended for so long that another ended the trial; it finds out later."""
    looked = []
    storage = study._storage._backend

    def lose():
        """As another process that takes this worker for dead."""
        end_worker(storage, list_workers(storage, study._study_id)[0].worker_id)
        assert reclaim(storage, study) == [0]

    def taken():
        looked.append(1)
        if len(looked) == 3:
            with ThreadPoolExecutor() as another:
                another.submit(lose).result()
        return False

    outcome, trial = run(taken)
    assert outcome == "lost"
    assert trial.intermediate_values == {}
    assert [t.state.name for t in study.trials] == ["FAIL", "WAITING"]


@pytest.fixture
def deadly(small):
    """A spec whose trials die of their learning rate."""
    small["training"] |= {"epochs": 12, "learning_rate": 2.0}
    small["search"] = {"layer.edge": {"float": [0.4, 0.6]}}


def test_a_trial_that_does_not_learn_is_pruned_and_says_why(deadly, run, study):
    study.pruner = optuna.pruners.MedianPruner()
    outcome, trial = run()
    assert outcome == "pruned"
    assert 0 < len(trial.intermediate_values) < 12
    assert "was that of chance" in trial.user_attrs["reason"]
