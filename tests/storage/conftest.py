import optuna
import pytest

from storage import create_study, open_storage


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture
def url(tmp_path) -> str:
    return f"sqlite:///{tmp_path}/sweeps.db"


@pytest.fixture
def storage(url):
    return open_storage(url, create=True)


@pytest.fixture
def study(storage):
    return create_study(storage, "study", "maximize", lambda study: None)
