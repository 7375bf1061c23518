"""What a forked process has in common with one that is started by its command."""

import sys

import pytest

from sweeps.engines.forkserver import ForkServer
from sweeps.engines.process import WorkerProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux has fork servers")


@pytest.fixture
def server():
    server = ForkServer()
    server.start("numpy.random", 1)
    yield server
    server.close()


def run(server, folder, script, count=1):
    """Run a script in processes at once: the lines that they write, and their exit statuses."""
    (folder / "script.py").write_text(script)
    lines = []
    command = [sys.executable, str(folder / "script.py")]
    processes = [WorkerProcess(command, {}, lines.append, server) for _ in range(count)]
    return [process.wait(20) for process in processes], lines


@pytest.mark.parametrize(
    "draw", ["import random; print(random.random())", "import numpy; print(numpy.random.rand())"]
)
def test_processes_draw_random_numbers_of_their_own(server, tmp_path, draw):
    statuses, lines = run(server, tmp_path, draw, count=2)
    assert statuses == [0, 0]
    assert len(set(lines)) == 2


@pytest.mark.parametrize(
    ("script", "status", "lines"),
    [
        ("print('done')", 0, ["done"]),
        ("import sys; print('done'); sys.exit(3)", 3, ["done"]),
        ("import sys; sys.exit('no luck')", 1, ["no luck"]),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, []),
    ],
)
def test_how_a_process_ends_is_told(server, tmp_path, script, status, lines):
    assert run(server, tmp_path, script) == ([status], lines)
