"""Storages are read without being changed, or refused in one clear line."""

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
    """What reads a storage without changing it."""
    return {
        "check": lambda: check_contents(url),
        "backup": lambda: back_up(url, tmp_path / "backup.db"),
        "copy": lambda: copy_studies(url, parse_url(str(tmp_path / "copy.db"))),
    }


def _refused(action, said):
    with pytest.raises(StorageError, match=said) as caught:
        action()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["check", "copy"])
class TestOfAnotherSchema:
    @pytest.fixture(autouse=True)
    def _study(self, study, storage):
        self.storage = storage

    def change(self, statement):
        with self.storage.engine.begin() as connection:
            connection.exec_driver_sql(statement)

    def test_a_newer_one_of_ours(self, url, tmp_path, name):
        self.change("UPDATE sweeps_schema SET version = 99")
        _refused(_read(parse_url(url), tmp_path)[name], "schema is version 99, .* newer release")
        _refused(lambda: open_storage(url), "schema is version 99, .* newer release")

    def test_a_newer_one_of_optuna(self, url, tmp_path, name):
        self.change("UPDATE alembic_version SET version_num = 'v9.9.9.a'")
        _refused(_read(parse_url(url), tmp_path)[name], "newer Optuna .*v9.9.9.a.* install a newer")
        _refused(lambda: open_storage(url), "Please try updating optuna")

    def test_an_older_one_of_optuna(self, url, tmp_path, name):
        self.change("UPDATE alembic_version SET version_num = 'v3.0.0.a'")
        _refused(_read(parse_url(url), tmp_path)[name], "older Optuna .*optuna storage upgrade")
        _refused(lambda: open_storage(url), "optuna storage upgrade")

    def test_a_table_is_missing(self, url, tmp_path, name):
        self.change("DROP TABLE trial_params")
        _refused(_read(parse_url(url), tmp_path)[name], "lacks the table trial_params: restore")

    def test_nothing_is_left_by_a_refusal(self, url, tmp_path, name):
        before = {path for path in tmp_path.iterdir() if path.suffix == ".db"}
        self.change("UPDATE sweeps_schema SET version = 99")
        _refused(_read(parse_url(url), tmp_path)[name], "newer release")
        assert {path for path in tmp_path.iterdir() if path.suffix == ".db"} == before


@pytest.mark.parametrize("name", ["check", "backup", "copy"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such storage"),
        (b"", "holds no storage"),
        (b"not a database, however long it may be" * 100, "not a SQLite database"),
        (b"SQLite format 3\x00" + b"\xff" * 5000, "cannot be read|damaged|not a SQLite"),
    ],
)
def test_files_that_are_no_storage(tmp_path, name, content, said):
    path = tmp_path / "sweeps.db"
    if content is not None:
        path.write_bytes(content)
    _refused(_read(parse_url(str(path)), tmp_path)[name], said)
    assert sorted(tmp_path.iterdir()) == ([path] if content is not None else [])
    assert content is None or path.read_bytes() == content


@pytest.mark.parametrize("name", ["check", "backup", "copy"])
def test_another_program_s_database(tmp_path, name):
    path = tmp_path / "sweeps.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE invoices (id INTEGER)")
    connection.close()
    before = path.read_bytes()
    _refused(_read(parse_url(str(path)), tmp_path)[name], "another program .*invoices")
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["check", "copy"])
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
