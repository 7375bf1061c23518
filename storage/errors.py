"""What can go wrong with a storage, told in one line."""

import sqlalchemy.exc
from optuna.exceptions import StorageInternalError


class StorageError(Exception):
    """A storage cannot be used as asked; the message names it, the reason and the remedy."""


# What SQLite says -> what a person can do about it.
_REMEDIES = (
    ("readonly", "it is read-only: change its permissions, or name another with --storage"),
    ("is full", "the disk is full: free some space; what was stored before is kept"),
    ("disk i/o error", "the disk does not answer: free some space, or name another with --storage"),
    ("is locked", "another program holds it locked: end that program, then run this again"),
    ("not a database", "it is not a SQLite database: name another with --storage"),
    ("malformed", "it is damaged: restore a copy, or name another with --storage"),
    ("unable to open", "it cannot be opened: check that its folder exists and can be written"),
)


def explain(error: BaseException, where: str) -> StorageError | None:
    """Turn a database error into a one-line :class:`StorageError`.

    Args:
        error: what was raised; its causes are looked at too (Optuna wraps SQLAlchemy's errors).
        where: the storage as a person knows it.

    Returns:
        The error to show, or ``None`` where ``error`` is not about the database's state: that is
        a programming error and keeps its traceback.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, sqlalchemy.exc.DBAPIError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return None
    said = " ".join(str(cause.orig).split())
    for symptom, remedy in _REMEDIES:
        if symptom in said.lower():
            return StorageError(f"{where}: {remedy}")
    if isinstance(cause, sqlalchemy.exc.OperationalError):
        return StorageError(f"{where}: {said}")
    return None


DATABASE_ERRORS = (sqlalchemy.exc.DBAPIError, StorageInternalError)
