"""Storage URLs: what a person types, what SQLAlchemy wants, what may be shown."""

from pathlib import Path

import sqlalchemy
from sqlalchemy.engine import URL, make_url

from storage.errors import StorageError

DEFAULT_URL = "sqlite:///sweeps.db"


def parse_url(text: str) -> URL:
    """Read a storage URL; a plain path stands for the SQLite file at that path.

    Raises:
        StorageError: the text is no URL, or no kind of database that is supported.
    """
    if "://" not in text:
        return URL.create("sqlite", database=text)
    try:
        url = make_url(text)
    except sqlalchemy.exc.ArgumentError:
        raise StorageError(f"{text}: not a storage URL; one looks like {DEFAULT_URL}") from None
    if url.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise StorageError(f"{show_url(url)}: {url.drivername} is not supported; use {DEFAULT_URL}")
    if not url.database or url.database == ":memory:":
        raise StorageError(
            f"{text}: a storage in memory cannot be shared by workers; name a file: {DEFAULT_URL}"
        )
    return url


def sqlite_path(url: URL) -> Path:
    """The file behind a SQLite URL."""
    assert url.database is not None
    return Path(url.database)


def absolute_url(url: URL) -> URL:
    """The same storage, whatever the working directory."""
    return url.set(database=str(sqlite_path(url).absolute()))


def show_url(url: URL) -> str:
    """The URL without its password."""
    return url.render_as_string(hide_password=True)
