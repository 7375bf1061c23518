"""A small sweep that really runs: patterns of 16 pixels, seconds a trial."""

import copy
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError

from storage import open_storage, open_study
from sweeps.data import open_data
from sweeps.spec.data import DataConfig
from sweeps.spec.files import dump_yaml
from tests.sweeps.waiting import is_gone, wait_for

SMALL = {
    "name": "small",
    "budget": {"trials": 6},
    "data": {
        "name": "patterns",
        "size": 16,
        "train_limit": 300,
        "validation_limit": 200,
    },
    "training": {"epochs": 2, "batch_size": 50, "learning_rate": 0.05, "flip": False},
    "search": {
        "layer.growth": {"choice": [5, 7]},
        "layer.fade": {"float": [0.25, 4.0], "when": {"layer.growth": 7}},
        "layer.edge": {"float": [0.0, 1.0]},
        "layer.init_scale": {"float": [0.25, 4.0], "log": True},
    },
    "baselines": [
        {"name": "plain 3x3", "set": {"layer.dilation": 1, "layer.growth": 3}},
        {"name": "linear 5x5", "set": {"layer.growth": 5}},
    ],
    "sampler": {"name": "tpe", "startup_trials": 2},
    "pruner": {"name": "none"},
}


#: A sweep of a training loop of a person's own, which costs no time and no import of torch.
OWN = {
    "name": "own",
    "objective": "loops:train",
    "options": {"x": 0.5},
    "metric": {"name": "loss", "direction": "minimize"},
    "budget": {"trials": 3},
    "training": {"epochs": 2},
    "search": {"options.x": {"float": [-1.0, 1.0]}},
    "pruner": {"name": "none"},
}
LOOP = """
def train(context):
    for epoch in range(1, context.config.training.epochs + 1):
        context.report(epoch, loss=context.options["x"] ** 2 / epoch)
"""
#: A loop whose trials last until they are to stop.
WAITING = """
import time
from sweeps import Interrupted

def train(context):
    context.report(1, loss=1.0)
    while not context.should_stop():
        time.sleep(0.01)
    raise Interrupted
"""


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture(autouse=True)
def _own_modules(tmp_path_factory) -> Iterator[None]:
    """Forget the modules that a test wrote: another test may write some of the same names."""
    yield
    written = str(tmp_path_factory.getbasetemp())
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(written):
            del sys.modules[name]
    sys.path_importer_cache.clear()


@pytest.fixture
def small() -> dict[str, Any]:
    """The tree of a small spec, to be changed at will."""
    return copy.deepcopy(SMALL)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory) -> Path:
    """A data folder with small patterns in it."""
    folder = tmp_path_factory.mktemp("data")
    open_data(DataConfig(name="patterns"), folder, 16)
    return folder


@pytest.fixture(scope="session")
def patterns(data_dir):
    return open_data(DataConfig(name="patterns"), data_dir, 16)


class Place:
    """A working directory in which commands are run as a person would, in processes."""

    def __init__(self, folder: Path, data_dir: Path) -> None:
        self.folder = folder
        self._started: list[subprocess.Popen[str]] = []
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("SWEEPS_", "MAKE"))},
            "SWEEPS_DATA_DIR": str(data_dir),
            "NO_COLOR": "1",
            "PYTHONUNBUFFERED": "1",
        }
        self.environment.pop("COLUMNS", None)

    def write_spec(self, tree: dict[str, Any], name: str = "spec.yaml") -> str:
        (self.folder / name).write_text(dump_yaml(tree))
        return name

    def write_loop(self, loop: str = LOOP, **changes: Any) -> str:
        """Write a training loop, and a spec that sweeps it."""
        (self.folder / "loops.py").write_text(loop)
        return self.write_spec({**OWN, **changes})

    def study(self) -> optuna.Study:
        """The study in the folder's storage."""
        return open_study(open_storage(str(self.folder / "sweeps.db")))

    def wait_for_epochs(self, count: int, url: str = "") -> list[int]:
        """Wait until so many trials have finished an epoch; the processes of their workers.

        Args:
            count: how many.
            url: of the storage; empty for the folder's.
        """
        file = self.folder / "sweeps.db"
        engine = create_engine(url or f"sqlite:///{file}")
        query = "SELECT pid FROM sweeps_workers WHERE epoch >= 1 AND ended IS NULL"

        def reached() -> list[int] | None:
            if not (url or file.exists()):
                return None
            try:
                with engine.connect() as connection:
                    pids = [pid for (pid,) in connection.exec_driver_sql(query)]
            except DBAPIError:
                return None  # The tables are not made yet.
            pids = [pid for pid in pids if not is_gone(pid)]
            return pids if len(pids) >= count else None

        what = f"{count} trials past their first epoch"
        try:
            return wait_for(reached, what, seconds=120) or []
        finally:
            engine.dispose()

    def start(self, *arguments: str, **settings: Any) -> subprocess.Popen[str]:
        settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | settings
        process = subprocess.Popen(
            [sys.executable, "-m", "sweeps", *arguments],
            cwd=self.folder,
            env=self.environment,
            text=True,
            **settings,
        )
        self._started.append(process)
        return process

    def run(self, *arguments: str, timeout: float = 150) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.terminate()
            out, err = process.communicate(timeout=60)
            pytest.fail(f"{arguments} took more than {timeout} s\n{out}\n{err}")
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def leave(self) -> None:
        """Let nothing that a test which failed has started run on under the others."""
        for process in self._started:
            if process.poll() is None:
                # Its workers end with it.
                process.kill()
                process.wait()


@pytest.fixture
def place(tmp_path, data_dir) -> Iterator[Place]:
    place = Place(tmp_path, data_dir)
    yield place
    place.leave()


@pytest.fixture
def cli(monkeypatch, capsys, tmp_path) -> Callable[..., tuple[int, str, str]]:
    """The command line in this process, in an empty folder: exit status, stdout, stderr."""
    from sweeps.cli import main

    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("SWEEPS_"):
            monkeypatch.delenv(name)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sweeps", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        captured = capsys.readouterr()
        return int(left.value.code or 0), captured.out, captured.err

    return call
