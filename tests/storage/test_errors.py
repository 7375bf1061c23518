"""Errors of the database: which are transient, and what a person can do about them."""

import sqlite3

import psycopg
import pytest
from sqlalchemy.exc import OperationalError, ProgrammingError

from storage import explain
from storage.errors import is_transient

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (sqlite3.OperationalError("database or disk is full"), "the disk is full"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "read-only"),
        (sqlite3.OperationalError("database disk image is malformed"), "damaged"),
        (psycopg.errors.DiskFull("No space left on device"), "disk is full"),
        (psycopg.errors.TooManyConnections("too many clients"), "raise its max_connections"),
        (psycopg.OperationalError("sorry, too many clients already"), "raise its max_connections"),
        (psycopg.OperationalError("no pg_hba.conf entry for host"), "pg_hba.conf"),
        (psycopg.OperationalError('role "x" does not exist'), "no such user"),
        (psycopg.OperationalError("fe_sendauth: no password supplied"), "asks for a password"),
        (psycopg.errors.LockNotAvailable("due to lock timeout"), "another session holds a lock"),
        (psycopg.errors.AdminShutdown("terminating connection"), "does not answer"),
    ],
)
def test_they_are_explained_with_their_remedy(error, remedy):
    wrapped = RuntimeError("during the commit")
    wrapped.__cause__ = OperationalError("SELECT", {"password": SECRET}, error)
    assert remedy in str(explain(wrapped, "here"))
    assert SECRET not in str(explain(wrapped, "here"))


@pytest.mark.parametrize(
    "error",
    [
        KeyError("x"),
        ProgrammingError("SELECT", {}, psycopg.errors.SyntaxError("at or near")),
    ],
)
def test_a_programming_error_is_not_explained_away(error):
    assert explain(error, "here") is None


@pytest.mark.parametrize(
    ("message", "transient"),
    [
        ("can't change 'autocommit' now: connection in transaction status ACTIVE", True),
        ("can't adapt type 'dict'", False),
    ],
)
def test_a_connection_that_a_signal_interrupted_is_replaced(message, transient):
    error = psycopg.ProgrammingError(message)
    assert is_transient(ProgrammingError("SELECT 1", {}, error)) is transient
