"""Who is started again, and who is given up: with an engine whose workers end as a test says."""

import signal
import time

import pytest

from storage import create_study, open_storage
from sweeps import supervision
from sweeps.attributes import TARGET
from sweeps.engines import WorkerExit
from sweeps.errors import SweepsError
from sweeps.supervision import Supervisor


class ScriptedEngine:
    """One worker, which ends with one status after the other, and then runs on.

    Args:
        statuses: of its ends.
        at_end: called when it has come to the last.
    """

    restarts_workers = False

    def __init__(self, statuses, at_end):
        self._statuses = iter(statuses)
        self._at_end = at_end
        self.starts = 0
        self.running = 0

    def start(self):
        self.restart("worker-0")

    def restart(self, name):
        self.starts += 1
        self.running = 1

    def poll(self):
        if not self.running:
            return []
        try:
            status = next(self._statuses)
        except StopIteration:
            self._at_end()
            return []
        self.running = 0
        return [WorkerExit("worker-0", status, "its last words")]

    def stop(self):
        self.running = 0


class Lines:
    """A view that keeps what it is told."""

    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)

    def update(self, progress, seconds_left):
        pass


@pytest.fixture
def watch(tmp_path, monkeypatch):
    """Watch over a worker that ends with these statuses; how often it started, what was said."""
    monkeypatch.setattr(supervision, "_POLL_SECONDS", 0.0)
    monkeypatch.setattr(supervision, "_MAX_PAUSE_SECONDS", 0.0)
    storage = open_storage(str(tmp_path / "sweeps.db"), create=True)
    study = create_study(storage, "study", "maximize", lambda study: study.set_user_attr(TARGET, 3))

    def watch(*statuses, was_away=False):
        received = []
        engine = ScriptedEngine(statuses, lambda: received.append(signal.SIGTERM))
        view = Lines()
        supervisor = Supervisor(
            storage, study, engine, view, seconds_left=lambda: None, received=received
        )
        if was_away:
            storage.last_disconnect = time.monotonic() + 100
        try:
            supervisor.watch()
        except SweepsError as error:
            view.say(str(error))
        return engine.starts, view.said

    return watch


def test_one_that_says_why_it_cannot_work_is_given_up_soon(watch):
    starts, said = watch(1, 1, 1)
    assert starts == 3
    assert said[-2] == "worker-0 ended with status 1; not started again, it ends each time"
    assert said[-1].endswith("run it again to go on. The last: its last words")


def test_one_that_is_killed_has_more_tries(watch):
    assert watch(*[-9] * 7)[0] == 8
    starts, said = watch(*[-9] * 8)
    assert starts == 8
    assert said[-2] == "worker-0 was killed by signal 9; not started again, it ends each time"


def test_one_that_was_killed_may_still_say_something_once(watch):
    assert watch(-9, -9, 1, -9, 1)[0] == 6


def test_nobody_is_given_up_for_a_database_that_was_away(watch):
    assert watch(*[1] * 12, was_away=True)[0] == 13
