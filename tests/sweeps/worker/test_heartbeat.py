"""A worker's heartbeat: it outlives errors, and its own thread."""

import subprocess
import sys
import threading

import pytest

from storage import create_study, list_workers, open_storage, register_worker
from sweeps.engines.lifeline import LifelineWriter
from sweeps.worker.heartbeat import Heartbeat
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

    monkeypatch.setattr("sweeps.worker.heartbeat.beat", fail)
    with Heartbeat(storage, worker.worker_id, seconds=0.01):
        wait_for(lambda: len(beats) >= 3, "beats after the first error")


def _fail_with(monkeypatch, errors):
    """Beats that end with these errors, one after the other; ``None`` for a beat that is fine."""
    left = list(errors)

    def beat(*arguments):
        error = left.pop(0) if left else None
        if error is not None:
            raise error

    monkeypatch.setattr("sweeps.worker.heartbeat.beat", beat)
    return left


def test_each_error_is_logged_once_in_a_row(storage, worker, monkeypatch, caplog):
    away, full = RuntimeError("the server is away\n[SQL: UPDATE]"), OSError("the disk is full")
    left = _fail_with(monkeypatch, [away, away, away, full, full, away, None, away, None])
    with Heartbeat(storage, worker.worker_id, seconds=0.01):
        wait_for(lambda: not left, "all beats")
    told = [(r.name, r.levelname, r.getMessage(), r.exc_info) for r in caplog.records]
    words = "the worker's sign of life did not get through"
    assert told == [
        ("sweeps.worker.heartbeat", "WARNING", f"{words}: {said} (tried again)", None)
        for said in (
            "RuntimeError: the server is away",
            "OSError: the disk is full",
            "RuntimeError: the server is away",
            "RuntimeError: the server is away",
        )
    ]


_WORKER = """
import sys, time
import sweeps.worker.heartbeat
from sweeps.worker.heartbeat import Heartbeat
beats = []
def beat(*arguments):
    beats.append(1)
    raise RuntimeError("the server is away\\n[SQL: UPDATE]")
sweeps.worker.heartbeat.beat = beat
with Heartbeat(None, "w", seconds=0.01):
    while len(beats) < 5:
        time.sleep(0.01)
"""


def test_a_person_sees_one_line_on_stderr():
    done = subprocess.run([sys.executable, "-c", _WORKER], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr == (
        "the worker's sign of life did not get through: RuntimeError: the server is away "
        "(tried again)\n"
    )


def test_a_lifeline_that_cannot_be_written_is_logged(tmp_path, caplog):
    folder = tmp_path / "run"
    folder.mkdir()
    lifeline = LifelineWriter(folder / "lifeline")
    assert caplog.records == []
    (folder / "lifeline").unlink()
    folder.rmdir()
    lifeline.stop_all()
    lifeline.kill_all()
    lifeline.close()
    assert [(record.name, record.exc_info) for record in caplog.records] == [
        ("sweeps.engines.lifeline", None)
    ]
    assert "No such file or directory" in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_died_is_replaced_when_the_worker_looks(storage, worker, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("sweeps.worker.heartbeat.beat", lambda *arguments: exec("raise SystemExit"))
        heartbeat = Heartbeat(storage, worker.worker_id, seconds=0.01).__enter__()
        wait_for(lambda: not _threads(), "the thread's death")
    with heartbeat:
        heartbeat.ensure()
        heartbeat.ensure()
        assert len(_threads()) == 1
        wait_for(lambda: _last_seen(storage, worker) > worker.last_seen, "a beat")
