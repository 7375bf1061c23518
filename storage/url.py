"""Storage URLs: what a person types, what SQLAlchemy wants, what may be shown."""

import re
from pathlib import Path

import sqlalchemy
from sqlalchemy.engine import URL, make_url

from storage.errors import StorageError

DEFAULT_URL = "sqlite:///sweeps.db"
SERVER_URL = "postgresql://USER:PASSWORD@HOST/DATABASE"

_SQLITE = ("sqlite", "sqlite+pysqlite")
_POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")
_SECRETS = ("password", "sslpassword")


def parse_url(text: str) -> URL:
    """Read a storage URL; a plain path stands for the SQLite file at that path.

    Raises:
        StorageError: the text is no URL, or no kind of database that is supported.
    """
    if "://" not in text:
        return URL.create("sqlite", database=text)
    try:
        url = make_url(text)
    # A port that is no number is a plain ValueError.
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise StorageError(
            f"{_hide_secrets(text)}: not a storage URL; one looks like {DEFAULT_URL} or "
            f"{SERVER_URL}, where signs such as @ : / in a password are written %40 %3A %2F"
        ) from None
    if _has_stray_at(text):
        raise StorageError(
            f"{_hide_secrets(text)}: more than one @; one in a user's name, a password or a "
            "database's name is written %40"
        )
    if url.drivername in _POSTGRESQL:
        return _check_postgresql(url.set(drivername="postgresql+psycopg"))
    if url.drivername not in _SQLITE:
        use = (
            "postgresql://"
            if url.get_backend_name().startswith("postgres")
            else f"{DEFAULT_URL} or postgresql://HOST/NAME"
        )
        raise StorageError(f"{show_url(url)}: {url.drivername} is not supported; use {use}")
    if url.host or url.username or url.password:
        raise StorageError(
            f"{_hide_secrets(text)}: names a host; a file comes after three slashes: {DEFAULT_URL}"
        )
    if not url.database or url.database == ":memory:":
        raise StorageError(
            f"{text}: a storage in memory cannot be shared by workers; name a file: {DEFAULT_URL}"
        )
    return url


def is_sqlite(url: URL) -> bool:
    """Whether the URL is that of a SQLite file; otherwise it is that of a PostgreSQL server."""
    return url.get_backend_name() == "sqlite"


def sqlite_path(url: URL) -> Path:
    """The file behind a SQLite URL."""
    assert url.database is not None
    return Path(url.database)


def absolute_url(url: URL) -> URL:
    """The same storage, whatever the working directory."""
    if not is_sqlite(url):
        return url
    return url.set(database=str(sqlite_path(url).absolute()))


def has_secret(text: str) -> bool:
    """Whether a URL holds a password, which others on this machine see in a command line.

    Raises:
        StorageError: it is no storage URL.
    """
    url = parse_url(text)
    return bool(url.password) or any(url.query.get(name) for name in _SECRETS)


def show_url(url: URL) -> str:
    """The URL without its password, as a person would type it."""
    if url.drivername == "postgresql+psycopg":
        url = url.set(drivername="postgresql")
    hidden = {name: "***" for name in _SECRETS if name in url.query}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


def _check_postgresql(url: URL) -> URL:
    # A service is a section of ~/.pg_service.conf, which names the database too.
    if not url.database and not {"dbname", "service"} & set(url.query):
        raise StorageError(
            f"{show_url(url)}: names no database; add it at the end, as in {SERVER_URL}"
        )
    return url


def _has_stray_at(text: str) -> bool:
    """Whether an ``@`` stands behind the one that ends the password.

    Programs differ in which of several it is: the rest of the password would be shown as a host.
    """
    place = text.partition("://")[2]
    if place.startswith("/"):
        return False
    host, _, query = place.partition("@")[2].partition("?")
    return "@" in host or "@" in query.partition("=")[0]


def _hide_secrets(text: str) -> str:
    """Hide what may be a password in a text that cannot be read as a URL."""
    text = re.sub(r"(://[^:@/]*:)(?:.*(?=@)|[^/]*)", r"\1***", text)
    return re.sub(rf"\b({'|'.join(_SECRETS)})=[^&]*", r"\1=***", text)
