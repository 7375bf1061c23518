"""`sweeps status`: once, as JSON, and while other processes work on the study."""

import json
import os
import pty
import re
import signal
import threading
import time
from itertools import pairwise

import optuna
import pytest

from storage import StorageError, create_study, open_storage
from sweeps.reporting.watch import Observer
from sweeps.study.attributes import SPEC
from tests.storage.postgres import running_server
from tests.sweeps.comparisons import make_comparison
from tests.sweeps.handmade import HandmadeStudy
from tests.sweeps.waiting import wait_for


class Reader:
    """Reads what a process writes while it runs."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._bytes = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            while chunk := os.read(self._number, 65536):
                self._bytes += chunk
        except OSError:
            pass  # A terminal is closed with its last process.

    @property
    def text(self) -> str:
        return self._bytes.decode(errors="replace")

    def wait_for(self, words: str) -> None:
        try:
            wait_for(lambda: words in self.text, words)
        except AssertionError:
            pytest.fail(f"{words!r} is not in {self.text}")

    def finish(self) -> str:
        self._thread.join(30)
        return self.text


@pytest.fixture
def watch(place):
    """Starts ``sweeps status --watch``; what is left of it is ended with the test."""
    processes = []

    def start(*arguments, terminal=False):
        if not terminal:
            process = place.start("status", "--watch", *arguments)
            processes.append(process)
            return process, Reader(process.stdout.fileno())
        master, slave = pty.openpty()
        place.environment |= {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
        process = place.start("status", "--watch", *arguments, stdout=slave)
        processes.append(process)
        os.close(slave)
        return process, Reader(master)

    yield start
    for process in processes:
        process.kill()
        process.wait()


def _end(process):
    """The status and stderr of a process that ends by itself."""
    try:
        status = process.wait(60)
    finally:
        process.kill()
    return status, process.stderr.read()


def test_json_is_one_object(place):
    study = HandmadeStudy(place.folder)
    worker = study.start_worker("worker-0")
    study.run(0.25)
    study.end(study.start(), "out_of_memory", reason="too large")
    study.start(worker)
    done = place.run("status", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    state = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert state["study"] == "handmade"
    assert (state["metric"], state["direction"], state["done"]) == (
        "val_accuracy",
        "maximize",
        False,
    )
    assert state["budget"] == {"target": 4, "finished": 1, "left": 3}
    counts = {outcome: count for outcome, count in state["trials"].items() if count}
    assert counts == {"completed": 1, "out_of_memory": 1, "running": 1}
    assert state["best"] == {
        "trial": 0,
        "value": 0.25,
        "metrics": {},
        "configuration": None,
        "params": {},
    }
    (shown,) = state["workers"]
    assert (shown["worker"], shown["device"], shown["trial"]) == ("worker-0", "cpu", 2)
    assert (shown["epochs"], shown["value"], shown["pid"]) == (5, None, os.getpid())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", shown["last_seen"])


def test_a_pipe_gets_a_line_a_change_until_the_end(place, watch):
    """The storage is not there yet, and goes away for a moment."""
    folder = place.folder / "kept"
    folder.mkdir()
    place.environment["SWEEPS_STORAGE"] = "kept/sweeps.db"
    process, out = watch()
    out.wait_for("sweeps.db: no such storage")
    study = HandmadeStudy(folder, target=3)
    out.wait_for("handmade: 0/3 trials, no trial complete yet, no worker is running: waiting")
    worker = study.start_worker("worker-7")
    out.wait_for("worker-7 started on cpu")
    study.run(0.5)
    out.wait_for("trial   0 completed val_accuracy 0.5000 after 1 epoch  [1/3 trials, best 0.5000")
    study.end(study.start(), "interrupted", reason="the sweep was stopped")
    out.wait_for("trial   1 interrupted: the sweep was stopped")
    study.storage.engine.dispose()
    lost = out.text.count("(trying again)")
    away = folder.rename(place.folder / "away")
    wait_for(lambda: out.text.count("(trying again)") == lost + 1, "a line about the loss")
    away.rename(folder)
    study.run(0.25)
    study.run(0.125)
    out.wait_for("[3/3 trials, best 0.5000 in trial 0]")
    assert process.poll() is None, "a worker is left"
    study.end_worker(worker)
    assert _end(process) == (0, "")
    lines = out.finish().splitlines()
    assert lines[-2].endswith("worker-7 ended")
    assert lines[-1].endswith(
        "handmade is finished: 3 of 3 trials, best val_accuracy 0.5000 in trial 0"
    )
    assert out.text.count("trial   0 completed") == 1
    assert out.text.count("(trying again)") == lost + 1
    assert "\x1b" not in out.text


def test_a_terminal_gets_a_table_drawn_in_place_and_then_the_summary(place, watch):
    study = HandmadeStudy(place.folder, target=2)
    worker = study.start_worker("worker-0")
    study.run(0.5)
    number = study.start(worker)
    process, out = watch(terminal=True)
    out.wait_for("1/2 trials")
    out.wait_for("0/5")
    study.report(number, 1, 0.75)
    study.end(number, value=0.75)
    study.end_worker(worker)
    assert _end(process) == (0, "")
    text = out.finish()
    assert "\x1b[2K" in text
    assert "Best: trial 1, val_accuracy 0.7500" in text
    assert "Budget: 0 of 2 trials left" in text


def test_ctrl_c_ends_it_quietly(place, watch):
    HandmadeStudy(place.folder).run(0.5)
    process, out = watch(terminal=True)
    out.wait_for("No worker is running")
    process.send_signal(signal.SIGINT)
    assert _end(process) == (130, "")
    assert "Traceback" not in out.finish()


def test_json_is_a_line_a_change(place, watch):
    study = HandmadeStudy(place.folder, target=1)
    process, out = watch("--json")
    out.wait_for('"completed": 0')
    study.run(0.5)
    assert _end(process) == (0, "")
    states = [json.loads(line) for line in out.finish().splitlines()]
    assert [states[0]["done"], states[-1]["done"]] == [False, True]
    changes = [{**state, "time": None} for state in states]
    assert all(now != before for before, now in pairwise(changes))


def test_a_file_that_is_no_storage_is_refused_at_once(place):
    (place.folder / "sweeps.db").write_text("hello")
    done = place.run("status", "--watch")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1


def test_of_a_comparison_a_study_to_watch_is_named(tmp_path, patterns, cli):
    make_comparison(open_storage(str(tmp_path / "sweeps.db"), create=True), patterns)
    words = "made is a comparison; watch one of its studies: sweeps status made.tune.tuned-5x5"
    assert cli("status", "made", "--watch") == (1, "", f"sweeps: {words} --watch\n")


def test_an_observer_reports_at_once_that_a_server_is_unavailable_and_sees_it_again():
    with running_server() as server, server.database() as url:
        storage = open_storage(url, create=True)
        create_study(storage, "study", "maximize", lambda study: None)
        storage.engine.dispose()
        observer = Observer(url, None)
        assert observer.look().study_name == "study"
        server.stop("immediate")
        began = time.monotonic()
        # Once with a storage that is open, then while it is opened.
        for _ in range(2):
            with pytest.raises(StorageError, match="does not answer"):
                observer.look()
        assert time.monotonic() - began < 5
        server.start()
        assert observer.look().study_name == "study"


def test_a_study_that_a_person_made_is_shown_and_one_that_is_being_made_is_not(tmp_path):
    url = str(tmp_path / "sweeps.db")
    storage = open_storage(url, create=True)
    study = optuna.create_study(storage=storage, study_name="study", direction="maximize")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    assert Observer(url, None).look().finished == 2
    study.set_user_attr(SPEC, {})
    with pytest.raises(StorageError, match="just being made"):
        Observer(url, None).look()
