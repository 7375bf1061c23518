"""Backups of a SQLite storage that are made while others write."""

import sqlite3
import subprocess
import sys
import time

import pytest

from storage import (
    StorageError,
    back_up,
    check_contents,
    count_claims,
    create_study,
    open_storage,
    open_study,
    parse_url,
    study_names,
)
from storage.snapshots import read_only
from tests.storage.processes import CONTEXT, claim_until_spent
from tests.storage.rich_study import NAME, rows_of
from tests.sweeps.waiting import wait_for


@pytest.fixture
def url(sqlite_url):
    return sqlite_url


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_it_is_one_file_that_holds_everything(storage, url, rich, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    size = back_up(parse_url(url), folder / "a b%.db")
    assert _names(folder) == ["a b%.db"]
    assert size == (folder / "a b%.db").stat().st_size
    with sqlite3.connect(folder / "a b%.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    opened = open_storage(str(folder / "a b%.db"))
    rows = rows_of(storage, rich)
    [worker] = rows["sweeps_workers"]
    assert worker["ended"] is None
    # In the backup nobody is at work.
    worker["ended"] = worker["last_seen"]
    assert rows_of(opened, open_study(opened, NAME)) == rows
    opened.engine.dispose()


def test_it_is_consistent_while_workers_run(storage, url, tmp_path):
    create_study(storage, "study", "maximize", lambda study: None)
    workers = [CONTEXT.Process(target=claim_until_spent, args=(url,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    try:
        study = open_study(storage)
        counts = []
        for index in range(3):
            before = count_claims(storage, study._study_id)
            wait_for(
                lambda: count_claims(storage, study._study_id) > before + 3,  # noqa: B023
                "the workers go on",
            )
            file = tmp_path / f"backup-{index}.db"
            back_up(parse_url(url), file)
            findings = check_contents(parse_url(str(file)))
            # Nobody runs the trials in the backup that ran at that moment: nothing else is wrong.
            wrong = [finding.text for finding in findings if finding.is_wrong]
            assert all("its worker died" in said or "which died" in said for said in wrong), wrong
            assert len(wrong) <= 2
            opened = open_storage(str(file))
            counts.append(count_claims(opened, open_study(opened)._study_id))
            assert counts[-1] > before
            opened.engine.dispose()
        assert all(worker.is_alive() for worker in workers)
        assert counts == sorted(counts)
    finally:
        for worker in workers:
            worker.kill()
            worker.join()


def test_a_program_that_writes_all_the_time_does_not_hold_it_up(sqlite_url, tmp_path):
    storage = open_storage(sqlite_url, create=True)
    study = create_study(storage, "study", "maximize", lambda study: None)
    with storage.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE filler (content)")
        for _ in range(60):
            connection.exec_driver_sql("INSERT INTO filler VALUES (zeroblob(1000000))")
    path = sqlite_url.removeprefix("sqlite:///")
    program = (
        "import sqlite3, sys\n"
        "database = sqlite3.connect(sys.argv[1], timeout=60)\n"
        "while True:\n"
        "    with database:\n"
        "        database.execute('UPDATE studies SET study_name = study_name')\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", program, path])
    try:
        began = time.monotonic()
        assert back_up(parse_url(sqlite_url), tmp_path / "backup.db") > 60_000_000
        assert time.monotonic() - began < 60
        assert writer.poll() is None
    finally:
        writer.kill()
        writer.wait()
    opened = open_storage(str(tmp_path / "backup.db"))
    assert open_study(opened).study_name == study.study_name
    storage.engine.dispose()
    opened.engine.dispose()


class TestWhatIsThere:
    @pytest.fixture(autouse=True)
    def _storage(self, url, rich, tmp_path):
        self.url = parse_url(url)
        self.file = tmp_path / "backups" / "backup.db"
        self.file.parent.mkdir()

    def refused(self, said, file=None, **settings):
        with pytest.raises(StorageError, match=said) as caught:
            back_up(self.url, file or self.file, **settings)
        assert "\n" not in str(caught.value)

    def test_it_is_never_replaced_but_by_force(self):
        self.file.write_text("precious")
        self.refused("is there already; name another file, or replace it by --force")
        assert self.file.read_text() == "precious"
        back_up(self.url, self.file, replace=True)
        assert open_study(open_storage(str(self.file))).study_name == NAME

    def test_a_database_that_is_open_is_not_replaced(self):
        """Its write-ahead log would be read as the new file's."""
        other = open_storage(str(self.file), create=True)
        self.refused("backup.db-wal lies beside it", replace=True)
        other.engine.dispose()
        assert study_names(open_storage(str(self.file))) == []

    def test_one_that_was_only_read_is(self):
        """A read-only connection leaves what SQLite keeps beside a database."""
        open_storage(str(self.file), create=True).engine.dispose()
        reader = read_only(parse_url(str(self.file)))
        reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
        reader.close()
        assert "backup.db-wal" in _names(self.file.parent)
        back_up(self.url, self.file, replace=True)
        assert _names(self.file.parent) == ["backup.db"]
        assert study_names(open_storage(str(self.file))) == [NAME]

    def test_the_storage_itself_is_not(self, tmp_path):
        open_storage(self.url).engine.dispose()
        link = self.file.with_name("link.db")
        link.symlink_to(self.url.database)
        self.refused("is the storage itself", link, replace=True)

    def test_a_folder_that_is_missing_or_the_wrong_thing(self, tmp_path):
        self.refused("does not exist; create it first", tmp_path / "nowhere" / "backup.db")
        self.refused("is a folder, not a SQLite file", self.file.parent, replace=True)

    def test_an_interrupt_leaves_nothing(self, monkeypatch):
        def interrupt(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr("storage.backup._sync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            back_up(self.url, self.file)
        assert _names(self.file.parent) == []


def test_a_server_is_backed_up_by_its_own_means(tmp_path):
    url = parse_url("postgresql://me:hunter2@db/sweeps")
    with pytest.raises(StorageError, match=r"pg_dump, or .* `sweeps storage copy") as caught:
        back_up(url, tmp_path / "backup.db")
    assert "hunter2" not in str(caught.value)
