"""The exceptions that the command line turns into a line and an exit status, and how trials end."""

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
