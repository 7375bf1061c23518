"""What can go wrong with a storage, told in one line."""

import re

import sqlalchemy.exc
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError

from storage.disconnects import database_error, passes, sqlstate


class StorageError(Exception):
    """A storage cannot be used as asked; the message names it, the reason and the remedy."""


class StudyDeleted(StorageError):
    """A study was deleted, or another one has its number by now."""


class ClaimLost(UpdateFinishedTrialError):
    """A worker has no claim to a trial: it was taken for dead, or never had one.

    For the worker this is the same as a trial that another process ended.
    """


_NO_ENTRY = "the server does not let this user in from this host: add a line to its pg_hba.conf"
_NO_PASSWORD = "the server refuses this user with this password: correct them in the URL"
_NO_ROLE = "the server has no such user: correct it in the URL, or make it with createuser"
_NO_DATABASE = "the server has no such database: make it with createdb, or correct the URL"
_CROWDED = "the server has no connection left: raise its max_connections, or run fewer workers"
_HELD = (
    "the server took too long, mostly since another session holds a lock: see its pg_locks ({said})"
)

# PostgreSQL's codes (https://www.postgresql.org/docs/current/errcodes-appendix.html), which are the
# same in every language of the server -> what a person can do about it.
_CODES = {
    "28000": _NO_ENTRY,
    "28P01": _NO_PASSWORD,
    "3D000": _NO_DATABASE,
    "53100": "the server's disk is full: free some space there; what was stored before is kept",
    "53300": _CROWDED,
    "25006": "the server takes no changes (a standby?): name the primary server in the URL",
    "55P03": _HELD,
    "57014": _HELD,
    "42501": "this user lacks a right there: let the database's owner GRANT it ({said})",
}

# What SQLite says, or PostgreSQL while a connection is made -> what a person can do about it.
_REMEDIES = (
    ("readonly", "it is read-only: change its permissions, or name another with --storage"),
    ("is full", "the disk is full: free some space; what was stored before is kept"),
    ("disk i/o error", "the disk does not answer: free some space, or name another with --storage"),
    ("is locked", "another program holds it locked: end that program, then run this again"),
    ("not a database", "it is not a SQLite database: name another with --storage"),
    ("malformed", "it is damaged: restore a copy, or name another with --storage"),
    ("unable to open", "it cannot be opened: check that its folder exists and can be written"),
    ("password authentication failed", _NO_PASSWORD),
    ("no password supplied", "the server asks for a password: give it in the URL, or ~/.pgpass"),
    ("no pg_hba.conf entry|authentication failed", _NO_ENTRY),
    ('role ".*" does not exist', _NO_ROLE),
    ('database ".*" does not exist', _NO_DATABASE),
    ("too many (clients|connections)|connection slots are reserved", _CROWDED),
)

_AWAY = "the server does not answer: see that it runs and can be reached from here ({said})"


def explain(error: BaseException, where: str) -> StorageError | None:
    """Turn a database error into a one-line :class:`StorageError`.

    Args:
        error: what was raised; its causes are looked at too (Optuna wraps SQLAlchemy's errors).
        where: the storage as a person knows it.

    Returns:
        The error to show, or ``None`` where ``error`` is not about the database's state: that is
        a programming error and keeps its traceback.
    """
    cause = database_error(error)
    if cause is None:
        return None
    said = " ".join(str(cause.orig).split())
    remedy = _remedy(cause, said)
    return None if remedy is None else StorageError(f"{where}: {remedy.replace('{said}', said)}")


def _remedy(cause: sqlalchemy.exc.DBAPIError, said: str) -> str | None:
    code = sqlstate(cause)
    if code in _CODES:
        return _CODES[code]
    for symptom, remedy in _REMEDIES:
        if re.search(symptom, said, re.IGNORECASE):
            return remedy
    if passes(cause):
        return _AWAY
    return "{said}" if isinstance(cause, sqlalchemy.exc.OperationalError) else None


DATABASE_ERRORS = (sqlalchemy.exc.DBAPIError, StorageInternalError)
