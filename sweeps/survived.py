"""Errors that a thread in the background survives, and a person should know of."""

import logging

from sweeps.mistakes import in_words


class Survived:
    """Logs them as warnings of one line: each once, until there is another or it is over.

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
