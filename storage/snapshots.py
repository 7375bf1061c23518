"""A storage as it is at one moment, read without changing anything, not even by making tables."""

import functools
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy
from optuna.storages import RDBStorage
from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from storage import postgresql, sqlite
from storage.errors import StorageError, explaining
from storage.schema import OPTUNA_TABLES, SCHEMA_VERSION, refuse_version, schema_table
from storage.url import is_sqlite, show_url, sqlite_path

_BUSY_SECONDS = 60.0


@contextmanager
def snapshot(url: URL) -> Iterator[Connection]:
    """Read a storage as it is now, while others go on writing.

    Yields:
        A connection in one transaction that only reads. Database errors of the block are not
        explained here: they may be about another storage.

    Raises:
        StorageError: it cannot be read, holds no storage, or one of another schema.
    """
    where = show_url(url)
    if is_sqlite(url):
        sqlite.check(url, must_exist=True, writable=False)
    else:
        postgresql.check(url, must_exist=True)
    with _engine(url).connect() as connection:
        with explaining(where):
            if is_sqlite(url):
                connection.exec_driver_sql("BEGIN")
            else:
                connection = connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
                # It holds no lock that others wait for, so it may take its time.
                connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            _check_schema(connection, where)
        yield connection


def read_only(url: URL) -> sqlite3.Connection:
    """A connection to a SQLite file that neither changes nor makes it."""
    place = sqlite_path(url).absolute().as_uri()
    return sqlite3.connect(
        f"{place}?mode=ro", uri=True, timeout=_BUSY_SECONDS, check_same_thread=False
    )


def refuse_older_schema(connection: Connection, where: str) -> None:
    """Refuse tables that are not of today's form, or not all there.

    Raises:
        StorageError: they are of an older release, or of Optuna alone.
    """
    if schema_version(connection) != SCHEMA_VERSION:
        raise StorageError(
            f"{where}: was made by an older release, or by Optuna alone; `sweeps status` brings it "
            "up to date"
        )


def schema_version(connection: Connection) -> int | None:
    """The version of our tables; ``None`` where there are none."""
    if not sqlalchemy.inspect(connection).has_table(schema_table.name):
        return None
    return connection.execute(sqlalchemy.select(schema_table.c.version)).scalar()


def optuna_schema_version(connection: Connection) -> str:
    """The version of Optuna's tables; empty where it is not noted."""
    if not sqlalchemy.inspect(connection).has_table("alembic_version"):
        return ""
    query = text("SELECT version_num FROM alembic_version")
    return str(connection.execute(query).scalar() or "")


def _check_schema(connection: Connection, where: str) -> None:
    """Refuse tables of versions that this program cannot read."""
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
    version = optuna_schema_version(connection)
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
    refuse_version(schema_version(connection) or 0, where)


@functools.cache
def _known_versions() -> list[str]:
    """The versions of Optuna's tables that this Optuna knows, its own first."""
    versions: list[str] = RDBStorage("sqlite:///:memory:").get_all_versions()
    return versions


def _engine(url: URL) -> Engine:
    settings: dict[str, Any] = {"poolclass": NullPool}
    if not is_sqlite(url):
        settings["connect_args"] = postgresql.engine_settings(url)["connect_args"]
        return sqlalchemy.create_engine(url, **settings)
    return sqlalchemy.create_engine("sqlite://", creator=lambda: read_only(url), **settings)
