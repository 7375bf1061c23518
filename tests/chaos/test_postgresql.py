"""The same on a PostgreSQL server, which is restarted meanwhile, as if by a crash too."""

import time
from dataclasses import replace

import pytest

from tests.chaos.running import KILLS, check_chaos, count_epochs, run_through_kills
from tests.chaos.settings import ChaosSettings
from tests.storage.postgres import Server

_EPOCHS_BETWEEN_RESTARTS = 10


@pytest.mark.parametrize("kills", KILLS, indirect=True)
def test_kills_and_restarts(server, settings, kills):
    seconds = min(8, kills / 10) if kills <= 300 else 30
    restarts = _Restarts(server, settings, seconds)
    with server.database() as url:
        story = run_through_kills(
            replace(settings, url=url, kills=kills), meanwhile=restarts.restart_if_due
        )
    print(f"PostgreSQL: {restarts.count} restarts, {story}")
    check_chaos(story, kills)
    assert restarts.count >= 2


class _Restarts:
    """Restarts a server, every other time as if it had crashed, and up to two seconds later.

    Args:
        server: the server.
        settings: of the run, whose workers report some epochs between two restarts.
        seconds: between two restarts, at least.
    """

    def __init__(self, server: Server, settings: ChaosSettings, seconds: float) -> None:
        self._server = server
        self._settings = settings
        self._seconds = seconds
        self._last = time.monotonic()
        self._enough = 0
        self.count = 0

    def restart_if_due(self) -> None:
        if time.monotonic() - self._last < self._seconds:
            return
        # On a slow machine workers would otherwise do nothing but start.
        epochs = count_epochs(self._settings)
        if epochs < self._enough:
            return
        self._server.stop("immediate" if self.count % 2 else "fast")
        time.sleep(self.count % 3)
        self._server.start()
        self.count += 1
        self._last = time.monotonic()
        self._enough = epochs + _EPOCHS_BETWEEN_RESTARTS
