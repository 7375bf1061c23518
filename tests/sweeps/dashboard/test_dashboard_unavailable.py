"""The dashboard while its database server is unavailable."""

import time

from storage import create_study, open_storage
from tests.storage.postgres import running_server
from tests.sweeps.dashboards import Dashboard


def test_the_dashboard_answers_while_the_server_is_unavailable_and_after(place):
    with running_server() as server, server.database() as url:
        storage = open_storage(url, create=True)
        create_study(storage, "study", "maximize", lambda study: None)
        storage.engine.dispose()
        with Dashboard(place, SWEEPS_STORAGE=url) as dashboard:
            assert dashboard.ask("/api/studies").status == 200
            server.stop("immediate")
            began = time.monotonic()
            assert dashboard.ask("/api/studies").status == 500
            assert 4 < time.monotonic() - began < 30
            server.start()
            assert dashboard.ask("/api/studies").status == 200
