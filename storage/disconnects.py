"""Telling a trouble of the database that passes from one that stays."""

import re
from collections.abc import Iterator

import sqlalchemy.exc

# PostgreSQL's codes (https://www.postgresql.org/docs/current/errcodes-appendix.html) of what passes
# by itself, beside those of class 08, the connection's own: a deadlock or a conflict of which this
# transaction was the victim, a lock that was not to be had, a statement that took too long, no
# connection left, a server that shuts down, crashed or starts, and a session that was ended while
# it was idle.
_PASSING_CODES = re.compile(r"08...|40001|40P01|55P03|57014|53300|57P0[1235]|25P03")

# What stays so until a person changes it, as the PostgreSQL client tells it while it connects.
_STAYING = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|does not exist"
    r"|permission denied|invalid (connection option|sslmode|port)|certificate"
)

_SQLITE_LOCKED = "database is locked"

# Said by a connection that a signal's exception left in the middle of something; it is replaced.
_INTERRUPTED = "connection in transaction status ACTIVE"


def database_error(error: BaseException) -> sqlalchemy.exc.DBAPIError | None:
    """The database's own error among an error and its causes: Optuna wraps SQLAlchemy's errors."""
    return next((e for e in _causes(error) if isinstance(e, sqlalchemy.exc.DBAPIError)), None)


def sqlstate(error: sqlalchemy.exc.DBAPIError) -> str:
    """PostgreSQL's code of an error; empty where it has none: on SQLite, or before a connection."""
    return getattr(error.orig, "sqlstate", None) or ""


def passes(error: BaseException) -> bool:
    """Whether an error says that the database is away, or busy, and may be back soon.

    The transaction is lost then, unless the connection broke after its commit was sent: nobody
    knows before the database is back.
    """
    # What is said in a transaction whose connection broke before.
    if any(isinstance(cause, sqlalchemy.exc.PendingRollbackError) for cause in _causes(error)):
        return True
    cause = database_error(error)
    if cause is None:
        return False
    if cause.connection_invalidated:
        return True
    code = sqlstate(cause)
    if code:
        return _PASSING_CODES.fullmatch(code) is not None
    if not isinstance(cause, sqlalchemy.exc.OperationalError):
        return _INTERRUPTED in str(cause.orig)
    if type(cause.orig).__module__.startswith("sqlite3"):
        return _SQLITE_LOCKED in str(cause.orig)
    return _STAYING.search(str(cause.orig)) is None


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
