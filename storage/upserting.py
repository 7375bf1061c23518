"""Rows that are made, or replaced where they are there already."""

from collections.abc import Callable, Collection, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, Table
from sqlalchemy.dialects import postgresql, sqlite

_INSERTS: dict[str, Callable[[Table], postgresql.Insert | sqlite.Insert]] = {
    "postgresql": postgresql.insert,
    "sqlite": sqlite.insert,
}


def upsert(
    connection: Connection, table: Table, key: Collection[str], rows: Sequence[dict[str, Any]]
) -> None:
    """Make rows, or replace those of the same key.

    Args:
        connection: of a write transaction.
        table: where.
        key: columns that have a unique index together.
        rows: all with the same columns.
    """
    if rows:
        statement = _statement(connection.dialect.name, table, tuple(key), tuple(rows[0]))
        connection.execute(statement, rows)


@cache
def _statement(dialect: str, table: Table, key: tuple[str, ...], names: tuple[str, ...]) -> Insert:
    # Kept, since to put a statement together takes longer than to execute it.
    statement = _INSERTS[dialect](table)
    replaced = {name: statement.excluded[name] for name in names if name not in key}
    return statement.on_conflict_do_update(index_elements=key, set_=replaced)
