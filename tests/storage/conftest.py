from collections.abc import Iterator

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


@pytest.fixture
def sqlite_url(tmp_path) -> str:
    return f"sqlite:///{tmp_path}/sweeps.db"


@pytest.fixture
def postgresql_url(server) -> Iterator[str]:
    with server.database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request) -> str:
    """The URL of a database of each kind, which holds nothing yet."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def storage(url):
    storage = open_storage(url, create=True)
    yield storage
    storage.engine.dispose()


@pytest.fixture
def study(storage):
    return create_study(storage, "study", "maximize", lambda study: None)
