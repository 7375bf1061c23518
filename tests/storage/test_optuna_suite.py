"""Optuna's own test suite for storages, on ours."""

import pytest
from optuna.storages import get_storage
from optuna.testing.pytest_storages import StorageTestCase

from storage import open_storage


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def opened(request, tmp_path_factory):
    """A storage of each kind; to make Optuna's tables takes longer than most of its tests."""
    if request.param == "sqlite":
        yield open_storage(str(tmp_path_factory.mktemp("suite") / "sweeps.db"), create=True)
        return
    with request.getfixturevalue("server").database() as url:
        storage = open_storage(url, create=True)
        yield storage
        storage.engine.dispose()


@pytest.fixture
def storage(opened):
    yield opened
    for study in opened.get_all_studies():
        opened.delete_study(study._study_id)
    opened.remove_session()


class TestHardenedStorage(StorageTestCase):
    """As it is."""


@pytest.mark.parametrize("opened", ["sqlite"], indirect=True)
class TestCachedStorage(StorageTestCase):
    """Behind the cache that Optuna puts before it for a study."""

    @pytest.fixture
    def storage(self, storage):
        return get_storage(storage)
