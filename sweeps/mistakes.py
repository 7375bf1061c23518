"""What a person is told of an error."""

import sys

from sweeps.errors import SweepsError


def in_words(error: BaseException) -> str | None:
    """A person's mistake or an accident in words; ``None`` for a programming error."""
    told: BaseException | None = error if isinstance(error, SweepsError) else None
    if told is None and "storage" in sys.modules:
        from storage import StorageError, explain

        told = error if isinstance(error, StorageError) else explain(error, "the storage")
    return None if told is None else str(told)
