import shutil
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from storage import create_study, open_storage
from tests.storage.postgres import Server, running_server


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server that a test may stop and start."""
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def made_file(tmp_path_factory) -> Path:
    """A SQLite file with all tables; to make them takes longer than most tests."""
    path = tmp_path_factory.mktemp("made") / "sweeps.db"
    open_storage(str(path), create=True).engine.dispose()
    return path


@pytest.fixture(scope="session")
def made_database(server) -> Iterator[str]:
    """The name of a PostgreSQL database with all tables."""
    with server.database() as url:
        open_storage(url, create=True).engine.dispose()
        yield url.rsplit("/", 1)[1]


@pytest.fixture
def sqlite_url(request, tmp_path) -> str:
    path = tmp_path / "sweeps.db"
    if "storage" in request.fixturenames:
        shutil.copyfile(request.getfixturevalue("made_file"), path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgresql_url(request, server) -> Iterator[str]:
    made = ""
    if "storage" in request.fixturenames:
        made = request.getfixturevalue("made_database")
    with server.database(made) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request) -> str:
    """The URL of a database of each kind, which holds nothing, or tables for a test's storage."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def storage(url):
    storage = open_storage(url, create=True)
    yield storage
    storage.engine.dispose()


@pytest.fixture
def study(storage):
    return create_study(storage, "study", "maximize", lambda study: None)
