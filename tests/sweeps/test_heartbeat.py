"""A worker's heartbeat: it outlives errors, and its own thread."""

import threading

import pytest

from storage import create_study, list_workers, open_storage, register_worker
from sweeps.heartbeat import Heartbeat
from tests.sweeps.waiting import wait_for


@pytest.fixture
def storage(tmp_path):
    return open_storage(str(tmp_path / "sweeps.db"), create=True)


@pytest.fixture
def worker(storage):
    study = create_study(storage, "study", "maximize", lambda study: None)
    return register_worker(storage, study._study_id, "w", "cpu")


def _last_seen(storage, worker):
    return list_workers(storage, worker.study_id)[0].last_seen


def _threads():
    return [thread for thread in threading.enumerate() if thread.name == "heartbeat"]


def test_it_beats_until_the_end_of_its_block(storage, worker):
    with Heartbeat(storage, worker.worker_id, seconds=0.02):
        wait_for(lambda: _last_seen(storage, worker) > worker.last_seen, "a beat")
    wait_for(lambda: not _threads(), "the thread's end")


def test_an_error_is_not_its_end(storage, worker, monkeypatch):
    beats = []

    def fail(*arguments):
        beats.append(1)
        raise RuntimeError("the database is away")

    monkeypatch.setattr("sweeps.heartbeat.beat", fail)
    with Heartbeat(storage, worker.worker_id, seconds=0.01):
        wait_for(lambda: len(beats) >= 3, "beats after the first error")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_died_is_replaced_when_the_worker_looks(storage, worker, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("sweeps.heartbeat.beat", lambda *arguments: exec("raise SystemExit"))
        heartbeat = Heartbeat(storage, worker.worker_id, seconds=0.01).__enter__()
        wait_for(lambda: not _threads(), "the thread's death")
    with heartbeat:
        heartbeat.ensure()
        heartbeat.ensure()
        assert len(_threads()) == 1
        wait_for(lambda: _last_seen(storage, worker) > worker.last_seen, "a beat")
