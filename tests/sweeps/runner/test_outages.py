"""A database that is away while trials run: nothing is failed for it, and a stop does not wait."""

import signal
import sqlite3
import time
from contextlib import closing, contextmanager

import optuna
import psycopg
import pytest

from storage import (
    StorageError,
    count_claims,
    create_study,
    open_storage,
    reclaim,
    register_worker,
)
from sweeps.worker.trial import Desk, run_trial
from tests.storage.claiming import at_work
from tests.storage.postgres import running_server
from tests.sweeps.waiting import is_gone, wait_for


@pytest.fixture(scope="module")
def server():
    with running_server() as server:
        yield server


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def test_a_trial_is_not_failed_for_a_storage_that_was_given_up(tmp_path):
    """It belongs to its worker until that ends, and is then run again."""
    storage = open_storage(str(tmp_path / "sweeps.db"), create=True)
    study = create_study(storage, "study", "maximize", lambda study: None)
    worker = register_worker(storage, study._study_id, "w", "cpu")

    def away(desk, trial):
        raise StorageError("the database was away for longer than anybody would wait")

    with at_work(storage, study, worker.worker_id) as trial, pytest.raises(StorageError):
        run_trial(Desk(study, storage, worker.worker_id, "w", lambda: False), away, trial)
    assert study.trials[0].state.name == "RUNNING"
    assert reclaim(storage, study) == []


def two_at_work(url):
    """The processes of two workers whose trials are past their first epoch."""
    storage = open_storage(url, create=True)

    def at_work():
        with storage.engine.connect() as connection:
            query = "SELECT pid FROM sweeps_workers WHERE epoch >= 1"
            pids = [pid for (pid,) in connection.exec_driver_sql(query)]
        return pids if len(pids) == 2 else None

    pids = wait_for(at_work, "two trials past their first epoch", seconds=120)
    storage.engine.dispose()
    return pids


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
                    wait_for(lambda: other.execute(held_up).fetchone()[0] >= 3, "all to wait")
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
def test_ctrl_c_while_the_database_is_locked_ends_a_run_in_time(place, small, server, kind, times):
    small["training"]["epochs"] = 500
    spec = place.write_spec(small)
    with locked_database(place, server, kind) as (url, locked):
        place.environment["SWEEPS_STORAGE"] = url
        run = place.start("run", spec, "--workers", "2")
        pids = two_at_work(url)
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
def test_ctrl_c_while_the_database_is_away_ends_a_run_in_time(place, small, server, number):
    small["training"]["epochs"] = 500
    spec = place.write_spec(small)
    with server.database() as url:
        place.environment["SWEEPS_STORAGE"] = url
        run = place.start("run", spec, "--workers", "2")
        pids = two_at_work(url)
        server.stop()
        try:
            before = time.monotonic()
            run.send_signal(number)
            _, err = run.communicate(timeout=60)
            assert time.monotonic() - before < 15, err
            assert run.returncode == 128 + number, err
            assert "queued again by the next run" in err
            assert all(is_gone(pid) for pid in pids)
        finally:
            server.start()
        assert_queued_again(url)
