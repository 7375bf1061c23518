"""A training loop of a person's own: swept, exported, trained again; what is refused or fails."""

import json

import optuna
import pytest

from storage import create_study
from sweeps.errors import SweepsError
from sweeps.spec.files import load_yaml
from sweeps.spec.spec import parse_spec
from tests.sweeps.conftest import OWN
from tests.sweeps.worker.test_loop import run, storage, worker  # noqa: F401

LOOP = """
import sys

def train(context):
    for epoch in range(1, context.config.training.epochs + 1):
        loss = context.options["x"] ** 2 + context.seed
        known = len(context.trials())
        context.report(epoch, loss=loss / epoch, torch="torch" in sys.modules, known=known)

class Thing:
    pass

thing = Thing()
"""

SPEC = {**OWN, "budget": {"trials": 4}, "training": {"epochs": 3}}


def test_a_loop_is_swept_exported_and_run_again_without_images_or_torch(place):
    (place.folder / "loops.py").write_text(LOOP)
    swept = place.run("run", place.write_spec(SPEC), "--workers", "2")
    assert swept.returncode == 0, swept.stderr
    study = place.study()
    assert (study.study_name, len(study.trials)) == ("own", 4)
    for trial in study.trials:
        expected = trial.params["options.x"] ** 2
        assert trial.intermediate_values == {e: pytest.approx(expected / e) for e in (1, 2, 3)}
        assert trial.value == trial.intermediate_values[3]
        assert trial.user_attrs["metrics"]["torch"] == 0
        assert trial.user_attrs["metrics"]["seconds"] >= 0

    assert place.run("export", "-o", "best.yaml").returncode == 0
    exported = load_yaml((place.folder / "best.yaml").read_text(), "best.yaml")
    assert exported["options"] == {"x": study.best_params["options.x"]}
    assert exported["code"]["objective"].startswith("sha256:")
    again = place.run("train", "best.yaml")
    assert again.stdout.endswith(f", the same as trial {study.best_trial.number} of own\n")
    assert "loops:train from" in again.stderr

    (place.folder / "loops.py").write_text(f"{LOOP}\n# changed\n")
    for command in (["train", "best.yaml"], ["run", "spec.yaml", "--trials", "5"]):
        refused = place.run(*command)
        assert refused.returncode == 1
        assert "objective: " in refused.stderr
        assert "Traceback" not in refused.stderr


WAITING_LOOP = """
import time
from pathlib import Path

def train(context):
    print("waiting")
    deadline = time.monotonic() + 30
    while not Path("go").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    context.report(1, loss=1.0)
"""


def test_what_a_loop_prints_is_seen_while_it_runs(place):
    del place.environment["PYTHONUNBUFFERED"]
    (place.folder / "loops.py").write_text(WAITING_LOOP)
    spec = place.write_spec({**SPEC, "budget": {"trials": 1}})
    run = place.start("run", spec, "--workers", "1")
    assert any("waiting" in line for line in run.stderr)
    (place.folder / "go").touch()
    _, err = run.communicate(timeout=60)
    assert run.returncode == 0, err
    assert place.study().best_value == 1.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"objective": "loops"}, "own: objective: write module:name"),
        ({"options": {}}, "own: search.options.x: give x a value under options"),
        ({"metric": "loss"}, "own: metric: no such metric"),
        ({"objective": None, "metric": "val_loss"}, "own: options: are for a training loop"),
    ],
)
def test_a_wrong_spec_is_refused(changes, words):
    with pytest.raises(SweepsError) as refused:
        parse_spec({**SPEC, **changes}, "own")
    assert str(refused.value).startswith(words)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("nowhere:train", "objective: nowhere:train: there is no module nowhere in"),
        ("loops:thing", "is no function of one argument"),
    ],
)
def test_a_loop_that_cannot_be_called_is_refused_before_anything_starts(
    cli, tmp_path, monkeypatch, reference, words
):
    (tmp_path / "loops.py").write_text(LOOP)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "spec.yaml").write_text(json.dumps({**SPEC, "objective": reference}))
    status, _, err = cli("run", "spec.yaml", "--workers", "1")
    assert status == 1
    assert words in err
    assert not (tmp_path / "sweeps.db").exists()


def reporting(returned=None, **metrics):
    def objective(context):
        if metrics:
            context.report(1, **metrics)
        return returned

    return objective


@pytest.mark.parametrize(
    ("objective", "reason"),
    [
        (reporting(0.5), "ValueError: val_accuracy, which the study optimizes, was never reported"),
        (reporting(loss=1.0), "ValueError: epoch 1 reported loss, and not val_accuracy"),
        (reporting(val_accuracy=float("inf")), "ValueError: val_accuracy was inf in epoch 1"),
        (reporting(val_accuracy="high"), "TypeError: val_accuracy is 'high', not a number"),
        (reporting("good", val_accuracy=1), "TypeError: the returned value is 'good', not a"),
        (reporting(float("nan"), val_accuracy=1), "ValueError: the returned value is nan"),
    ],
)
def test_a_loop_that_reports_no_usable_value_fails_with_the_reason(worker, objective, reason):  # noqa: F811
    outcome, trial = run(worker, objective)
    assert outcome == "failed"
    assert trial.user_attrs["reason"].startswith(reason)
    assert "Traceback" in trial.user_attrs["traceback"]


def test_what_a_loop_returns_counts_before_what_it_reported_last(worker):  # noqa: F811
    assert run(worker, reporting(0.75, val_accuracy=0.5, other=2))[1].values == [0.75]
    assert run(worker, reporting(None, val_accuracy=0.5))[1].values == [0.5]


def test_several_objectives_are_the_last_reported(storage, worker):  # noqa: F811
    worker.study = create_study(storage, "two", ["maximize", "minimize"], lambda study: None)
    worker.metrics = ["val_accuracy", "step_ms"]
    worker.register()
    worker.study.sampler = optuna.samplers.TPESampler(n_startup_trials=1, seed=0)
    for accuracy, step in ((0.5, 3.0), (0.25, 1.0), (0.25, 2.0)):
        outcome, trial = run(worker, reporting(val_accuracy=accuracy, step_ms=step))
        assert (outcome, trial.values) == ("completed", [accuracy, step])
    assert run(worker, reporting(1.0, val_accuracy=0.5, step_ms=1.0))[0] == "failed"
    assert [trial.number for trial in worker.study.best_trials] == [0, 1]
