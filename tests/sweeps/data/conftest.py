"""A data folder of a test's own."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def leftovers(data_dir: Path) -> Callable[[], list[str]]:
    """What lies in the data folder, but for the locks' files."""
    return lambda: sorted(p.name for p in data_dir.glob("*") if p.suffix != ".lock")
