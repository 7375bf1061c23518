"""`sweeps run --log-json`."""

import json
import os
import subprocess

import pytest

from sweeps.reporting import Reporter
from sweeps.reporting.json_log import JsonLog
from sweeps.worker.process import short_host
from tests.sweeps.conftest import Place
from tests.sweeps.reporting.conftest import named, parse_log
from tests.sweeps.waiting import wait_for

#: Its worker would come and go between two looks of the run.
LOOP_TO_SEE = """
import time
from pathlib import Path

def train(context):
    while not Path("seen").exists() and not context.should_stop():
        time.sleep(0.01)
    for epoch in range(1, context.config.training.epochs + 1):
        context.report(epoch, loss=context.options["x"] ** 2 / epoch)
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory, data_dir):
    """A sweep that ran to its end with one worker, which the run has seen."""
    place = Place(tmp_path_factory.mktemp("logged"), data_dir)
    place.write_loop(LOOP_TO_SEE, baselines=[{"name": "near", "set": {"options.x": 0.25}}])
    options = ("--workers", "1", "--devices", "cpu", "--log-json")
    log = place.folder / "log"
    with log.open("w") as file:
        run = place.start("run", "spec.yaml", *options, stderr=file)
    wait_for(lambda: "worker_started" in log.read_text(), "the worker's event")
    (place.folder / "seen").touch()
    out, _ = run.communicate(timeout=60)
    assert run.returncode == 0, log.read_text()
    return place, subprocess.CompletedProcess(run.args, run.returncode, out, log.read_text())


def test_a_sweep_that_finishes(finished):
    place, done = finished
    assert "Best: trial" in done.stdout
    assert "sweep_ended" not in done.stdout
    events = parse_log(done.stderr)
    order = [e["event"] for e in events if e["event"] not in ("message", "epoch_ended")]
    assert (order[:2], order[-1]) == (["sweep_started", "worker_started"], "sweep_ended")
    assert "worker_ended" in order
    trials = place.study().trials
    assert [event["trial"] for event in named(events, "trial_started")] == [0, 1, 2]
    for event, trial in zip(named(events, "trial_ended"), trials, strict=True):
        assert (event["trial"], event["outcome"]) == (trial.number, "completed")
        assert (event["value"], event["epochs"]) == (trial.value, 2)
        assert (event["worker"], event["queued_again"]) == (f"{short_host()}-0", False)
        assert trial.params.items() <= event["params"].items()
        assert event["configuration"] == trial.user_attrs.get("configuration")
        values = [e["value"] for e in named(events, "epoch_ended") if e["trial"] == trial.number]
        assert values == list(trial.intermediate_values.values())
    best, (ended,) = named(events, "new_best")[-1], named(events, "sweep_ended")
    assert (ended["how"], ended["reason"], ended["finished"]) == ("finished", None, 3)
    assert ended["best"]["trial"] == best["trial"] == place.study().best_trial.number
    assert ended["best"]["value"] == best["value"] == place.study().best_value


def test_a_study_that_is_done_already(finished):
    place, _ = finished
    done = place.run("run", "spec.yaml", "--log-json")
    events = parse_log(done.stderr)
    assert [event["event"] for event in events] == ["message", "sweep_ended"]
    assert (done.returncode, events[-1]["how"]) == (0, "finished")


def test_a_sweep_that_does_not_start(cli, tmp_path, small):
    small["serach"] = small.pop("search")
    (tmp_path / "spec.yaml").write_text(json.dumps(small))
    status, out, err = cli("run", "spec.yaml", "--log-json")
    assert (status, out) == (1, "")
    (ended,) = parse_log(err)
    assert (ended["event"], ended["how"], ended["study"]) == ("sweep_ended", "failed", None)
    assert "did you mean search?" in ended["reason"]


def test_values_that_are_not_finite_are_null_and_odd_strings_stay_on_their_line(study, report):
    odd = 'a "b"\n\r\t{c}\x00\x1b[31m\u2028 é 🙂 \\'

    def diverge():
        study.queue(odd)
        number = study.start()
        study.report(number, 1, float("nan"))
        study.end(number, "diverged", reason=odd)

    ended = named(report(diverge), "trial_ended")[0]
    assert ended["value"] is None
    assert (ended["configuration"], ended["reason"]) == (odd, odd)


def test_a_log_that_nobody_reads_ends_no_sweep(study):
    reading, writing = os.pipe()
    os.close(reading)
    # What cannot be written is not kept for later either: closing the file would then fail.
    with open(writing, "w") as log:
        reporter = Reporter(None, [JsonLog(log)])
        with reporter.running(study.progress()):
            study.run(0.5)
            reporter.update(study.progress(), None)
            reporter.say("to nobody")
