"""What is told of a running sweep: JSON lines in real runs, and the events behind all views."""

import io
import itertools
import json
import os
import re
import signal
import sys

import pytest
from rich.console import Console

from storage import note_progress
from sweeps.errors import Stopped, SweepsError
from sweeps.reporting import JsonLog, make_view
from sweeps.worker.process import short_host
from tests.sweeps.conftest import SMALL, Place
from tests.sweeps.handmade import HandmadeStudy
from tests.sweeps.waiting import wait_for

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
NAMES = {
    "sweep_started",
    "worker_started",
    "worker_ended",
    "trial_started",
    "epoch_ended",
    "trial_ended",
    "new_best",
    "message",
    "sweep_ended",
}


def parse(text):
    """Every line of a log, each an event of a known name with the fields that all have."""

    def refuse(constant):
        pytest.fail(f"{constant} is no JSON")

    events = [json.loads(line, parse_constant=refuse) for line in text.splitlines()]
    assert events
    for event in events:
        assert list(event)[:3] == ["time", "event", "study"]
        assert TIME.fullmatch(event["time"])
        assert event["event"] in NAMES
        assert event["text"]
    assert [e["time"] for e in events] == sorted(e["time"] for e in events)
    return events


def named(events, name):
    return [event for event in events if event["event"] == name]


@pytest.fixture(scope="module")
def logged(tmp_path_factory, data_dir):
    """A sweep that ran to its end with one worker, and what it told."""
    place = Place(tmp_path_factory.mktemp("logged"), data_dir)
    place.write_spec({**SMALL, "budget": {"trials": 3}})
    done = place.run("run", "spec.yaml", "--workers", "1", "--devices", "cpu", "--log-json")
    assert done.returncode == 0, done.stderr
    return place, done


class TestRuns:
    def test_a_finished_one(self, logged):
        place, done = logged
        events = parse(done.stderr)
        order = [e["event"] for e in events if e["event"] not in ("message", "epoch_ended")]
        assert (order[0], order[1], order[-1]) == (
            "sweep_started",
            "worker_started",
            "sweep_ended",
        )
        assert "worker_ended" in order
        trials = place.study().trials
        assert [e["trial"] for e in named(events, "trial_started")] == [0, 1, 2]
        for event, trial in zip(named(events, "trial_ended"), trials, strict=True):
            assert (event["trial"], event["outcome"]) == (trial.number, "completed")
            assert (event["value"], event["epochs"]) == (trial.value, 2)
            assert (event["worker"], event["queued_again"]) == (f"{short_host()}-0", False)
            assert trial.params.items() <= event["params"].items()
            assert event["configuration"] == trial.user_attrs.get("configuration")
            told = [e["value"] for e in named(events, "epoch_ended") if e["trial"] == trial.number]
            assert told == list(trial.intermediate_values.values())
        best = named(events, "new_best")[-1]
        (ended,) = named(events, "sweep_ended")
        assert (ended["how"], ended["reason"], ended["finished"]) == ("finished", None, 3)
        assert ended["best"]["trial"] == best["trial"] == place.study().best_trial.number
        assert ended["best"]["value"] == best["value"] == place.study().best_value

    def test_stdout_keeps_the_result(self, logged):
        _, done = logged
        assert "Best: trial" in done.stdout
        assert "sweep_ended" not in done.stdout

    def test_one_that_has_nothing_to_do(self, logged):
        place, _ = logged
        place.environment["SWEEPS_LOG_JSON"] = "1"
        done = place.run("run", "spec.yaml")
        del place.environment["SWEEPS_LOG_JSON"]
        events = parse(done.stderr)
        assert [e["event"] for e in events] == ["message", "sweep_ended"]
        assert (done.returncode, events[-1]["how"]) == (0, "finished")

    def test_one_that_is_interrupted(self, place, small):
        small["training"]["epochs"] = 500
        run = place.start("run", place.write_spec(small), "--workers", "1", "--log-json")
        lines = []
        for line in run.stderr:
            lines.append(line)
            if '"epoch_ended"' in line:
                break
        run.send_signal(signal.SIGINT)
        _, rest = run.communicate(timeout=60)
        assert run.returncode == 130
        events = parse("".join(lines) + rest)
        (trial,) = named(events, "trial_ended")
        assert (trial["outcome"], trial["queued_again"]) == ("interrupted", True)
        assert (events[-1]["event"], events[-1]["how"]) == ("sweep_ended", "stopped")
        assert events[-1]["reason"] == "SIGINT"

    def test_one_whose_workers_fail(self, place, small):
        broken = (
            "import os, sys\n"
            "if 'worker' in sys.argv:\n"
            "    print('the images are lost', file=sys.stderr, flush=True)\n"
            "    os._exit(1)\n"
        )
        (place.folder / "sitecustomize.py").write_text(broken)
        place.environment["PYTHONPATH"] = str(place.folder)
        done = place.run("run", place.write_spec(small), "--workers", "1", "--log-json")
        assert done.returncode == 1
        events = parse(done.stderr)
        (ended,) = named(events, "sweep_ended")
        assert ended["how"] == "failed"
        assert "are lost" in ended["reason"]
        assert "are lost" in ended["text"]

    def test_one_that_does_not_start(self, place, small):
        small["serach"] = small.pop("search")
        done = place.run("run", place.write_spec(small), "--log-json")
        assert (done.returncode, done.stdout) == (1, "")
        (ended,) = parse(done.stderr)
        assert (ended["event"], ended["how"], ended["study"]) == ("sweep_ended", "failed", None)
        assert "did you mean search?" in ended["reason"]


