"""What is read as a storage URL, and what is shown of it."""

import pytest

from storage import (
    StorageError,
    absolute_url,
    has_secret,
    open_storage,
    parse_url,
    show_url,
)

SECRET = "hunter2"


class TestPostgreSQL:
    @pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
    def test_every_name_of_it_is_read(self, scheme):
        url = parse_url(f"{scheme}://me:{SECRET}@host:5433/sweeps")
        assert url.render_as_string(hide_password=False) == (
            f"postgresql+psycopg://me:{SECRET}@host:5433/sweeps"
        )
        assert absolute_url(url) == url
        assert show_url(url) == "postgresql://me:***@host:5433/sweeps"

    @pytest.mark.parametrize(
        "text",
        [
            f"postgresql://me:{SECRET}@host/sweeps",
            f"postgresql://me@host/sweeps?password={SECRET}&sslmode=require",
            f"postgresql:///sweeps?host=/run&sslpassword={SECRET}",
        ],
    )
    def test_a_password_is_not_shown(self, text):
        shown = show_url(parse_url(text))
        assert SECRET not in shown
        assert "sweeps" in shown
        assert parse_url(shown)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (f"postgresql://me:{SECRET}@host", "names no database; .*/DATABASE"),
            (f"postgresql+psycopg2://me:{SECRET}@host/x", "psycopg2 is not supported; use postgr"),
            (f"mysql://me:{SECRET}@host/x", "mysql is not supported; use sqlite"),
            (f"postgresql://me:p@{SECRET}@host/x", "more than one @; .* %40"),
            (f"postgresql://me:p@{SECRET}?w@host/x", "more than one @; .* %40"),
            (f"sqlite://me:{SECRET}@host/x.db", "names a host; a file comes after three slashes"),
            (f"postgresql://me:{SECRET}@host:port/x", r"not a storage URL.*%2F"),
            (f"postgresql://host:port/x?password={SECRET}", r"not a storage URL"),
        ],
    )
    def test_what_cannot_work_is_refused_without_the_password(self, text, reason):
        with pytest.raises(StorageError, match=reason) as caught:
            open_storage(text)
        assert SECRET not in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_an_at_in_its_percent_form_is_read(self):
        url = parse_url("postgresql://m%40e:p%40ss@host/d%40b")
        assert (url.username, url.password, url.host, url.database) == (
            "m@e",
            "p@ss",
            "host",
            "d@b",
        )

    @pytest.mark.parametrize(
        ("text", "secret"),
        [
            (f"postgresql://me:{SECRET}@host/x", True),
            (f"postgresql://me@host/x?password={SECRET}", True),
            (f"postgresql://me@host/x?sslpassword={SECRET}", True),
            ("postgresql://me@host/x", False),
            ("postgresql://me@host/x?sslmode=require", False),
            ("my/sweeps.db", False),
        ],
    )
    def test_a_password_is_seen(self, text, secret):
        assert has_secret(text) is secret

    @pytest.mark.parametrize("query", ["service=cluster", "host=/run&dbname=sweeps"])
    def test_the_database_may_be_named_elsewhere(self, query):
        assert parse_url(f"postgresql://?{query}").query


def test_a_path_stands_for_its_sqlite_file(tmp_path):
    assert parse_url("some/file.db").render_as_string() == "sqlite:///some/file.db"
    open_storage(str(tmp_path / "plain.db"), create=True)
    assert (tmp_path / "plain.db").exists()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite:///:memory:", "in memory"),
        ("sqlite://", "in memory"),
        ("sqlite://sweeps.db", "three slashes"),
        ("://", "not a storage URL"),
    ],
)
def test_urls_that_cannot_work_are_refused(url, reason):
    with pytest.raises(StorageError, match=reason):
        open_storage(url)
