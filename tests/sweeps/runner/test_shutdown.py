"""Signals that end a run: in time, with its trials checkpointed, whatever the database does."""

import os
import signal
import sqlite3
import time
from contextlib import closing, contextmanager

import optuna
import psycopg
import pytest

from storage import count_claims, open_storage, read_epochs, reclaim
from tests.storage.postgres import running_server
from tests.sweeps.conftest import WAITING
from tests.sweeps.waiting import is_gone, wait_for


@pytest.fixture(scope="module")
def server():
    with running_server() as server:
        yield server


def test_a_closed_terminal_is_a_sigterm_and_the_next_run_resumes(place, small):
    small["training"]["epochs"] = 30
    spec = place.write_spec(small)
    run = place.start("run", spec, "--workers", "2", "--trials", "2")
    pids = place.wait_for_epochs(2)
    before = time.monotonic()
    # A batch system asks the workers too; the run does so again.
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    run.send_signal(signal.SIGHUP)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 143
    assert time.monotonic() - before < 15
    assert "run it again to resume" in err
    assert all(is_gone(pid) for pid in pids)
    [folder] = (place.folder / "sweeps.checkpoints").iterdir()
    names = sorted(file.name for file in folder.iterdir())
    assert names == ["trial-000000.pt", "trial-000001.pt"]

    done = place.run("run", spec, "--workers", "2", "--trials", "2")
    assert done.returncode == 0, done.stderr
    trials = place.study().trials
    outcomes = [trial.user_attrs["outcome"] for trial in trials]
    assert outcomes == ["interrupted"] * 2 + ["completed"] * 2
    names = [trial.user_attrs["configuration"] for trial in trials]
    assert sorted(names[:2]) == sorted(names[2:]) == ["linear 5x5", "plain 3x3"]
    storage = open_storage(str(place.folder / "sweeps.db"))
    for retry in trials[2:]:
        before = read_epochs(storage, trials[retry.user_attrs["retry_of"]]._trial_id)
        # The seconds too: these epochs were replayed, not trained again.
        assert read_epochs(storage, retry._trial_id)[: len(before)] == before
    assert list((place.folder / "sweeps.checkpoints").iterdir()) == []


def test_ctrl_c_twice_ends_at_once_with_nothing_running(place):
    spec = place.write_loop(WAITING)
    run = place.start("run", spec, "--workers", "1")
    pids = place.wait_for_epochs(1)
    # Suspended, it checkpoints nothing before it is killed.
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    run.send_signal(signal.SIGINT)
    for line in run.stderr:
        if "Stopping" in line:
            break
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=10)
    assert run.returncode == 130
    assert all(is_gone(pid) for pid in pids)
    trials = place.study().trials
    assert "RUNNING" not in {trial.state.name for trial in trials}
    # What a person ends is no loss, of which a trial may have but few.
    ended = [trial.user_attrs["outcome"] for trial in trials if trial.state.name == "FAIL"]
    assert ended == ["interrupted"]


def assert_queued_again(url):
    storage = open_storage(url)
    study = optuna.load_study(study_name=None, storage=storage)
    reclaim(storage, study)
    assert "RUNNING" not in {trial.state.name for trial in study.trials}
    outcomes = {trial.user_attrs.get("outcome") for trial in study.trials}
    assert outcomes <= {None, "lost", "interrupted"}
    assert count_claims(storage, study._study_id) == 0
    storage.engine.dispose()


@contextmanager
def locked_database(place, server, kind):
    """Run on a database; what locks it, so that whoever calls it is held up inside."""
    if kind == "sqlite":
        path = place.folder / "sweeps.db"

        @contextmanager
        def locked():
            with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as other:
                other.execute("BEGIN IMMEDIATE")
                yield

        yield f"sqlite:///{path}", locked
    else:
        with server.database() as url:

            @contextmanager
            def locked():
                with psycopg.connect(url) as other:
                    other.execute("SET idle_in_transaction_session_timeout = 0")
                    other.execute("LOCK TABLE trials, sweeps_workers IN ACCESS EXCLUSIVE MODE")
                    held_up = "SELECT count(*) FROM pg_locks WHERE NOT granted"
                    wait_for(lambda: other.execute(held_up).fetchone()[0] >= 2, "all to wait")
                    yield

            yield url, locked


@pytest.mark.parametrize(
    ("kind", "times"),
    [
        ("sqlite", 1),
        ("postgresql", 2),
        pytest.param("sqlite", 2, marks=pytest.mark.slow),
        pytest.param("postgresql", 1, marks=pytest.mark.slow),
    ],
)
def test_ctrl_c_while_the_database_is_locked_ends_a_run_in_time(place, server, kind, times):
    spec = place.write_loop(WAITING)
    with locked_database(place, server, kind) as (url, locked):
        place.environment["SWEEPS_STORAGE"] = url
        run = place.start("run", spec, "--workers", "1")
        pids = place.wait_for_epochs(1, url)
        with locked():
            before = time.monotonic()
            run.send_signal(signal.SIGINT)
            if times == 2:
                # Two that come at once are one.
                time.sleep(0.5)
                run.send_signal(signal.SIGINT)
            _, err = run.communicate(timeout=60)
            assert time.monotonic() - before < (15 if times == 1 else 10), err
            assert run.returncode == 130, err
            assert "Traceback" not in err
            assert all(is_gone(pid) for pid in pids)
        assert_queued_again(url)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_ctrl_c_while_the_database_is_unavailable_ends_a_run_in_time(place, server, number):
    spec = place.write_loop(WAITING)
    with server.database() as url:
        place.environment["SWEEPS_STORAGE"] = url
        run = place.start("run", spec, "--workers", "1")
        pids = place.wait_for_epochs(1, url)
        server.stop()
        try:
            before = time.monotonic()
            run.send_signal(number)
            _, err = run.communicate(timeout=60)
            assert time.monotonic() - before < 15, err
            assert run.returncode == 128 + number, err
            assert "The next run queues again" in err
            assert all(is_gone(pid) for pid in pids)
        finally:
            server.start()
        assert_queued_again(url)
