"""What can go wrong with a storage: which errors are transient, and how each is explained."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy.exc
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError

#: What the database raises, as it is or wrapped by Optuna.
DATABASE_ERRORS = (sqlalchemy.exc.DBAPIError, StorageInternalError)


class StorageError(Exception):
    """A storage cannot be used as asked; the message names it, the reason and the remedy."""


class StudyDeleted(StorageError):
    """A study was deleted, or another one has its id by now."""


class ClaimLost(UpdateFinishedTrialError):
    """A worker has no claim to a trial: it was taken for dead, or never had one.

    For the worker this is the same as a trial that another process ended.
    """


# PostgreSQL's codes (https://www.postgresql.org/docs/current/errcodes-appendix.html) of errors that
# go away by themselves, beside class 08, the connection's own: a deadlock or a conflict, a lock
# that was not available, a statement that took too long, no connection left, a server that shuts
# down, crashed or starts, and a session that was ended while it was idle.
_TRANSIENT_CODES = re.compile(r"08...|40001|40P01|55P03|57014|53300|57P0[1235]|25P03")

# Errors of the PostgreSQL client while it connects that last until a person changes something.
_PERMANENT = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|does not exist"
    r"|permission denied|invalid (connection option|sslmode|port)|certificate"
)

_SQLITE_LOCKED = "database is locked"

# Raised by a connection that a signal's exception interrupted; the pool replaces it.
_INTERRUPTED = "connection in transaction status ACTIVE"

_NO_ENTRY = "the server does not let this user in from this host: add a line to its pg_hba.conf"
_NO_PASSWORD = "the server refuses this user with this password: correct them in the URL"
_NO_ROLE = "the server has no such user: correct it in the URL, or make it with createuser"
_NO_DATABASE = "the server has no such database: make it with createdb, or correct the URL"
_CROWDED = "the server has no connection left: raise its max_connections, or run fewer workers"
_LOCKED = (
    "the server took too long, mostly since another session holds a lock: see its pg_locks ({said})"
)
_UNAVAILABLE = "the server does not answer: see that it runs and can be reached from here ({said})"

# PostgreSQL's codes, which are the same in every language of the server, and their remedies.
_CODES = {
    "28000": _NO_ENTRY,
    "28P01": _NO_PASSWORD,
    "3D000": _NO_DATABASE,
    "53100": "the server's disk is full: free some space there; what was stored before is kept",
    "53300": _CROWDED,
    "25006": "the server takes no changes (a standby?): name the primary server in the URL",
    "55P03": _LOCKED,
    "57014": _LOCKED,
    "42501": "this user lacks a right there: let the database's owner GRANT it ({said})",
}

# What SQLite says, or the PostgreSQL client while it connects, and the remedies.
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


def is_transient(error: BaseException) -> bool:
    """Whether the database is unavailable or busy, and may be back soon.

    The transaction is lost then, unless the connection broke after its commit was sent: nobody
    knows before the database is back.
    """
    # Raised by further statements of a transaction whose connection broke.
    if any(isinstance(cause, sqlalchemy.exc.PendingRollbackError) for cause in _causes(error)):
        return True
    cause = _database_error(error)
    if cause is None:
        return False
    if cause.connection_invalidated:
        return True
    code = _sqlstate(cause)
    if code:
        return _TRANSIENT_CODES.fullmatch(code) is not None
    if not isinstance(cause, sqlalchemy.exc.OperationalError):
        return _INTERRUPTED in str(cause.orig)
    if type(cause.orig).__module__.startswith("sqlite3"):
        return _SQLITE_LOCKED in str(cause.orig)
    return _PERMANENT.search(str(cause.orig)) is None


def explain(error: BaseException, where: str) -> StorageError | None:
    """Turn a database error into a one-line :class:`StorageError`.

    Args:
        error: what was raised; its causes are looked at too, since Optuna wraps SQLAlchemy's.
        where: the storage as a person knows it.

    Returns:
        The error to show, or ``None`` where ``error`` is not about the database's state: that is
        a programming error and keeps its traceback.
    """
    cause = _database_error(error)
    if cause is None:
        return None
    said = " ".join(str(cause.orig).split())
    remedy = _remedy(cause, said)
    return None if remedy is None else StorageError(f"{where}: {remedy.replace('{said}', said)}")


@contextmanager
def explaining(where: str) -> Iterator[None]:
    """Turn the database's errors inside a block into one line.

    Raises:
        StorageError: the database's state does not allow what the block does.
    """
    try:
        yield
    except DATABASE_ERRORS as error:
        explained = explain(error, where)
        if explained is None:
            raise
        # The cause tells whether it is transient.
        raise explained from error


def _remedy(cause: sqlalchemy.exc.DBAPIError, said: str) -> str | None:
    code = _sqlstate(cause)
    if code in _CODES:
        return _CODES[code]
    for symptom, remedy in _REMEDIES:
        if re.search(symptom, said, re.IGNORECASE):
            return remedy
    if is_transient(cause):
        return _UNAVAILABLE
    return "{said}" if isinstance(cause, sqlalchemy.exc.OperationalError) else None


def _database_error(error: BaseException) -> sqlalchemy.exc.DBAPIError | None:
    """The database's own error among an error and its causes."""
    return next((e for e in _causes(error) if isinstance(e, sqlalchemy.exc.DBAPIError)), None)


def _sqlstate(error: sqlalchemy.exc.DBAPIError) -> str:
    """PostgreSQL's code of an error; empty on SQLite, or before a connection is made."""
    return getattr(error.orig, "sqlstate", None) or ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
