"""A storage as it is at one moment, read without changing anything, not even by making tables."""

import functools
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import optuna
import sqlalchemy
from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from storage import postgresql, sqlite
from storage.errors import DATABASE_ERRORS, StorageError, explain
from storage.schema import SCHEMA_VERSION, schema_table
from storage.url import is_sqlite, show_url, sqlite_path

#: Optuna's tables.
OPTUNA_TABLES = optuna.storages._rdb.models.BaseModel.metadata

_BUSY_SECONDS = 60.0


@contextmanager
def telling(where: str) -> Iterator[None]:
    """Turn what a database says inside a block into one line.

    Raises:
        StorageError: it said something about its state.
    """
    try:
        yield
    except DATABASE_ERRORS as error:
        raise explain(error, where) or error from None


@contextmanager
def snapshot(url: URL) -> Iterator[Connection]:
    """Read a storage as it is now, while others go on writing.

    Yields:
        A connection in one transaction that reads only. What goes wrong in the block is not told
        here: it may be about another storage.

    Raises:
        StorageError: it cannot be read, holds no storage, or one of another schema.
    """
    where = show_url(url)
    if is_sqlite(url):
        sqlite.check(url, must_exist=True, writable=False)
    else:
        postgresql.check(url, must_exist=True)
    with _engine(url).connect() as connection:
        with telling(where):
            if is_sqlite(url):
                connection.exec_driver_sql("BEGIN")
            else:
                connection = connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
                # It holds no lock that others wait for, so it may take its time.
                connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            check_schema(connection, where)
        yield connection


def has_table(connection: Connection, name: str) -> bool:
    """Whether there is such a table: those of ours are missing where `sweeps` never wrote."""
    return sqlalchemy.inspect(connection).has_table(name)


def optuna_version(connection: Connection) -> str:
    """The version of Optuna's tables; empty where it is not noted."""
    if not has_table(connection, "alembic_version"):
        return ""
    query = text("SELECT version_num FROM alembic_version")
    return str(connection.execute(query).scalar() or "")


def check_schema(connection: Connection, where: str) -> None:
    """Refuse tables of other versions than this program's.

    Raises:
        StorageError: they are of another, or some are missing.
    """
    tables = set(sqlalchemy.inspect(connection).get_table_names())
    if not tables:
        raise StorageError(
            f"{where}: holds no storage; `sweeps run` makes one, --storage names another"
        )
    missing = sorted(set(OPTUNA_TABLES.tables) - tables)
    if missing:
        raise StorageError(
            f"{where}: lacks the table {missing[0]}: restore a backup; where a set-up was cut off, "
            "`sweeps status` finishes it"
        )
    version = optuna_version(connection)
    head, *older = _known_versions()
    if version in older:
        raise StorageError(
            f"{where}: was made by an older Optuna (schema {version}); bring it up to date with "
            "`optuna storage upgrade --storage URL`"
        )
    if version not in (head, ""):
        raise StorageError(
            f"{where}: was made by a newer Optuna (schema {version}, known here is {head}); "
            "install a newer Optuna"
        )
    ours = None
    if schema_table.name in tables:
        ours = connection.execute(sqlalchemy.select(schema_table.c.version)).scalar()
    if ours is not None and ours > SCHEMA_VERSION:
        raise StorageError(
            f"{where}: its schema is version {ours}, this program knows version {SCHEMA_VERSION}; "
            "install a newer release"
        )


@functools.cache
def _known_versions() -> list[str]:
    """The versions of Optuna's tables that this Optuna knows, its own first."""
    versions: list[str] = optuna.storages.RDBStorage("sqlite:///:memory:").get_all_versions()
    return versions


def _engine(url: URL) -> Engine:
    settings: dict[str, Any] = {"poolclass": NullPool}
    if not is_sqlite(url):
        settings["connect_args"] = postgresql.engine_settings(url)["connect_args"]
        return sqlalchemy.create_engine(url, **settings)
    return sqlalchemy.create_engine("sqlite://", creator=lambda: read_only(url), **settings)


def read_only(url: URL) -> sqlite3.Connection:
    """A connection to a SQLite file that cannot change it, nor make it."""
    place = sqlite_path(url).absolute().as_uri()
    return sqlite3.connect(
        f"{place}?mode=ro", uri=True, timeout=_BUSY_SECONDS, check_same_thread=False
    )
