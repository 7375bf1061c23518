"""PostgreSQL: how its sessions are set, and checks before a database is used."""

import math
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, text
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from storage.errors import StorageError, explaining
from storage.url import show_url

#: The oldest release that is not refused.
OLDEST_RELEASE = 12

#: The server ends a session that is idle in a transaction for so long: its process is suspended, or
#: its machine is gone, and all others would wait for its locks.
IDLE_TRANSACTION_SECONDS = 30

_CONNECT_ARGUMENTS = {
    "application_name": "sweeps",
    "client_encoding": "utf8",
    "connect_timeout": 10,
    # A server that is gone without a word is noticed within a minute, and within ten seconds while
    # a statement waits for it.
    "keepalives": 1,
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "options": f"-c idle_in_transaction_session_timeout={IDLE_TRANSACTION_SECONDS}s",
}


def engine_settings(url: URL) -> dict[str, Any]:
    """SQLAlchemy's settings of an engine that stays connected; the URL's own settings win."""
    given = {name: value for name, value in _CONNECT_ARGUMENTS.items() if name not in url.query}
    # A worker has two threads that call; more connections are made when they are needed.
    return {"connect_args": given, "pool_pre_ping": True, "pool_size": 2, "max_overflow": 20}


def hurry_connecting(parameters: dict[str, Any], seconds: float) -> None:
    """Limit how long a new connection waits for the server."""
    # The client's least timeout is two seconds.
    parameters["connect_timeout"] = max(2, math.ceil(seconds))
    parameters["tcp_user_timeout"] = int(seconds * 1000)


def hurry(connection: Connection, seconds: float) -> None:
    """Limit how long a statement of a new transaction may take."""
    # 0 would mean no limit.
    milliseconds = max(1, int(seconds * 1000))
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = {milliseconds}")


def check(url: URL, *, must_exist: bool) -> None:
    """Refuse a database that cannot be used as a storage, without changing it.

    Args:
        url: where it is.
        must_exist: refuse one that holds no storage yet.

    Raises:
        StorageError: it cannot be reached or used; the message says why, in one line.
    """
    where = show_url(url)
    settings = {"connect_args": engine_settings(url)["connect_args"], "poolclass": NullPool}
    with explaining(where), sqlalchemy.create_engine(url, **settings).connect() as connection:
        _check_release(connection, where)
        _check_tables(connection, where, must_exist)


def _check_release(connection: Connection, where: str) -> None:
    release = connection.dialect.server_version_info
    assert release is not None
    if release < (OLDEST_RELEASE,):
        raise StorageError(
            f"{where}: is PostgreSQL {release[0]}, older than {OLDEST_RELEASE}; use a newer server"
        )


def _check_tables(connection: Connection, where: str, must_exist: bool) -> None:
    if connection.execute(text("SHOW transaction_read_only")).scalar_one() == "on":
        raise StorageError(
            f"{where}: the server takes no changes (a standby?); name the primary server in the URL"
        )
    schema, may_create, role, studies, optuna = connection.execute(
        text(
            "SELECT current_schema(), has_schema_privilege(current_schema(), 'CREATE'),"
            " current_user, to_regclass('studies'), to_regclass('version_info')"
        )
    ).one()
    if studies is not None and optuna is None:
        raise StorageError(
            f"{where}: is the database of another program (its table studies is not Optuna's); "
            "make one for sweeps with createdb"
        )
    if optuna is not None:
        return
    if must_exist:
        raise StorageError(
            f"{where}: no such storage; `sweeps run` makes one there, --storage names another"
        )
    if schema is None:
        raise StorageError(
            f"{where}: has no schema that {role} may use; let its owner CREATE SCHEMA "
            f"AUTHORIZATION {role}"
        )
    if not may_create:
        raise StorageError(
            f"{where}: {role} may not make tables there; let the database's owner GRANT CREATE ON "
            f"SCHEMA {schema} TO {role}"
        )
