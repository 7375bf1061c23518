"""Workers that do nothing but what a test tells them, for the tests of engines: the test's side."""

import os
import sys
from pathlib import Path

from sweeps.engines import WorkerPlan
from sweeps.engines.devices import Slot
from tests.sweeps.waiting import wait_for

ROOT = Path(__file__).parents[2]


class FakePlan(WorkerPlan):
    """Runs ``fake_worker.py``; its ``data_dir`` is the folder for notes and orders."""

    def command(self, name: str, slot: Slot) -> list[str]:
        script = ROOT / "tests/sweeps/fake_worker.py"
        return [sys.executable, str(script), str(self.data_dir), name, slot.device]


def fake_plan(folder: Path) -> FakePlan:
    (folder / "notes").mkdir()
    places = (folder / "notes", folder / "checkpoints")
    return FakePlan("fake", "sqlite:///nowhere.db", *places, 30, None, preload="json")


class Orders:
    """A test's side."""

    def __init__(self, plan: WorkerPlan) -> None:
        self.folder = plan.data_dir

    def pids(self, name: str) -> list[int]:
        """The processes that were this worker, the oldest first."""
        notes = sorted(self.folder.glob(f"{name}.pid.*"), key=lambda path: path.stat().st_mtime_ns)
        return [int(path.suffix[1:]) for path in notes]

    def wait_for_start(self, name: str, times: int = 1) -> int:
        return wait_for(
            lambda: self.pids(name) if len(self.pids(name)) >= times else None,
            f"{name} to start for the {times}. time",
        )[-1]

    def note(self, pid: int) -> list[str]:
        """Device, storage and visible GPUs that a worker found."""
        (path,) = self.folder.glob(f"*.pid.{pid}")
        return path.read_text().splitlines()

    def end(self, name: str, status: int) -> None:
        self._order(name, str(status))

    def make_deaf(self, name: str) -> int:
        """Let a worker stop for nothing but SIGKILL, and have a child; the child's number."""
        self._order(name, "deaf")
        path = self.folder / f"{name}.child"
        return int(wait_for(lambda: path.exists() and path.read_text(), "the child"))

    def _order(self, name: str, text: str) -> None:
        beside = self.folder / f"{name}.new"
        beside.write_text(text)
        beside.rename(self.folder / f"{name}.order")


def processes_with(marker: str) -> dict[int, str]:
    """Processes that have a word in their environment, and what they are."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "environ").read_bytes():
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    found.pop(os.getpid(), None)
    return found


def slots(count: int) -> list[Slot]:
    return [Slot("cpu", 1)] * count
