"""Opening a SQLite storage: pragmas, refusals, several at once."""

import os
import sqlite3
from collections import namedtuple
from pathlib import Path

import psutil
import pytest
import sqlalchemy

from storage import (
    StorageError,
    check_storage,
    create_study,
    explain,
    open_storage,
    parse_url,
)
from storage.sqlite import check, file_system
from tests.storage.processes import pop_all, run_and_wait


@pytest.fixture
def url(sqlite_url):
    return sqlite_url


def test_write_ahead_log_and_busy_timeout_are_on_for_every_connection(storage):
    for _ in range(2):
        with storage.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 10_000
        storage.engine.dispose()


def test_braces_in_a_path_are_kept(tmp_path):
    open_storage(str(tmp_path / "a{SCHEMA_VERSION}b.db"), create=True)
    assert [path.name for path in tmp_path.glob("*.db")] == ["a{SCHEMA_VERSION}b.db"]


def test_a_folder_is_no_storage_and_none_is_made(tmp_path):
    with pytest.raises(StorageError, match=r"is a folder"):
        open_storage(str(tmp_path))
    with pytest.raises(StorageError, match=r"folder .*nowhere does not exist"):
        open_storage(str(tmp_path / "nowhere" / "sweeps.db"), create=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_file_is_refused(storage, url):
    path = url.removeprefix("sqlite:///")
    storage.engine.dispose()
    os.chmod(path, 0o444)
    with pytest.raises(StorageError, match="read-only"):
        open_storage(url)


def test_a_lock_held_by_another_program_is_explained(storage, url):
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        with storage.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout = 100")
            with pytest.raises(sqlalchemy.exc.OperationalError) as caught:
                connection.exec_driver_sql("INSERT INTO sweeps_schema VALUES (7)")
    finally:
        other.close()
    assert "another program holds it locked" in str(explain(caught.value, url))


def test_looking_at_it_leaves_the_locks_of_open_connections_alone(url, storage):
    """Reading the file past SQLite would drop them; others then take themselves for the last."""
    study = create_study(storage, "study", "maximize", lambda study: None)
    path = url.removeprefix("sqlite:///")
    with storage.engine.connect() as connection:
        connection.exec_driver_sql("SELECT * FROM studies").all()
        check_storage(parse_url(url))
        run_and_wait(pop_all, url, 3)
        # The last to leave removes the write-ahead log: that is not the other process.
        assert Path(f"{path}-wal").exists()
    study.ask()
    storage.engine.dispose()
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


Mount = namedtuple("Mount", "mountpoint fstype")


ROOT = Mount("/", "ext4")


@pytest.fixture
def mount(monkeypatch):
    """Let the machine have these mounts, as its kernel lists them."""

    def mount(*mounts):
        monkeypatch.setattr(psutil, "disk_partitions", lambda all: [ROOT, *mounts])

    return mount


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "9p", "fuse.sshfs"])
def test_a_file_on_a_network_file_system_is_refused(tmp_path, mount, kind):
    mount(Mount(str(tmp_path), kind))
    for place in (tmp_path / "sweeps.db", tmp_path / "not" / "there" / "sweeps.db"):
        with pytest.raises(StorageError, match=rf"sweeps.db: lies on a .*\({kind}\).*PostgreSQL"):
            check(parse_url(str(place)), must_exist=False)


@pytest.mark.parametrize("kind", ["ext4", "overlay", "tmpfs", "fuseblk"])
def test_a_file_on_a_local_file_system_is_not(tmp_path, mount, kind):
    mount(Mount(str(tmp_path), kind))
    check(parse_url(str(tmp_path / "sweeps.db")), must_exist=False)


class TestMounts:
    def test_the_innermost_counts(self, tmp_path, mount):
        inner = tmp_path / "home" / "local"
        mounts = [Mount(f"{tmp_path}/home", "nfs4"), Mount(str(inner), "ext4")]
        for order in (mounts, mounts[::-1]):
            mount(*order)
            assert file_system(inner / "a.db") == "ext4"
            assert file_system(tmp_path / "home" / "a.db") == "nfs4"
            # Its name begins alike, but it lies elsewhere.
            assert file_system(tmp_path / "home-2" / "a.db") == "ext4"

    def test_the_last_of_several_at_a_place_covers_the_others(self, tmp_path, mount):
        mount(*(Mount(str(tmp_path), kind) for kind in ("nfs", "xfs")))
        assert file_system(tmp_path / "a.db") == "xfs"

    def test_a_link_is_followed(self, tmp_path, mount):
        (tmp_path / "link").symlink_to(tmp_path / "far")
        mount(Mount(f"{tmp_path}/far", "nfs4"))
        assert file_system(tmp_path / "link" / "a.db") == "nfs4"

    def test_an_unknown_table_is_no_reason_to_refuse(self, tmp_path, monkeypatch):
        monkeypatch.setattr(psutil, "disk_partitions", lambda all: [])
        assert file_system(tmp_path / "a.db") == ""
        check(parse_url(str(tmp_path / "sweeps.db")), must_exist=False)

    @pytest.mark.skipif(not Path("/proc/self/mounts").exists(), reason="needs Linux")
    def test_the_table_of_this_machine_is_read(self):
        assert file_system(Path("/proc/self/stat")) == "proc"
