"""Calls wait for an unavailable database, and do their work once."""

import os
import signal
import sqlite3
import threading
import time
from contextlib import contextmanager

import psycopg
import pytest
from optuna.trial import TrialState

from storage import (
    TARGET,
    StorageError,
    ask,
    claim_trial,
    count_claims,
    create_study,
    end_trial,
    holding,
    list_workers,
    open_storage,
    read_epochs,
    register_worker,
    report_epoch,
    study_uid,
    transaction,
)
from storage.reconnecting import patient
from tests.storage.claiming import claim_one
from tests.storage.postgres import PASSWORD
from tests.storage.test_epochs import EPOCH


@contextmanager
def _soon(action, seconds=0.7):
    """Do something a little later, while the block runs."""
    timer = threading.Timer(seconds, action)
    timer.start()
    yield
    timer.join()


class TestWaiting:
    @pytest.fixture
    def url(self, postgresql_url):
        return postgresql_url

    @pytest.fixture
    def stopped(self, server, storage, study):
        """The server is down until the end of the test, or until the test starts it."""
        server.stop("immediate")
        yield
        if not server.runs:
            server.start()

    def test_opening_waits_if_it_may(self, server, url, stopped):
        with pytest.raises(StorageError, match="does not answer"):
            open_storage(url)
        with _soon(server.start):
            opened = open_storage(url, patience=60)
        assert [each.study_name for each in opened.get_all_studies()] == ["study"]
        opened.engine.dispose()

    @pytest.mark.parametrize("mode", ["fast", "immediate"])
    def test_a_restart_between_two_calls_goes_unnoticed(self, server, storage, study, mode):
        server.restart(mode)
        assert [each.study_name for each in storage.get_all_studies()] == ["study"]
        assert claim_one(storage, study) is not None

    def test_a_call_waits_until_the_server_is_back(self, server, storage, study, stopped):
        before = time.monotonic()
        assert storage.last_disconnect is None
        with _soon(server.start):
            assert claim_one(storage, study) is not None
        assert before < storage.last_disconnect < time.monotonic()
        assert count_claims(storage, study._study_id) == 1

    def test_optunas_own_calls_wait_too(self, server, storage, study):
        trial = study.ask()
        server.stop("immediate")
        with _soon(server.start):
            x = trial.suggest_float("x", 0, 1)
        server.stop("immediate")
        with _soon(server.start):
            study.tell(trial, x)
        assert study.trials[0].value == x

    def test_a_transaction_is_done_again_as_a_whole(self, server, storage, study):
        tries = []

        @patient
        def two_notes(storage):
            tries.append(1)
            with transaction(storage.engine):
                storage.set_study_user_attr(study._study_id, f"try {len(tries)}", True)
                if len(tries) == 1:
                    server.restart("immediate")
                storage.set_study_user_attr(study._study_id, "done", True)

        two_notes(storage)
        attributes = storage.get_study_user_attrs(study._study_id)
        assert "try 1" not in attributes
        assert attributes["try 2"]
        assert attributes["done"]

    def test_patience_ends_with_one_line(self, storage, study, stopped):
        storage.patience = 0.5
        with pytest.raises(StorageError, match=r"does not answer.*; waited \d s for it") as caught:
            claim_one(storage, study)
        assert "\n" not in str(caught.value)
        assert PASSWORD not in str(caught.value)

    def test_an_interrupt_ends_the_waiting(self, storage, study, stopped):
        def interrupt(number, frame):
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGUSR1, interrupt)
        try:
            with (
                _soon(lambda: os.kill(os.getpid(), signal.SIGUSR1)),
                pytest.raises(KeyboardInterrupt),
            ):
                study.get_trials()
        finally:
            signal.signal(signal.SIGUSR1, before)

    def test_what_stays_wrong_is_not_waited_for(self, storage, server, study):
        uid = study_uid(storage, study)
        server.execute("ALTER TABLE studies RENAME TO elsewhere", _name(storage))
        began = time.monotonic()
        with pytest.raises(Exception, match="studies"):
            claim_trial(storage, study._study_id, uid, "w")
        assert time.monotonic() - began < 10
        assert storage.last_disconnect is None

    def test_an_idle_session_that_holds_a_lock_is_ended(self, url, storage, study):
        """As of a worker that is suspended in a transaction, or whose machine is gone."""
        hasty = open_storage(f"{url}?options=-c%20idle_in_transaction_session_timeout%3D1s")
        tries = []

        @patient
        def fall_asleep(hasty):
            tries.append(1)
            with transaction(hasty.engine, study._study_id):
                hasty.set_study_user_attr(study._study_id, "tries", len(tries))
                if len(tries) == 1:
                    # Waits for the lock that this thread holds.
                    claim_one(storage, study)
                hasty.set_study_user_attr(study._study_id, "awake", True)

        fall_asleep(hasty)
        assert len(tries) == 2
        assert study.user_attrs["tries"] == 2
        assert count_claims(storage, study._study_id) == 1
        hasty.engine.dispose()


