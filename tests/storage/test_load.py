"""Many workers on one SQLite file, while a dashboard is open and read."""

import http.client
import threading
import time
from dataclasses import replace

import pytest

from tests.chaos.checks import check_everything, tell_story
from tests.chaos.running import run_to_end
from tests.chaos.settings import ChaosSettings
from tests.sweeps.conftest import Place
from tests.sweeps.dashboards import Dashboard

_LOOK_SECONDS = 0.2


class _Reader:
    """Reads a study as an open page does, again and again, from a thread.

    Args:
        dashboard: where it is shown.
    """

    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self.statuses: list[int] = []
        self.longest = 0.0

    def __enter__(self) -> "_Reader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finished.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._finished.wait(_LOOK_SECONDS):
            began = time.monotonic()
            try:
                answer = self._dashboard.ask("/api/studies/1?after=0", Accept_Encoding="identity")
                self.statuses.append(answer.status)
            except (OSError, http.client.HTTPException):
                self.statuses.append(0)
            self.longest = max(self.longest, time.monotonic() - began)


# Half a minute of two cores. The quick tests hold eight workers to the same in `tests/chaos`.
@pytest.mark.slow
def test_sixteen_workers_and_an_open_dashboard(tmp_path):
    settings = ChaosSettings(
        url=f"sqlite:///{tmp_path}/sweeps.db", folder=str(tmp_path), workers=16, target=12
    )
    # So that there is a study to look at.
    run_to_end(settings)
    place = Place(tmp_path, tmp_path)
    with Dashboard(place) as dashboard, _Reader(dashboard) as reader:
        run_to_end(replace(settings, target=80))
    check_everything(settings)
    story = tell_story(settings)
    print(f"{story}; {len(reader.statuses)} reads, the longest {reader.longest:.2f} s")
    assert not story.errors
    assert story.outcomes["lost"] == 0
    assert story.starts == 32
    assert len(reader.statuses) > 10
    assert set(reader.statuses) == {200}
