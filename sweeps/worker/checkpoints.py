"""Checkpoints of unfinished trials, from which another worker resumes them.

A checkpoint is one file per trial, written beside its place and renamed into it. A retry starts
from its predecessor's file and writes its own, so that a worker that was taken for dead and comes
back cannot disturb it.
"""

import errno
import logging
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

import click
import optuna
from optuna.trial import FrozenTrial
from sqlalchemy.engine import URL

from storage import CHECKPOINTS_ID, RETRY_OF
from sweeps.errors import SweepsError
from sweeps.spec.files import write_whole

DEFAULT_SECONDS = 30.0

_logger = logging.getLogger(__name__)


def default_folder(url: URL) -> Path:
    """Return the default folder: beside a SQLite file, else in the working directory."""
    if url.get_backend_name() == "sqlite" and url.database:
        return Path(url.database).absolute().with_suffix(".checkpoints")
    return Path("checkpoints").absolute()


def check_folder(folder: Path) -> None:
    """Create a folder that a person named for checkpoints.

    Raises:
        SweepsError: it cannot be written.
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
        folder: of all studies' checkpoints. Machines that are to resume each other's trials share
            it.
        study: the study.
        seconds: between two writes of a trial; 0 writes after every batch.
    """

    def __init__(
        self, folder: Path, study: optuna.Study, *, seconds: float = DEFAULT_SECONDS
    ) -> None:
        # The id tells a study from a deleted one of the same name.
        name = f"{quote(study.study_name, safe=' ')}-{study.user_attrs[CHECKPOINTS_ID]}"
        self.folder = folder / name
        self.seconds = seconds
        self._has_warned = False

    def of(self, number: int, trials: Iterable[FrozenTrial]) -> "TrialCheckpoint":
        """Return the checkpoint of a trial.

        Args:
            number: of the trial.
            trials: the study's, the trial's predecessors among them.
        """
        return TrialCheckpoint(self, [self._path(n) for n in _line(number, _retries(trials))])

    def tidy(self, trials: Iterable[FrozenTrial]) -> None:
        """Remove the files that no running or waiting trial needs.

        Args:
            trials: the study's. Files of trials that are not among them stay.
        """
        trials = list(trials)
        retries = _retries(trials)
        unfinished = (trial.number for trial in trials if not trial.state.is_finished())
        needed = {n for number in unfinished for n in _line(number, retries)}
        known = {trial.number for trial in trials}
        try:
            for file in self.folder.iterdir():
                # A file that is being written has the name of its target in its own.
                found = re.search(r"trial-(\d+)\.pt", file.name)
                if found and int(found[1]) in known - needed:
                    file.unlink(missing_ok=True)
            # Otherwise another worker may be about to write its first file there.
            if not needed:
                self.folder.rmdir()
        except OSError:
            return  # The folder does not exist, or is not empty.

    def _path(self, number: int) -> Path:
        return self.folder / f"trial-{number:06}.pt"

    def _write(self, path: Path, content: bytes) -> None:
        for is_last in (False, True):
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                write_whole(path, content)
                return
            except (OSError, SweepsError) as error:
                # Try again: another process that tidied up may have removed the folder, or the
                # half-written file where this one was suspended and lost its trial.
                if is_last and not self._has_warned:
                    _logger.warning("no checkpoint is written, lost trials start anew: %s", error)
                    self._has_warned = True


class TrialCheckpoint:
    """One trial's checkpoint; a :class:`sweeps.training.Checkpoint`.

    Args:
        checkpoints: the study's.
        paths: the trial's own file, then its predecessors', the latest first.
    """

    def __init__(self, checkpoints: Checkpoints, paths: list[Path]) -> None:
        self._checkpoints = checkpoints
        self._paths = paths
        self._read = paths[0]
        self._written = time.monotonic()

    def read(self) -> bytes | None:
        """Return the newest content: this trial's, else that of the nearest predecessor."""
        for path in self._paths:
            try:
                content = path.read_bytes()
            except OSError:
                continue
            self._read = path
            return content
        return None

    def write(self, content: bytes) -> None:
        """Replace the content."""
        self._checkpoints._write(self._paths[0], content)
        self._written = time.monotonic()

    def refuse(self, reason: str) -> None:
        """Log that the content that was read does not fit the trial."""
        first_line = next(iter(reason.splitlines()), "")
        _logger.warning(
            "%s starts anew, its checkpoint cannot be used: %s", self._paths[0].stem, first_line
        )

    def accept(self, epoch: int) -> None:
        """Say on stderr from which trial and epoch the trial is resumed."""
        trial, resumed = (
            int(path.stem.removeprefix("trial-")) for path in (self._paths[0], self._read)
        )
        click.echo(f"trial {trial} resumes trial {resumed} from epoch {epoch}", err=True)

    def is_due(self) -> bool:
        """Whether enough time has passed since the last write."""
        return time.monotonic() - self._written >= self._checkpoints.seconds


def _retries(trials: Iterable[FrozenTrial]) -> dict[int, int]:
    """Map the number of each retry to that of the trial that it replaces."""
    return {
        trial.number: trial.user_attrs[RETRY_OF] for trial in trials if RETRY_OF in trial.user_attrs
    }


def _line(number: int, retries: dict[int, int]) -> list[int]:
    """Return a trial and its predecessors, the latest first."""
    line = [number]
    while line[-1] in retries:
        line.append(retries[line[-1]])
    return line
