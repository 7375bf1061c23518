"""The time by which processes judge each other: the database's, which is one for all of them."""

import time

from sqlalchemy import Connection, text


def now(connection: Connection) -> float:
    """Seconds since 1970, by the database server's clock.

    A SQLite file is used from one machine, whose clock it is.
    """
    if connection.dialect.name != "postgresql":
        return time.time()
    return float(
        connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
    )
