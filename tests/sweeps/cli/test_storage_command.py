"""``sweeps storage`` as a person runs it, and disks that are full or read-only."""

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from storage import (
    create_study,
    open_storage,
    open_study,
    register_worker,
    study_names,
)
from tests.storage.claiming import claim_one
from tests.sweeps.waiting import wait_for


@pytest.fixture
def stored(tmp_path) -> Path:
    """A storage with a study, two MB large."""
    path = tmp_path / "sweeps.db"
    storage = open_storage(str(path), create=True)
    study = create_study(storage, "study", "maximize", lambda study: None)
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    study.tell(trial, 0.5)
    worker = register_worker(storage, study._study_id, "worker-0", "cpu")
    claim = claim_one(storage, study, worker.worker_id)
    with storage.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE sweeps_claims SET trial_id = {trial._trial_id}")
    assert claim is not None
    study.set_user_attr("large", os.urandom(1_000_000).hex())
    storage.engine.dispose()
    return path


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 12 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount a disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(folder: Path, leave: int = 0) -> Path:
    """A file that takes all the space of a disk but for some bytes."""
    filler = folder / "filler"
    size = shutil.disk_usage(folder).free - leave
    with filler.open("wb", buffering=0) as file:
        file.write(b"\0" * size)
    assert shutil.disk_usage(folder).free <= leave
    return filler