@pytest.fixture
def study(tmp_path):
    return HandmadeStudy(tmp_path)


class Watched:
    """A study seen through JSON lines."""

    def __init__(self, study, capsys):
        self._study = study
        self._capsys = capsys

    def see(self, *steps, error=None, seconds_left=None):
        """Look after each step, then let the sweep end."""
        self._capsys.readouterr()
        with JsonLog() as log:
            view = make_view(Console(stderr=True), self._study.progress(), log)
            try:
                with view:
                    for step in steps:
                        step()
                        view.update(self._study.progress(), seconds_left)
                    if error is not None:
                        raise error
            except (SweepsError, Stopped):
                pass
        return parse(self._capsys.readouterr().err)


@pytest.fixture
def watched(study, capsys):
    return Watched(study, capsys)


class TestEvents:
    def test_values_that_are_not_finite_are_null_and_odd_strings_stay_on_their_line(
        self, study, watched
    ):
        odd = 'a "b"\n\r\t{c}\x00\x1b[31m\u2028 é 🙂 \\'

        def diverge():
            study.queue(odd)
            number = study.start()
            study.report(number, 1, float("nan"))
            study.end(number, "diverged", reason=odd)

        ended = named(watched.see(diverge), "trial_ended")[0]
        assert ended["value"] is None
        assert (ended["configuration"], ended["reason"]) == (odd, odd)

    def test_a_trial_that_was_not_seen_running_has_its_start_told_too(self, study, watched):
        events = watched.see(lambda: study.run(0.5))
        names = [e["event"] for e in events]
        assert names == [
            "sweep_started",
            "trial_started",
            "epoch_ended",
            "trial_ended",
            "new_best",
            "sweep_ended",
        ]

    @pytest.mark.parametrize("outcome", ["interrupted", "lost", "out_of_memory"])
    def test_what_is_queued_again_is_told_with_its_successor(self, study, watched, outcome):
        study.queue("plain")
        events = watched.see(
            study.start, lambda: study.end(0, outcome, reason="because"), study.start
        )
        (ended,) = named(events, "trial_ended")
        assert (ended["outcome"], ended["queued_again"]) == (outcome, True)
        assert (ended["reason"], ended["value"], ended["epochs"]) == ("because", None, 0)
        assert [e["retry_of"] for e in named(events, "trial_started")] == [None, 0]

    def test_only_what_beats_the_best_is_a_new_best(self, study, watched):
        study.run(0.5)
        events = watched.see(*(lambda value=value: study.run(value) for value in (0.4, 0.7, 0.7)))
        (best,) = named(events, "new_best")
        assert (best["trial"], best["value"], best["previous"]) == (2, 0.7, 0.5)

    def test_a_worker_that_is_started_again_is_another(self, study, watched):
        workers = []

        def start():
            workers.append(study.start_worker("worker-0"))

        def replace():
            study.end_worker(workers[0])
            start()

        def work():
            note_progress(study.storage, workers[1], trial_number=5)

        events = watched.see(start, replace, work, lambda: study.end_worker(workers[1]))
        assert [e["event"] for e in events[1:-1]] == [
            "worker_started",
            "worker_started",
            "worker_ended",
            "worker_ended",
        ]
        assert [e["trial"] for e in named(events, "worker_ended")] == [None, 5]

    @pytest.mark.parametrize(
        ("error", "trials", "seconds_left", "how", "reason"),
        [
            (None, 4, None, "finished", None),
            (None, 1, 0.0, "time_is_up", None),
            (Stopped(15), 1, None, "stopped", "SIGTERM"),
            (SweepsError("no luck"), 1, None, "failed", "no luck"),
        ],
    )
    def test_how_it_ended(self, study, watched, error, trials, seconds_left, how, reason):
        steps = [lambda: study.run(0.5)] * trials
        ended = watched.see(*steps, error=error, seconds_left=seconds_left)[-1]
        assert (ended["event"], ended["how"], ended["reason"]) == ("sweep_ended", how, reason)
        assert (ended["finished"], ended["target"]) == (trials, 4)
        assert ended["outcomes"] == {"completed": trials}

    def test_a_sweep_without_one_trial_that_worked_failed(self, study, watched):
        def fail():
            study.end(study.start(), "failed", reason="ValueError: no")

        ended = watched.see(*[fail] * 4)[-1]
        assert (ended["how"], ended["best"]) == ("failed", None)
        assert ended["reason"] == "no trial worked; the last: ValueError: no"


