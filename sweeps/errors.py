"""The exceptions that end a command with one line, or a trial early."""

import logging
import sys
from signal import SIGHUP, SIGTERM
from typing import Any

#: How long a process that was asked to stop waits for an unavailable database.
STOP_PATIENCE_SECONDS = 3.0


class SweepsError(Exception):
    """A person's mistake or an outside failure; the CLI shows its one line and exits with 1."""


class DatasetUnavailable(SweepsError):
    """A dataset is not on disk, and is not downloaded or cannot be."""


class Interrupted(Exception):
    """A trial stopped because it was asked to; it can be resumed."""


class Diverged(Exception):
    """A trial's metric is not finite; no further epoch can change that."""


class NotLearning(Exception):
    """A trial's loss stays at chance while its learning rate is at its peak."""


class OutOfMemory(Exception):
    """A trial needs more memory than its device has.

    Attributes:
        overrides: settings, by dotted name, with which a retry needs less; empty where the trial
            had them already.
    """

    def __init__(self, reason: str, overrides: dict[str, Any]) -> None:
        super().__init__(reason)
        self.overrides = overrides


class Stopped(SystemExit):
    """A signal asked the process to stop; the CLI exits with 128 plus the signal's number.

    A closed terminal (SIGHUP) counts as SIGTERM. Signals arrive at any point of the program, so
    this is a ``SystemExit``, which libraries do not catch.

    Attributes:
        signal: the signal's number.
        remedy: what a person can do next; empty for nothing.
    """

    def __init__(self, signal: int, remedy: str = "") -> None:
        signal = SIGTERM if signal == SIGHUP else signal
        super().__init__(128 + signal)
        self.signal = signal
        self.remedy = remedy


def in_words(error: BaseException) -> str | None:
    """Return an error's one line for people; ``None`` for a programming error."""
    shown: BaseException | None = error if isinstance(error, SweepsError) else None
    if shown is None and "storage" in sys.modules:
        from storage import StorageError, explain

        shown = error if isinstance(error, StorageError) else explain(error, "the storage")
    return None if shown is None else str(shown)


def one_line(error: BaseException) -> str:
    """Return an error's kind and the first line of what it says."""
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"


class Survived:
    """Logs the errors that a background thread survives: each once, until it has passed.

    Args:
        module: whose logger is used.
        what: the thing that failed, the line's first words.
    """

    def __init__(self, module: str, what: str) -> None:
        self._logger = logging.getLogger(module)
        self._what = what
        self._logged = ""

    def note(self, error: Exception | None) -> None:
        """Log an error unless it was logged last time; ``None``: it has passed."""
        words = ""
        if error is not None:
            words = in_words(error) or one_line(error)
        if words and words != self._logged:
            self._logger.warning("%s: %s (tried again)", self._what, words)
        self._logged = words
