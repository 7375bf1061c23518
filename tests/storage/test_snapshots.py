"""Storages are read without being changed, or refused in one clear line."""

import itertools
import sqlite3

import pytest

from storage import (
    StorageError,
    back_up,
    check_contents,
    copy_studies,
    create_study,
    open_storage,
    open_study,
    parse_url,
)


def _read(url, tmp_path):
    """What opens a storage, or reads it without changing it."""
    return {
        "open": lambda: open_storage(url),
        "check": lambda: check_contents(url),
        "backup": lambda: back_up(url, tmp_path / "backup.db"),
        "copy": lambda: copy_studies(url, parse_url(str(tmp_path / "copy.db"))),
    }


def _refused(action, said):
    with pytest.raises(StorageError, match=said) as caught:
        action()
    assert "\n" not in str(caught.value)


NEWER = "UPDATE sweeps_schema SET version = 99", "schema is version 99, .* newer release"
OLDER = "UPDATE sweeps_schema SET version = 2", "older release.* `sweeps status` brings it"
NEWER_OPTUNA = (
    "UPDATE alembic_version SET version_num = 'v9.9.9.a'",
    "newer Optuna .*v9.9.9.a.* install a newer|Please try updating optuna",
)
OLDER_OPTUNA = (
    "UPDATE alembic_version SET version_num = 'v3.0.0.a'",
    "optuna storage upgrade",
)
LACKING = "DROP TABLE trial_params", "lacks the table trial_params: restore"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        *itertools.product(["open", "copy"], [NEWER, NEWER_OPTUNA, OLDER_OPTUNA]),
        ("check", NEWER),
        *itertools.product(["check", "copy"], [OLDER, LACKING]),
    ],
)
def test_another_schema_is_refused_and_nothing_is_left(url, storage, study, tmp_path, name, change):
    statement, said = change
    with storage.engine.begin() as connection:
        connection.exec_driver_sql(statement)
    before = set(tmp_path.glob("*.db"))
    _refused(_read(parse_url(url), tmp_path)[name], said)
    assert set(tmp_path.glob("*.db")) == before


# An empty file is a SQLite database to which tables may be added: it is opened, but not read.
EMPTY = b"", "holds no storage"
FILES = [
    (None, "no such storage"),
    (b"not a database, however long it may be" * 100, "not a SQLite database"),
    (b"SQLite format 3\x00" + b"\xff" * 5000, "cannot be read|damaged|not a SQLite"),
]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        *itertools.product(["open", "check", "backup", "copy"], FILES),
        *itertools.product(["check", "backup", "copy"], [EMPTY]),
    ],
)
def test_files_that_are_no_storage(tmp_path, name, file):
    content, said = file
    path = tmp_path / "sweeps.db"
    if content is not None:
        path.write_bytes(content)
    _refused(_read(parse_url(str(path)), tmp_path)[name], said)
    assert sorted(tmp_path.iterdir()) == ([path] if content is not None else [])
    assert content is None or path.read_bytes() == content


@pytest.mark.parametrize("name", ["open", "check", "backup", "copy"])
def test_another_program_s_database(tmp_path, name):
    path = tmp_path / "sweeps.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE invoices (id INTEGER)")
    connection.close()
    before = path.read_bytes()
    _refused(_read(parse_url(str(path)), tmp_path)[name], "another program .*invoices")
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["open", "check", "copy"])
def test_an_empty_server_database(postgresql_url, tmp_path, name):
    _refused(_read(parse_url(postgresql_url), tmp_path)[name], "no such storage")


def test_a_target_that_cannot_be_is_refused(sqlite_url, tmp_path):
    create_study(open_storage(sqlite_url, create=True), "study", "maximize", lambda study: None)
    foreign = tmp_path / "foreign.db"
    foreign.write_text("not a database at all, not even a little")
    for target, said in (
        (foreign, "not a SQLite database"),
        (tmp_path / "nowhere" / "copy.db", "does not exist; create it first"),
    ):
        url = parse_url(str(target))
        _refused(lambda: copy_studies(parse_url(sqlite_url), url), said)  # noqa: B023
    assert open_study(open_storage(sqlite_url)).study_name == "study"
