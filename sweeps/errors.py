"""The exceptions that the command line turns into a line and an exit status, and how trials end."""

import logging
import sys
from signal import SIGHUP, SIGTERM
from typing import Any

#: How long a process that was asked to stop waits for a database that is away.
STOP_PATIENCE_SECONDS = 3.0


class SweepsError(Exception):
    """A person's mistake or an accident, told in one line; the CLI shows it and exits with 1."""


class DatasetUnavailable(SweepsError):
    """A dataset is not on disk and cannot be downloaded."""


class Interrupted(Exception):
    """A trial was asked to stop and did; it can be gone on with."""


class OutOfMemory(Exception):
    """A trial needs more memory than there is.

    Attributes:
        overrides: settings, by dotted name, with which it needs less; empty where it had them.
    """

    def __init__(self, reason: str, overrides: dict[str, Any]) -> None:
        super().__init__(reason)
        self.overrides = overrides


class Stopped(SystemExit):
    """A signal asked for the end; the CLI exits with 128 plus its number.

    A terminal that was closed (SIGHUP) counts as a SIGTERM.
    It may be raised in the middle of anything, so it is of the kind that libraries let through.

    Attributes:
        signal: the signal's number.
        remedy: what a person can do about it; empty for nothing.
    """

    def __init__(self, signal: int, remedy: str = "") -> None:
        signal = SIGTERM if signal == SIGHUP else signal
        super().__init__(128 + signal)
        self.signal = signal
        self.remedy = remedy


def in_words(error: BaseException) -> str | None:
    """A person's mistake or an accident in words; ``None`` for a programming error."""
    told: BaseException | None = error if isinstance(error, SweepsError) else None
    if told is None and "storage" in sys.modules:
        from storage import StorageError, explain

        told = error if isinstance(error, StorageError) else explain(error, "the storage")
    return None if told is None else str(told)


class Survived:
    """Logs errors that a background thread survives, a line each; the same again once it was over.

    Args:
        module: that survives them, whose logger tells.
        what: failed.
    """

    def __init__(self, module: str, what: str) -> None:
        self._logger = logging.getLogger(module)
        self._what = what
        self._told = ""

    def note(self, error: Exception | None) -> None:
        """Take notice of an error, or that there was none this time."""
        words = ""
        if error is not None:
            first_line = next(iter(str(error).splitlines()), "")
            words = in_words(error) or f"{type(error).__name__}: {first_line}"
        if words and words != self._told:
            self._logger.warning("%s: %s (tried again)", self._what, words)
        self._told = words
