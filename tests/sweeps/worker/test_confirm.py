"""The loop of confirming runs: a sweep's training, and one look at the test part."""

import dataclasses

import numpy as np
import optuna
import pytest

from storage import open_storage, study_uid
from sweeps.data.dataset import Split
from sweeps.spec.spec import parse_spec
from sweeps.study.study import open_or_create_study, trial_config
from sweeps.worker.checkpoints import Checkpoints
from sweeps.worker.confirm import train_and_test
from sweeps.worker.loop import Worker
from sweeps.worker.objective import train_network
from tests.storage.claiming import at_work


@pytest.fixture
def run(tmp_path, patterns, small):
    """Run a trial: its outcome, and the trial as it then is in the storage."""
    small["baselines"] = []
    small["training"]["precision"] = "float32"
    spec = parse_spec(small, "small")

    def one(objective, dataset=patterns, stops=(lambda: False,)):
        storage = open_storage(str(tmp_path / f"{objective.__name__}.db"), create=True)
        study = open_or_create_study(storage, spec, "study", dataset)
        worker = Worker(
            storage=storage,
            study=study,
            study_uid=study_uid(storage, study),
            objective=objective,
            dataset=dataset,
            configure=lambda trial: trial_config(spec, trial),
            make_sampler=lambda number: optuna.samplers.RandomSampler(seed=1),
            checkpoints=Checkpoints(tmp_path / objective.__name__, study),
            metrics=["val_accuracy"],
            name="w",
        )
        worker.register()
        outcomes = []
        for stop in stops:
            worker.should_stop = stop
            with at_work(storage, study, worker.worker_id) as trial:
                outcomes.append(worker.run_trial(trial))
        return outcomes, study.trials[-1]

    return one


def without_test_part(dataset):
    """The dataset with a test part that cannot be read."""

    class Untouchable(Split):
        def __getattribute__(self, name):
            raise AssertionError("the test part was touched")

    untouchable = Untouchable(images=np.empty(0), labels=np.empty(0))
    return dataclasses.replace(dataset, test=untouchable)


def test_it_trains_as_a_sweep_does_and_measures_the_test_part_once(run, patterns):
    _, swept = run(train_network, without_test_part(patterns))
    (outcome,), confirmed = run(train_and_test)
    assert outcome == "completed"
    # The same run, with the same validation, whose metric stays the trial's value.
    assert confirmed.intermediate_values == swept.intermediate_values
    assert confirmed.value == swept.value
    metrics = confirmed.user_attrs["metrics"]
    assert 0 <= metrics["test_accuracy"] <= 1
    assert metrics["test_accuracy"] * len(patterns.test) == pytest.approx(
        round(metrics["test_accuracy"] * len(patterns.test))
    )
    assert {"test_loss", "test_top5", "test_calibration_error"} <= set(metrics)
    # 3x3 convolutions of 3 and 35 channels, each output pixel: more than the layer's base kernel.
    assert confirmed.user_attrs["multiply_adds"] > 9 * 35 * 35 * 8 * 8


def test_one_that_was_interrupted_measures_the_same(run):
    calls = iter(range(9))
    stops = (lambda: next(calls, None) is None, lambda: False)
    outcomes, resumed = run(train_and_test, stops=stops)
    assert outcomes == ["interrupted", "completed"]
    assert [*resumed.intermediate_values] == [1, 2]
    assert "test_accuracy" in resumed.user_attrs["metrics"]
