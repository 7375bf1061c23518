"""Where unfinished trials are kept, for another worker to go on with them.

A file for each trial, written beside its place and renamed into it. A trial that stands in for
another begins with that one's file and then writes its own: a worker that was taken for dead and
comes back cannot disturb it.
"""

import errno
import os
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import quote

import optuna
from optuna.trial import FrozenTrial
from sqlalchemy.engine import URL

from storage import CHECKPOINTS_ID, RETRY_OF
from sweeps.errors import SweepsError
from sweeps.spec.files import write_whole

DEFAULT_SECONDS = 30.0


def default_folder(url: URL) -> Path:
    """Where checkpoints go if nobody says: beside a SQLite file, else in the working directory."""
    if url.get_backend_name() == "sqlite" and url.database:
        return Path(url.database).absolute().with_suffix(".checkpoints")
    return Path("checkpoints").absolute()


def check_folder(folder: Path) -> None:
    """See whether checkpoints could be kept in a folder that a person named; make it.

    Raises:
        SweepsError: they could not: trials that are lost would start anew.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise SweepsError(
            f"--checkpoint-dir {folder}: cannot be written ({error.strerror}); name another folder"
        ) from None


class Checkpoints:
    """The checkpoints of a study.

    Args:
        folder: of all studies' checkpoints, shared by the machines that are to take over trials
            from each other.
        study: the study.
        seconds: between two writes of a trial; 0 for one after every batch.
        say: told, once, that a checkpoint cannot be written: the trial goes on without.
    """

    def __init__(
        self,
        folder: Path,
        study: optuna.Study,
        *,
        seconds: float = DEFAULT_SECONDS,
        say: Callable[[str], None],
    ) -> None:
        # Another study of the same name, made after this one was deleted, has a folder of its own.
        name = f"{quote(study.study_name, safe=' ')}-{study.user_attrs[CHECKPOINTS_ID]}"
        self.folder = folder / name
        self.seconds = seconds
        self.say = say
        self._told = False

    def of(self, number: int, trials: Iterable[FrozenTrial]) -> "TrialCheckpoint":
        """The checkpoint of a trial.

        Args:
            number: of the trial.
            trials: the study's, among which are those that it stands in for.
        """
        return TrialCheckpoint(self, [self._path(n) for n in _line(number, _retries(trials))])

    def tidy(self, trials: Iterable[FrozenTrial]) -> None:
        """Remove what no trial needs that runs or waits.

        Args:
            trials: the study's; files of trials that are not among them are left alone.
        """
        trials = list(trials)
        retries = _retries(trials)
        unfinished = (trial.number for trial in trials if not trial.state.is_finished())
        needed = {n for number in unfinished for n in _line(number, retries)}
        known = {trial.number for trial in trials}
        try:
            for file in self.folder.iterdir():
                # What is still being written has the name of its file in its own.
                found = re.search(r"trial-(\d+)\.pt", file.name)
                if found and int(found[1]) in known - needed:
                    file.unlink(missing_ok=True)
            # Else another worker may be about to write its first file there.
            if not needed:
                self.folder.rmdir()
        except OSError:
            # There is no such folder, or it is not empty.
            return

    def _path(self, number: int) -> Path:
        return self.folder / f"trial-{number:06}.pt"

    def _write(self, path: Path, content: bytes) -> None:
        for is_last in (False, True):
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                write_whole(path, content)
                return
            except (OSError, SweepsError) as error:
                # Once more: another process that tidies up has removed the folder, or, where this
                # one was suspended and its trial taken, the file that was being written.
                if is_last and not self._told:
                    self.say(f"no checkpoint is written, trials that are lost start anew: {error}")
                    self._told = True


class TrialCheckpoint:
    """One trial's checkpoint; a :class:`sweeps.training.Checkpoint`.

    Args:
        checkpoints: the study's.
        paths: the trial's own file, then those of the trials that it stands in for.
    """

    def __init__(self, checkpoints: Checkpoints, paths: list[Path]) -> None:
        self._checkpoints = checkpoints
        self._paths = paths
        self._written = time.monotonic()

    def read(self) -> bytes | None:
        """The newest there is, this trial's or that of one before it."""
        for path in self._paths:
            try:
                return path.read_bytes()
            except OSError:
                continue
        return None

    def write(self, content: bytes) -> None:
        """Keep the trial as it is now."""
        self._checkpoints._write(self._paths[0], content)
        self._written = time.monotonic()

    def refuse(self, reason: str) -> None:
        """Say that what was read is not to be used."""
        first_line = next(iter(reason.splitlines()), "")
        self._checkpoints.say(
            f"{self._paths[0].stem} starts anew, its checkpoint cannot be used: {first_line}"
        )

    def is_due(self) -> bool:
        """Whether so many seconds have passed since the last one."""
        return time.monotonic() - self._written >= self._checkpoints.seconds


def _retries(trials: Iterable[FrozenTrial]) -> dict[int, int]:
    """Trial number -> the number of the trial that it stands in for."""
    return {
        trial.number: trial.user_attrs[RETRY_OF] for trial in trials if RETRY_OF in trial.user_attrs
    }


def _line(number: int, retries: dict[int, int]) -> list[int]:
    """A trial and those that it stands in for, the latest first."""
    line = [number]
    while line[-1] in retries:
        line.append(retries[line[-1]])
    return line
