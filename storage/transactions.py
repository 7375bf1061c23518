"""Transactions that hold several statements, Optuna's among them."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import PendingRollbackError
from sqlalchemy.orm import Session, scoped_session

_current: ContextVar[dict[int, Connection] | None] = ContextVar("current", default=None)


class JoiningSessions(scoped_session[Session]):
    """The sessions of Optuna's storage, which join the transaction that is open, if one is.

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
            # Said here, it is not taken by Optuna for an error that another try may mend.
            raise PendingRollbackError("the connection broke; the transaction is lost")
        # https://docs.sqlalchemy.org/en/21/orm/session_transaction.html
        #   #joining-a-session-into-an-external-transaction-such-as-for-test-suites
        return Session(bind=connection, join_transaction_mode="create_savepoint")


def current_connection(engine: Engine) -> Connection | None:
    """The connection of the transaction that is open in this thread, if one is."""
    return (_current.get() or {}).get(id(engine))


@contextmanager
def transaction(engine: Engine, study_id: int | None = None) -> Iterator[Connection]:
    """One write transaction around a block: all of it is kept, or nothing.

    Whatever the block reads stays true until it ends. On SQLite no other process writes meanwhile;
    on other databases none that names the same study.

    Args:
        engine: of the storage.
        study_id: the study whose trials, claims or workers are counted or changed.

    Yields:
        The connection. Calls of Optuna inside the block use it too.
    """
    open_already = current_connection(engine)
    if open_already is not None:
        yield open_already
        return
    with engine.connect() as connection:
        connection = connection.execution_options(begin_immediate=True)
        with connection.begin():
            if study_id is not None and engine.dialect.name != "sqlite":
                # The row that Optuna locks too when it makes a trial.
                query = text("SELECT study_id FROM studies WHERE study_id = :id FOR UPDATE")
                connection.execute(query, {"id": study_id})
            token = _current.set({**(_current.get() or {}), id(engine): connection})
            try:
                yield connection
            finally:
                _current.reset(token)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection to read with: that of the transaction that is open, or another."""
    open_already = current_connection(engine)
    if open_already is not None:
        yield open_already
        return
    with engine.connect() as connection:
        yield connection
