"""The same on a PostgreSQL server, which is restarted meanwhile, as if by a crash too."""

import time
from dataclasses import replace

import pytest

from tests.chaos.running import check_chaos, run_through_kills
from tests.storage.postgres import Server


@pytest.mark.parametrize("kills", [20, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.timeout(900)
def test_kills_and_restarts(server, settings, kills):
    _run(server, settings, kills, seconds_between_restarts=min(8, kills / 10))


@pytest.mark.nightly
@pytest.mark.timeout(0)
def test_kills_and_restarts_all_night(server, settings, request):
    kills = request.config.getoption("--kills", default=3000)
    _run(server, settings, kills, seconds_between_restarts=30)


def _run(server, settings, kills, seconds_between_restarts):
    restarts = _Restarts(server, seconds_between_restarts)
    with server.database() as url:
        story = run_through_kills(
            replace(settings, url=url, kills=kills), meanwhile=restarts.restart_if_due
        )
    print(f"PostgreSQL: {restarts.count} restarts, {story}")
    check_chaos(story, kills)
    assert restarts.count >= 2


class _Restarts:
    """Restarts a server, every other time as if it had crashed, some seconds later.

    Args:
        server: the server.
        seconds: between two restarts.
    """

    def __init__(self, server: Server, seconds: float) -> None:
        self._server = server
        self._seconds = seconds
        self._last = time.monotonic()
        self.count = 0

    def restart_if_due(self) -> None:
        if time.monotonic() - self._last < self._seconds:
            return
        self._server.stop("immediate" if self.count % 2 else "fast")
        time.sleep(self.count % 3)
        self._server.start()
        self.count += 1
        self._last = time.monotonic()
