"""PostgreSQL: URLs, refusals in one line, and what its sessions are set to."""

import socket
import threading

import pytest
import sqlalchemy

from storage import (
    StorageError,
    beat,
    create_study,
    end_trial,
    open_storage,
    parse_url,
    register_worker,
    show_url,
)
from storage.postgresql import IDLE_TRANSACTION_SECONDS, OLDEST_RELEASE
from tests.storage.claiming import at_work
from tests.storage.postgres import PASSWORD, ROLE

SECRET = "hunter2"


class TestRefusals:
    """Each in one line that names the server and the remedy, and never the password."""

    def refused(self, url, **settings):
        with pytest.raises(StorageError) as caught:
            open_storage(url, **settings)
        message = str(caught.value)
        assert message.startswith(show_url(parse_url(url)))
        assert "\n" not in message
        assert PASSWORD not in message
        assert SECRET not in message
        return message

    def test_a_server_that_is_not_there(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            message = self.refused(f"postgresql://me:{SECRET}@127.0.0.1:{port}/x", create=True)
        assert "does not answer: see that it runs" in message
        assert f"port {port}" in message

    @pytest.mark.parametrize("wrong", [{"password": SECRET}, {"role": "nobody"}], ids=str)
    def test_a_wrong_password_or_role(self, server, wrong):
        # Passwords of unknown roles are asked for all the same.
        message = self.refused(server.url("postgres", **wrong), create=True)
        assert "refuses this user with this password" in message

    def test_a_database_that_is_not_there(self, server):
        message = self.refused(server.url("nowhere"), create=True)
        assert "no such database: make it with createdb" in message

    def test_a_database_without_a_storage(self, postgresql_url):
        assert "no such storage; `sweeps run` makes one" in self.refused(postgresql_url)
        engine = sqlalchemy.create_engine(parse_url(postgresql_url))
        assert sqlalchemy.inspect(engine).get_table_names() == []
        engine.dispose()

    def test_a_role_that_may_make_no_tables(self, server, postgresql_url, guest):
        name = postgresql_url.rpartition("/")[2]
        url = server.url(name, role=guest, password=SECRET)
        server.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC", name)
        message = self.refused(url, create=True)
        assert f"GRANT CREATE ON SCHEMA public TO {guest}" in message
        server.execute("DROP SCHEMA public CASCADE", name)
        assert f"CREATE SCHEMA AUTHORIZATION {guest}" in self.refused(url, create=True)

    def test_tables_that_belong_to_another_role(self, server, postgresql_url, guest):
        open_storage(postgresql_url, create=True).engine.dispose()
        name = postgresql_url.rpartition("/")[2]
        message = self.refused(server.url(name, role=guest, password=SECRET))
        assert "lacks a right there: let the database's owner GRANT it" in message

    def test_a_server_that_takes_no_changes(self, server, postgresql_url):
        name = postgresql_url.rpartition("/")[2]
        server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        assert "takes no changes" in self.refused(postgresql_url, create=True)

    def test_another_programs_database(self, server, postgresql_url):
        name = postgresql_url.rpartition("/")[2]
        server.execute("CREATE TABLE studies (id integer)", name)
        assert "of another program" in self.refused(postgresql_url, create=True)

    def test_a_server_that_is_too_old(self, postgresql_url, monkeypatch):
        monkeypatch.setattr("storage.postgresql.OLDEST_RELEASE", 99)
        assert "older than 99" in self.refused(postgresql_url, create=True)
        assert OLDEST_RELEASE < 99

    def test_no_connection_left(self, server, postgresql_url, guest):
        server.execute(f"ALTER ROLE {guest} CONNECTION LIMIT 0")
        url = server.url(postgresql_url.rpartition("/")[2], role=guest, password=SECRET)
        assert "no connection left" in self.refused(url)
        assert "waited " in self.refused(url, patience=1.5)

    def test_a_connection_is_waited_for(self, server, postgresql_url, guest):
        open_storage(postgresql_url, create=True).engine.dispose()
        name = postgresql_url.rpartition("/")[2]
        server.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {guest}", name)
        server.execute(f"GRANT CREATE ON SCHEMA public TO {guest}", name)
        server.execute(f"ALTER ROLE {guest} CONNECTION LIMIT 0")
        freeing = threading.Timer(
            1.0, lambda: server.execute(f"ALTER ROLE {guest} CONNECTION LIMIT -1")
        )
        freeing.start()
        opened = open_storage(server.url(name, role=guest, password=SECRET), patience=60)
        freeing.join()
        assert opened.get_all_studies() == []
        opened.engine.dispose()

    @pytest.fixture
    def guest(self, server, postgresql_url):
        """A role with no rights but to connect."""
        name = postgresql_url.rpartition("/")[2]
        server.execute(f"CREATE ROLE guest LOGIN PASSWORD '{SECRET}'")
        yield "guest"
        server.execute("DROP OWNED BY guest CASCADE", name)
        server.execute("DROP ROLE guest")


class TestSessions:
    @pytest.fixture
    def url(self, postgresql_url):
        return postgresql_url

    def test_they_say_who_they_are_and_hold_no_lock_for_ever(self, storage):
        with storage.engine.connect() as connection:
            said = {
                name: connection.exec_driver_sql(f"SHOW {name}").scalar_one()
                for name in ("application_name", "idle_in_transaction_session_timeout")
            }
        assert said == {
            "application_name": "sweeps",
            "idle_in_transaction_session_timeout": f"{IDLE_TRANSACTION_SECONDS}s",
        }

    def test_a_worker_needs_two(self, storage):
        """One for its trial, one for its sign of life: what docs/engines.md counts with."""
        study = create_study(storage, "study", "maximize", lambda study: None)
        worker = register_worker(storage, study._study_id, "w", "cpu")
        stop = threading.Event()
        taken = []

        def count(*_):
            taken.append(storage.engine.pool.checkedout())

        def live():
            while not stop.is_set():
                beat(storage, worker.worker_id)

        sqlalchemy.event.listen(storage.engine, "checkout", count)
        living = threading.Thread(target=live)
        living.start()
        try:
            for _ in range(8):
                with at_work(storage, study, worker.worker_id) as trial:
                    trial.report(trial.suggest_float("x", 0, 1), 1)
                    end_trial(storage, study, trial.number, "completed", value=1.0)
        finally:
            stop.set()
            living.join()
        assert max(taken) == 2

    def test_the_urls_own_settings_win(self, storage, url):
        other = open_storage(f"{url}?application_name=mine&connect_timeout=3")
        with other.engine.connect() as connection:
            assert connection.exec_driver_sql("SHOW application_name").scalar_one() == "mine"
        other.engine.dispose()

    def test_its_location_hides_the_password(self, storage):
        assert storage.location.startswith(f"postgresql://{ROLE}:***@127.0.0.1:")
