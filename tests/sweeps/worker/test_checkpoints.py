"""Checkpoints as files: which a trial reads, which are removed, and what a disk can do to them."""

import os

import pytest

from storage import RETRY_OF, end_trial, open_storage
from sweeps.errors import SweepsError
from sweeps.spec.spec import parse_spec
from sweeps.study.study import open_or_create_study
from sweeps.worker.checkpoints import Checkpoints, check_folder


@pytest.fixture
def study(tmp_path, patterns, small):
    storage = open_storage(str(tmp_path / "sweeps.db"), create=True)
    small["baselines"] = []
    return open_or_create_study(storage, parse_spec(small, "small"), "study", patterns)


@pytest.fixture
def checkpoints(study, tmp_path):
    return Checkpoints(tmp_path / "kept", study, seconds=0)


def end(study, number, outcome):
    value = 0.5 if outcome == "completed" else None
    end_trial(study._storage._backend, study, number, outcome, value=value)


def test_a_retry_starts_from_its_predecessors_file_and_writes_its_own(study, checkpoints):
    for number in range(2):
        study.ask()
        checkpoints.of(number, study.trials).write(f"of {number}".encode())
        end(study, number, "interrupted")
    retry = checkpoints.of(2, study.trials)
    assert retry.read() == b"of 1"
    retry.write(b"of 2")
    assert retry.read() == b"of 2"
    assert checkpoints.of(1, study.trials).read() == b"of 1", "its own, were it to come back"


def test_files_that_no_trial_needs_are_removed_and_the_folder_with_the_last(study, checkpoints):
    for number in range(3):
        study.ask()
        checkpoints.of(number, study.trials).write(b"x")
    (checkpoints.folder / ".trial-000000.pt.half").write_bytes(b"x")
    end(study, 0, "completed")
    end(study, 1, "lost")
    before = study.trials
    later = checkpoints.of(9, study.trials)
    later.write(b"of a trial that began after the look at the study")
    checkpoints.tidy(before)
    names = sorted(file.name for file in checkpoints.folder.iterdir())
    assert names == ["trial-000001.pt", "trial-000002.pt", "trial-000009.pt"]
    (checkpoints.folder / names[2]).unlink()
    study.ask()
    for number in (2, 3):
        end(study, number, "completed")
    checkpoints.tidy(study.trials)
    assert not checkpoints.folder.exists()


def test_the_folder_of_all_studies_is_not_ours_to_remove(study, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir(mode=0o2770)
    before = mine.stat()
    checkpoints = Checkpoints(mine, study, seconds=0)
    checkpoints.tidy(study.trials)
    study.ask()
    checkpoints.of(0, study.trials).write(b"x")
    end(study, 0, "completed")
    checkpoints.tidy(study.trials)
    after = mine.stat()
    assert list(mine.iterdir()) == []
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)


def test_the_folder_stays_while_a_trial_may_be_about_to_write_there(study, checkpoints):
    study.ask()
    checkpoints.folder.mkdir(parents=True)
    checkpoints.tidy(study.trials)
    assert checkpoints.folder.exists()


def test_a_checkpoint_that_does_not_fit_is_logged_in_a_line(checkpoints, caplog):
    checkpoints.of(3, []).refuse("seed is 0 there and 1 here\nand more")
    assert caplog.messages == [
        "trial-000003 starts anew, its checkpoint cannot be used: seed is 0 there and 1 here"
    ]


def test_a_retry_says_which_trial_it_resumes_and_from_where(study, checkpoints, capsys):
    study.ask()
    checkpoints.of(0, study.trials).write(b"x")
    end(study, 0, "interrupted")
    study.ask().set_user_attr(RETRY_OF, 0)
    retry = checkpoints.of(1, study.trials)
    assert retry.read() == b"x"
    retry.accept(3)
    assert capsys.readouterr().err == "trial 1 resumes trial 0 from epoch 3\n"


@pytest.mark.parametrize("removed", ["the file", "the folder"])
def test_what_others_remove_meanwhile_is_written_again(
    study, checkpoints, caplog, monkeypatch, removed
):
    """As where this worker was suspended while it wrote, and its trial taken from it."""
    removals, sync = [removed], os.fsync

    def sync_and_be_slow(file):
        sync(file)
        if removals:
            removals.clear()
            (beside,) = checkpoints.folder.iterdir()
            beside.unlink()
            if removed == "the folder":
                checkpoints.folder.rmdir()

    monkeypatch.setattr(os, "fsync", sync_and_be_slow)
    study.ask()
    checkpoint = checkpoints.of(0, study.trials)
    checkpoint.write(b"kept")
    assert not removals
    assert checkpoint.read() == b"kept"
    assert caplog.messages == []


def test_a_full_disk_is_logged_once_and_the_checkpoint_before_stays(
    checkpoints, caplog, monkeypatch
):
    checkpoint = checkpoints.of(0, [])
    checkpoint.write(b"the first")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        checkpoint.write(b"the second")
        checkpoint.write(b"the third")
    assert checkpoint.read() == b"the first"
    assert len(list(checkpoints.folder.iterdir())) == 1
    (message,) = caplog.messages
    assert message.startswith("no checkpoint is written")


def test_a_folder_that_cannot_be_written_is_refused_before_the_start(study, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SweepsError, match=r"--checkpoint-dir .*/file/below: cannot be written"):
        check_folder(tmp_path / "file" / "below")
    check_folder(tmp_path / "new" / "folder")
    assert (tmp_path / "new" / "folder").is_dir()
    # One that becomes so later costs no trial.
    checkpoint = Checkpoints(tmp_path / "file", study).of(0, [])
    checkpoint.write(b"x")
    assert checkpoint.read() is None


def test_studies_of_the_same_name_do_not_share_a_folder(study, tmp_path):
    first = Checkpoints(tmp_path, study).folder
    study.set_user_attr("sweep_id", "another")
    assert Checkpoints(tmp_path, study).folder != first