def _integrity(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        [said] = connection.execute("PRAGMA integrity_check").fetchone()
    finally:
        connection.close()
    return str(said)


def test_a_storage_is_checked_backed_up_and_copied(cli, stored, tmp_path):
    status, out, err = cli("storage", "check")
    assert (status, err) == (0, "")
    assert "ok     study study  1 trials (1 completed), workers at work: 1" in out
    assert cli("storage", "backup", "backup.db")[0] == 0
    status, out, err = cli("storage", "backup", "backup.db")
    assert (status, out) == (1, "")
    assert err == (
        "sweeps: backup.db: is there already; name another file, or replace it by --force\n"
    )
    assert cli("storage", "backup", "--force", "backup.db")[0] == 0
    status, out, err = cli("storage", "copy", "sweeps.db", "copy.db", "--study", "study")
    assert (status, out) == (0, "study: 1 trials -> sqlite:///copy.db\n")
    assert "1 workers are running it; copied as it is now" in err
    status, out, err = cli("storage", "copy", "sweeps.db", "copy.db")
    assert (status, out) == (1, "")
    assert "--as NAME" in err
    assert cli("storage", "copy", "sweeps.db", "copy.db", "--as", "second")[0] == 0
    assert study_names(open_storage("copy.db")) == ["study", "second"]
    assert cli("storage", "check", "--storage", "copy.db")[0] == 0
    assert cli("storage", "check", "--storage", "copy.db", "--study", "second")[0] == 0


def test_what_is_wrong_is_told_with_its_remedy_and_repaired(cli, stored):
    with sqlite3.connect(stored) as connection:
        connection.execute("DELETE FROM sweeps_claims")
    connection.close()
    status, out, _ = cli("storage", "check")
    assert status == 1
    assert "WRONG  study study  the budget does not count trials 0" in out
    assert "remedy: `sweeps storage check --repair`" in out
    status, out, _ = cli("storage", "check", "--repair")
    assert status == 0
    assert "done   study study: counted 1 trials as parts of the budget" in out


@pytest.mark.parametrize("arguments", [("backup",), ("backup", "a", "b"), ("copy", "a")])
def test_bad_usage(cli, arguments):
    status, out, err = cli("storage", *arguments)
    assert (status, out) == (2, "")
    assert "Usage:" in err


@pytest.mark.parametrize(("command", "leave"), [("backup", 1_000_000), ("copy", 0)])
def test_a_full_disk_is_told_and_nothing_half_written_is_left(
    place, stored, small_disk, command, leave
):
    filler = _fill(small_disk, leave)
    source = ["sweeps.db"] if command == "copy" else []
    done = place.run("storage", command, *source, "disk/new.db")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1, done.stderr
    assert "disk" in done.stderr
    assert "free some space" in done.stderr
    if command == "backup":
        assert list(small_disk.iterdir()) == [filler]
    filler.unlink()
    done = place.run("storage", command, *source, "disk/new.db")
    assert (done.returncode, done.stderr) == (0, done.stderr)
    assert _integrity(small_disk / "new.db") == "ok"
    assert open_study(open_storage(str(small_disk / "new.db"))).trials[0].value == 0.5


@pytest.mark.slow
def test_a_sweep_whose_disk_fills_up_is_gone_on_with_when_there_is_space(place, small, small_disk):
    spec = place.write_spec(small)
    arguments = ("run", spec, "--workers", "2", "--storage", "disk/sweeps.db")
    path = small_disk / "sweeps.db"
    sweep = place.start(*arguments)

    def has_begun():
        if not path.exists():
            return False
        storage = open_storage(str(path))
        try:
            return study_names(storage) and any(
                trial.state.is_finished() for trial in open_study(storage).trials
            )
        finally:
            storage.engine.dispose()

    wait_for(has_begun, "a trial has ended", seconds=120)
    filler = _fill(small_disk)
    _, err = sweep.communicate(timeout=200)
    assert sweep.returncode == 1
    assert "Traceback" not in err
    assert "the disk is full: free some space" in err.splitlines()[-1]

    filler.unlink()
    assert _integrity(path) == "ok"
    storage = open_storage(str(path))
    kept = {t.number: t.value for t in open_study(storage).trials if t.state.is_finished()}
    assert kept
    storage.engine.dispose()
    done = place.run(*arguments)
    assert done.returncode == 0, done.stderr
    trials = open_study(open_storage(str(path))).trials
    assert {t.number: t.value for t in trials if t.number in kept} == kept
    ended = [t for t in trials if t.user_attrs["outcome"] in ("completed", "pruned", "diverged")]
    assert len(ended) == 6
    assert place.run("storage", "check", "--storage", "disk/sweeps.db").returncode == 0


class TestReadOnly:
    @pytest.fixture(autouse=True)
    def _place(self, place, stored):
        self.place, self.stored = place, stored
        yield
        self.stored.chmod(0o644)
        self.stored.parent.chmod(0o755)

    def run(self, *arguments):
        """A command, by a user whom the permissions of files bind."""
        command = [sys.executable, "-m", "sweeps", *arguments]
        if os.geteuid() == 0:
            if shutil.which("setpriv") is None:
                pytest.skip("root may write everywhere")
            command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
        return subprocess.run(
            command,
            cwd=self.place.folder,
            env=self.place.environment,
            capture_output=True,
            text=True,
            timeout=150,
        )

    def refused(self, said, *arguments):
        done = self.run(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.count("\n") == 1, done.stderr
        assert said in done.stderr

    def test_a_read_only_file_is_refused_but_can_be_checked_and_copied(self):
        self.stored.chmod(0o444)
        before = self.stored.read_bytes()
        self.refused("sweeps.db: is read-only; change its permissions", "status")
        self.refused("is read-only", "storage", "copy", "sweeps.db", "sweeps.db", "--as", "new")
        assert self.run("storage", "copy", "sweeps.db", "copy.db").returncode == 0
        assert self.run("storage", "check").returncode == 0
        assert self.stored.read_bytes() == before

    def test_a_file_that_may_not_be_read(self):
        self.stored.chmod(0)
        self.refused("may not be read; change its permissions", "storage", "check")

    def test_a_read_only_folder(self):
        self.stored.parent.chmod(0o555)
        for command in (("backup", "new.db"), ("copy", "sweeps.db", "new.db"), ("check",)):
            self.refused("is read-only", "storage", *command)
        self.refused("is read-only, where SQLite keeps a log beside the file", "status")
        self.stored.parent.chmod(0o755)
        assert _integrity(self.stored) == "ok"