def _name(storage):
    return storage.engine.url.database


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_file_that_stays_locked_is_waited_for(url, study, monkeypatch):
    monkeypatch.setattr("storage.sqlite.BUSY_TIMEOUT_SECONDS", 0.05)
    storage = open_storage(url)
    other = sqlite3.connect(
        url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False
    )
    other.execute("BEGIN IMMEDIATE")
    with _soon(other.close):
        assert claim_one(storage, study) is not None
    assert storage.last_disconnect is not None
    assert count_claims(storage, study._study_id) == 1


class TestHurry:
    """A process that was asked to stop gives each call a few seconds, even one that hangs."""

    def test_a_call_that_waits_for_a_lock_ends_soon(self, url, storage, study):
        other = open_storage(url)
        storage.hurry(0.5)
        with transaction(other.engine, study._study_id):
            began = time.monotonic()
            with pytest.raises(StorageError, match=r"; waited \d s for it"):
                claim_one(storage, study)
            assert time.monotonic() - began < 5
        assert claim_one(storage, study) is not None
        other.engine.dispose()

    def test_a_connection_that_gets_no_answer_is_given_up(self, server, postgresql_url):
        """The server is suspended: its port takes connections, and nobody answers them."""
        storage = open_storage(postgresql_url, create=True)
        storage.engine.dispose()
        with server.suspended():
            storage.hurry(0.5)
            began = time.monotonic()
            with pytest.raises(StorageError, match="does not answer"):
                storage.get_all_studies()
            assert time.monotonic() - began < 8
        storage.engine.dispose()


class TestLostAnswers:
    """The connection breaks after a commit was carried out, before its answer is here."""

    @pytest.fixture
    def url(self, postgresql_url):
        return postgresql_url

    @pytest.fixture
    def lose(self, storage, monkeypatch):
        """Lose the answer to the first commit of a block that writes."""
        dialect = storage.engine.dialect
        commit = dialect.do_commit
        lost = []

        def commit_and_break(connection):
            # Only what has written has a number.
            query = "SELECT pg_current_xact_id_if_assigned()"
            wrote = connection.execute(query).fetchone() != (None,)
            commit(connection)
            if wrote and not lost:
                lost.append(True)
                connection.dbapi_connection.close()
                raise psycopg.OperationalError("server closed the connection unexpectedly")

        @contextmanager
        def losing():
            lost.clear()
            monkeypatch.setattr(dialect, "do_commit", commit_and_break)
            yield
            monkeypatch.undo()
            assert lost

        return losing

    def test_a_claim_is_made_once(self, storage, study, lose):
        study.set_user_attr(TARGET, 1)
        with lose():
            assert claim_one(storage, study) is not None
        assert count_claims(storage, study._study_id) == 1
        assert claim_one(storage, study, "other") is None

    def test_one_trial_is_asked_for(self, storage, study, lose):
        claim = claim_one(storage, study)
        with lose():
            trial = ask(storage, study, claim)
        assert trial.number == 0
        assert [each.state for each in study.trials] == [TrialState.RUNNING]

    def test_one_queued_trial_is_taken(self, storage, study, lose):
        for x in (1.0, 2.0):
            study.enqueue_trial({"x": x})
        claim = claim_one(storage, study)
        with lose():
            trial = ask(storage, study, claim)
        assert trial.suggest_float("x", 0, 5) == 1.0
        assert [each.state for each in study.trials] == [TrialState.RUNNING, TrialState.WAITING]

    def test_a_parameter_is_set_once(self, storage, study, lose):
        trial = study.ask()
        with lose():
            x = trial.suggest_float("x", 0, 1)
        assert study.trials[0].params == {"x": x}

    def test_an_epoch_is_reported_once(self, storage, study, lose):
        trial = study.ask()
        with lose():
            report_epoch(storage, trial, EPOCH, 0.5, epochs=1)
        assert read_epochs(storage, trial._trial_id) == [EPOCH]
        assert study.trials[0].intermediate_values == {1: 0.5}

    @pytest.mark.parametrize("outcome", ["completed", "failed"])
    def test_a_trial_is_ended_by_this_call(self, storage, study, lose, outcome):
        claim = claim_one(storage, study)
        number = ask(storage, study, claim).number
        value = 1.0 if outcome == "completed" else None
        with lose(), holding(claim):
            assert end_trial(storage, study, number, outcome, value=value)
        assert count_claims(storage, study._study_id) == 1
        assert len(study.trials) == 1

    def test_a_trial_is_retried_once(self, storage, study, lose):
        claim = claim_one(storage, study)
        number = ask(storage, study, claim).number
        with lose(), holding(claim):
            assert end_trial(storage, study, number, "interrupted")
        assert count_claims(storage, study._study_id) == 0
        assert [each.state for each in study.trials] == [TrialState.FAIL, TrialState.WAITING]

    def test_a_worker_is_registered_once(self, storage, study, lose):
        with lose():
            worker = register_worker(storage, study._study_id, "w", "cpu")
        assert [each.worker_id for each in list_workers(storage, study._study_id)] == [
            worker.worker_id
        ]

    def test_a_study_is_made_and_set_up(self, storage, lose):
        with lose():
            study = create_study(
                storage, "new", "maximize", lambda study: study.enqueue_trial({"x": 1.0})
            )
        assert len(study.trials) == 1
