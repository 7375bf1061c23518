import shutil
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from storage import create_study, open_storage, open_study
from tests.storage.postgres import Server, running_server
from tests.storage.rich_study import NAME, make_rich_study


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server that a test may stop and start."""
    with running_server() as server:
        yield server


def _make(url: str, is_rich: bool = False) -> None:
    """Make a database with all tables; to make them takes longer than most tests."""
    storage = open_storage(url, create=True)
    if is_rich:
        make_rich_study(storage)
    storage.engine.dispose()


@pytest.fixture(scope="session")
def made_files(tmp_path_factory) -> Path:
    """A folder with the SQLite files of which tests get copies."""
    folder = tmp_path_factory.mktemp("made")
    _make(f"{folder}/empty.db")
    _make(f"{folder}/rich.db", is_rich=True)
    return folder


@pytest.fixture(scope="session")
def made_databases(server) -> Iterator[dict[str, str]]:
    """The names of the PostgreSQL databases of which tests get copies."""
    with server.database() as empty, server.database() as rich:
        _make(empty)
        _make(rich, is_rich=True)
        yield {"empty": empty.rsplit("/", 1)[1], "rich": rich.rsplit("/", 1)[1]}


def _kind(request) -> str:
    """What a test's database holds to begin with."""
    names = request.fixturenames
    return "rich" if "rich" in names else "empty" if "storage" in names else ""


@pytest.fixture
def sqlite_url(request, tmp_path) -> str:
    path, kind = tmp_path / "sweeps.db", _kind(request)
    if kind:
        shutil.copyfile(request.getfixturevalue("made_files") / f"{kind}.db", path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgresql_url(request, server) -> Iterator[str]:
    kind = _kind(request)
    with server.database(request.getfixturevalue("made_databases")[kind] if kind else "") as url:
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


@pytest.fixture
def rich(storage):
    """A study with something of everything."""
    return open_study(storage, NAME)
