"""The exceptions that the command line turns into a line and an exit status."""


class SweepsError(Exception):
    """A person's mistake or an accident, told in one line; the CLI shows it and exits with 1."""


class DatasetUnavailable(SweepsError):
    """A dataset is not on disk and cannot be downloaded."""


class Stopped(Exception):
    """A signal asked for the end; the CLI exits with 128 plus its number.

    Attributes:
        signal: the signal's number.
    """

    def __init__(self, signal: int) -> None:
        super().__init__(f"stopped by signal {signal}")
        self.signal = signal
