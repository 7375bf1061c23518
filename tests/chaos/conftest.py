from collections.abc import Iterator

import pytest

from tests.chaos.settings import ChaosSettings
from tests.storage.postgres import Server, running_server

NIGHTLY_KILLS = 3000


def pytest_addoption(parser):
    parser.addoption(
        "--kills",
        type=int,
        default=NIGHTLY_KILLS,
        help="how many workers the nightly tests kill on each database",
    )


@pytest.fixture
def kills(request) -> int:
    """How many workers a test kills: what it says, or what the command line says."""
    return request.param or request.config.getoption("--kills", default=NIGHTLY_KILLS)


@pytest.fixture
def settings(tmp_path) -> ChaosSettings:
    """A run on SQLite."""
    return ChaosSettings(url=f"sqlite:///{tmp_path}/sweeps.db", folder=str(tmp_path))


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server
