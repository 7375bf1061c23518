"""The error that a person sees."""


class SweepsError(Exception):
    """A person's mistake or an accident, told in one line; the CLI shows it and exits with 1."""
