"""Transactions that hold several statements, Optuna's among them."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

from sqlalchemy import Connection, Engine, Insert, Table, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import PendingRollbackError
from sqlalchemy.orm import Session, scoped_session

_current: ContextVar[dict[int, Connection] | None] = ContextVar("current", default=None)

# The row that Optuna locks too when it makes a trial.
_LOCK_STUDY = text("SELECT study_id FROM studies WHERE study_id = :id FOR UPDATE")

_INSERTS: dict[str, Callable[[Table], postgresql.Insert | sqlite.Insert]] = {
    "postgresql": postgresql.insert,
    "sqlite": sqlite.insert,
}


class JoiningSessions(scoped_session[Session]):
    """The sessions of Optuna's storage, which join the open transaction, if there is one.

    Optuna commits each of its calls. Inside :func:`transaction` such a commit releases a savepoint
    and no more, so that several calls are kept, or lost, together.
    """

    def __init__(self, sessions: scoped_session[Session], engine: Engine) -> None:
        super().__init__(sessions.session_factory)
        self._engine = engine

    def __call__(self, **settings: Any) -> Session:
        connection = current_connection(self._engine)
        if connection is None:
            return super().__call__(**settings)
        if connection.invalidated:
            # Optuna retries some errors by itself; this one it does not.
            raise PendingRollbackError("the connection broke; the transaction is lost")
        # https://docs.sqlalchemy.org/en/21/orm/session_transaction.html
        #   #joining-a-session-into-an-external-transaction-such-as-for-test-suites
        return Session(bind=connection, join_transaction_mode="create_savepoint")


def current_connection(engine: Engine) -> Connection | None:
    """The connection of this thread's open transaction, if there is one."""
    return (_current.get() or {}).get(id(engine))


@contextmanager
def transaction(engine: Engine, study_id: int | None = None) -> Iterator[Connection]:
    """Make a block one write transaction: all of it is kept, or nothing.

    What the block reads stays true until it ends. On SQLite no other process writes meanwhile; on
    PostgreSQL none that names the same study. Inside another transaction the block joins that one.

    Args:
        engine: of the storage.
        study_id: the study whose trials, claims or workers are counted or changed.

    Yields:
        The connection. Calls of Optuna inside the block use it too.
    """
    outer = current_connection(engine)
    if outer is not None:
        yield outer
        return
    with engine.connect() as connection:
        connection = connection.execution_options(sqlite_begin="IMMEDIATE")
        with connection.begin(), _joined(engine, connection):
            if study_id is not None:
                lock_study(connection, study_id)
            yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Make a block one transaction that only reads, and sees one moment.

    Inside another transaction the block joins that one.

    Yields:
        The connection. Calls of Optuna inside the block use it too.
    """
    outer = current_connection(engine)
    if outer is not None:
        yield outer
        return
    with engine.connect() as connection:
        options: dict[str, Any] = {"sqlite_begin": "DEFERRED"}
        if engine.dialect.name != "sqlite":
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        connection = connection.execution_options(**options)
        with connection.begin(), _joined(engine, connection):
            yield connection


@contextmanager
def _joined(engine: Engine, connection: Connection) -> Iterator[None]:
    token = _current.set({**(_current.get() or {}), id(engine): connection})
    try:
        yield
    finally:
        _current.reset(token)


def lock_study(connection: Connection, study_id: int) -> None:
    """Let no other process change a study until the transaction ends."""
    # A write transaction of SQLite locks the whole file.
    if connection.dialect.name != "sqlite":
        connection.execute(_LOCK_STUDY, {"id": study_id})


def now(connection: Connection) -> float:
    """Seconds since 1970 by the database server's clock, by which processes judge each other.

    A SQLite file is used from one machine, whose clock it is.
    """
    if connection.dialect.name != "postgresql":
        return time.time()
    return float(
        connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
    )


def upsert(
    connection: Connection, table: Table, key: Collection[str], rows: Sequence[dict[str, Any]]
) -> None:
    """Insert rows, or replace those of the same key.

    Args:
        connection: of a write transaction.
        table: the table.
        key: columns that have a unique index together.
        rows: all with the same columns.
    """
    if rows:
        statement = _upsert(connection.dialect.name, table, tuple(key), tuple(rows[0]))
        connection.execute(statement, rows)


@cache
def _upsert(dialect: str, table: Table, key: tuple[str, ...], names: tuple[str, ...]) -> Insert:
    # Cached, since building a statement takes longer than executing it.
    statement = _INSERTS[dialect](table)
    replaced = {name: statement.excluded[name] for name in names if name not in key}
    return statement.on_conflict_do_update(index_elements=key, set_=replaced)
