"""Who only looks on is told soon that a server is away, and sees it again when it is back."""

import time

import optuna
import pytest

from storage import StorageError, create_study, open_storage
from sweeps.reporting.onlooker import Onlooker
from sweeps.study.attributes import SPEC
from tests.storage.postgres import running_server
from tests.sweeps.dashboards import Dashboard


@pytest.fixture(scope="module")
def server():
    with running_server() as server:
        yield server


@pytest.fixture
def url(server):
    with server.database() as url:
        yield url


@pytest.fixture
def made(url):
    """The URL of a storage with a study."""
    storage = open_storage(url, create=True)
    create_study(storage, "study", "maximize", lambda study: None)
    storage.engine.dispose()
    return url


def test_a_server_that_goes_away_is_told_at_once(server, made):
    onlooker = Onlooker(made, None)
    assert onlooker.look().study_name == "study"
    server.stop("immediate")
    began = time.monotonic()
    # Once with a storage that is open, then while it is opened.
    for _ in range(2):
        with pytest.raises(StorageError, match="does not answer"):
            onlooker.look()
    assert time.monotonic() - began < 5
    server.start()
    assert onlooker.look().study_name == "study"


def test_the_dashboard_answers_while_the_server_is_away(place, server, made):
    with Dashboard(place, SWEEPS_STORAGE=made) as dashboard:
        assert dashboard.ask("/api/studies").status == 200
        server.stop("immediate")
        began = time.monotonic()
        assert dashboard.ask("/api/studies").status == 500
        assert 4 < time.monotonic() - began < 30
        server.start()
        assert dashboard.ask("/api/studies").status == 200


class TestStudiesOfOtherOrigin:
    @pytest.fixture
    def study(self, tmp_path):
        self.url = str(tmp_path / "sweeps.db")
        storage = open_storage(self.url, create=True)
        return optuna.create_study(storage=storage, study_name="study", direction="maximize")

    def test_one_that_a_person_made_is_shown(self, study):
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
        assert Onlooker(self.url, None).look().finished == 2

    def test_one_that_is_just_being_made_is_waited_for(self, study):
        study.set_user_attr(SPEC, {})
        with pytest.raises(StorageError, match="just being made"):
            Onlooker(self.url, None).look()