@pytest.mark.parametrize("width", [80, 120])
def test_the_live_table_fits_the_terminal(study, width):
    """Also with more workers than it has lines."""
    for number in range(30):
        worker = study.start_worker(f"worker-{number}")
    study.end(study.start(worker), "interrupted")
    study.run(0.5)
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=width, height=24, color_system=None)
    view = make_view(console, study.progress())
    with view:
        study.end(study.start(), "pruned")
        view.update(study.progress(), 754.0)
        wait_for(lambda: "elapsed" in file.getvalue(), "a table")
        shown = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", file.getvalue())
    table = list(itertools.dropwhile(lambda line: "val_accuracy" not in line, shown.splitlines()))
    assert len(table) < 24
    assert max(map(len, table)) <= width
    text = "\n".join(table)
    assert "workers more" in text
    assert "2/4 trials · 0:00 elapsed · at most 12:34 left" in text
    assert "best 0.5000 in trial 1 · 1 completed, 1 pruned (1 interrupted, queued again)" in text
    assert re.search(r"worker-0 +cpu +- +- +-", text)


def test_plain_lines_go_on_where_they_were(study):
    study.run(0.5)
    study.start()
    file = io.StringIO()
    view = make_view(Console(file=file, width=80), study.progress())
    with view:
        study.end(1, "out_of_memory", reason="too large")
        view.update(study.progress(), None)
        view.say("[b]as it is[/b]")
    lines = [line.split(maxsplit=1)[1] for line in file.getvalue().splitlines()]
    assert lines == [
        "trial   1 out of memory: too large  [1/4 trials, best 0.5000 in trial 0]",
        "[b]as it is[/b]",
    ]


def test_a_log_that_nobody_reads_ends_no_sweep(study, monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    # What cannot be written is not kept for later either: closing the file would then fail.
    with open(writing, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        with JsonLog() as log, make_view(Console(stderr=True), study.progress(), log) as view:
            study.run(0.5)
            view.update(study.progress(), None)
            view.say("to nobody")
        monkeypatch.undo()
