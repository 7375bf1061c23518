"""What every engine promises, with workers that do nothing: here, on a real Ray, in submitit."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import uuid
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from sweeps.engines import find_slots, make_engine
from sweeps.engines.devices import Slot
from sweeps.errors import SweepsError
from sweeps.reporting import show_log
from tests.sweeps.fake_workers import (
    ROOT,
    Orders,
    fake_plan,
    processes_with,
    slots,
)
from tests.sweeps.ray_clusters import ray_cluster
from tests.sweeps.waiting import is_gone, wait_for

ENGINES = ("local", "ray", "slurm")


@pytest.fixture(scope="module", autouse=True)
def _importable():
    """What runs workers elsewhere finds the tests' modules; nothing asks the network for a home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("RAY_AUTH_MODE", "disabled")
        yield


@pytest.fixture(autouse=True)
def said():
    """What engines log: their workers' lines, and what happens to them."""
    said = []
    with show_log(said.append):
        yield said


@pytest.fixture(scope="module")
def ray_address(tmp_path_factory):
    """A Ray cluster of one host, on the loopback interface."""
    pytest.importorskip("ray")
    with ray_cluster(tmp_path_factory.mktemp("ray")) as address:
        yield address


class Running:
    """An engine with two workers."""

    def __init__(self, name, folder, settings, places=None):
        self.plan = fake_plan(folder)
        self.orders = Orders(self.plan)
        self.engine = make_engine(name, self.plan, places or slots(2), **settings)

    def wait_for_exits(self, count=1, seconds=40):
        exits = []

        def poll():
            exits.extend(self.engine.poll())
            return len(exits) >= count

        wait_for(poll, f"{count} workers to end", seconds)
        return sorted(exits, key=lambda exit: exit.name)


def settings_of(name, request):
    if name == "ray":
        return {"address": request.getfixturevalue("ray_address")}
    if name == "slurm":
        pytest.importorskip("submitit")
        return {"cluster": "local"}
    return {}


@pytest.fixture(params=ENGINES)
def running(request, tmp_path):
    workers = Running(request.param, tmp_path, settings_of(request.param, request))
    try:
        workers.engine.start()
        for name in ("worker-0", "worker-1"):
            workers.orders.wait_for_start(name)
        yield workers
    finally:
        workers.engine.kill()


def test_a_worker_in_every_slot_is_heard_and_stops_when_asked(running, said):
    def heard():
        assert running.engine.poll() == []
        return {f"worker-{i}: hello from worker-{i}" for i in range(2)} <= set(said)

    wait_for(heard, "both to be heard")
    assert running.engine.running == 2
    pids = [running.orders.pids(name)[0] for name in ("worker-0", "worker-1")]
    assert [running.orders.note(pid)[:2] for pid in pids] == [["cpu", running.plan.storage_url]] * 2

    running.engine.stop()
    exits = running.wait_for_exits(2, seconds=60)
    assert [(exit.name, exit.status, exit.last_line) for exit in exits] == [
        ("worker-0", 0, "checkpointed"),
        ("worker-1", 0, "checkpointed"),
    ]
    assert "worker-1: checkpointed" in said
    assert running.engine.running == 0
    assert all(is_gone(pid) for pid in pids)


def test_a_worker_that_ends_is_told_of_once_and_its_slot_is_free(running):
    running.orders.end("worker-0", 3)
    (exit,) = running.wait_for_exits()
    assert (exit.name, exit.status) == ("worker-0", 3)
    assert exit.last_line == "these are my last words"
    assert running.engine.running == 1
    running.engine.restart("worker-0")
    running.orders.wait_for_start("worker-0", times=2)
    assert running.engine.running == 2
    assert running.engine.poll() == []
    assert len(running.orders.pids("worker-1")) == 1


def test_a_killed_worker_is_told_of_or_started_again_below(running, said):
    pid = running.orders.pids("worker-1")[0]
    os.kill(pid, signal.SIGKILL)
    if running.engine.restarts_workers:
        again = running.orders.wait_for_start("worker-1", times=2)
        assert again != pid
        assert running.engine.poll() == []
        told = "worker-1: was killed by signal 9; started again"
        wait_for(lambda: running.engine.poll() or told in said, "the restart to be told of")
        assert running.engine.running == 2
        running.engine.stop()
        assert [exit.status for exit in running.wait_for_exits(2)] == [0, 0]
    else:
        (exit,) = running.wait_for_exits()
        assert (exit.name, exit.status) == ("worker-1", -signal.SIGKILL)


def test_kill_ends_what_is_deaf_or_suspended_and_its_children(running):
    child = running.orders.make_deaf("worker-0")
    pids = [running.orders.pids(name)[0] for name in ("worker-0", "worker-1")]
    os.kill(pids[1], signal.SIGSTOP)
    running.engine.kill()
    assert running.engine.running == 0
    assert running.engine.poll() == []
    for pid in [*pids, child]:
        wait_for(lambda pid=pid: is_gone(pid), f"the end of {pid}", seconds=10)
    running.engine.kill()


@pytest.mark.parametrize("running", ["local"], indirect=True)
def test_workers_outlive_their_fork_server_and_start_without_it(running):
    pids = [running.orders.pids(name)[0] for name in ("worker-0", "worker-1")]
    (server,) = {
        process.pid
        for process in psutil.Process().children(recursive=True)
        if "sweeps.engines.forkserver" in process.cmdline() and process.pid not in pids
    }
    os.kill(server, signal.SIGKILL)
    running.orders.end("worker-0", 0)
    running.wait_for_exits()
    running.engine.restart("worker-0")
    running.orders.wait_for_start("worker-0", times=2)
    assert running.engine.poll() == []
    assert running.orders.pids("worker-1") == [pids[1]]


def driver_script(name, folder, settings):
    """A program that runs an engine until it is killed."""
    return textwrap.dedent(f"""
        import time
        from pathlib import Path
        from sweeps.engines import make_engine
        from tests.sweeps.fake_workers import fake_plan, slots

        plan = fake_plan(Path({str(folder)!r}))
        engine = make_engine({name!r}, plan, slots(2), **{settings!r})
        engine.start()
        while True:
            engine.poll()
            time.sleep(0.1)
    """)


@contextmanager
def on_ray(address, folder, places):
    workers = Running("ray", folder, {"address": address}, places)
    try:
        workers.engine.start()
        yield workers
    finally:
        workers.engine.kill()


def test_ray_gives_every_worker_its_share_of_a_gpu(ray_address, tmp_path):
    with on_ray(ray_address, tmp_path, [Slot("cuda:0", 1, 0.5)] * 4) as running:
        pids = [running.orders.wait_for_start(f"worker-{i}") for i in range(4)]
        notes = [running.orders.note(pid) for pid in pids]
    assert {device for device, _, _ in notes} == {"cuda:0"}
    assert sorted(visible for _, _, visible in notes) == ["0", "0", "1", "1"]


def test_workers_that_find_no_room_in_a_ray_cluster_stop_too(
    ray_address, tmp_path, monkeypatch, said
):
    with on_ray(ray_address, tmp_path, slots(5)) as running:
        started = running.orders.folder
        wait_for(lambda: len(list(started.glob("*.pid.*"))) == 4, "those with room to start")
        monkeypatch.setattr("sweeps.engines.ray._ROOM_SECONDS", 0.0)
        told = "1 of 5 workers wait for room in the Ray cluster"
        wait_for(lambda: running.engine.poll() or told in said, "the lack to be told of")
        assert running.engine.running == 5
        running.engine.stop()
        exits = running.wait_for_exits(5, seconds=60)
        assert [exit.status for exit in exits] == [0] * 5
        assert sorted(exit.last_line for exit in exits)[1:] == ["checkpointed"] * 4


def test_a_ray_actor_whose_host_is_lost_is_told_of_and_can_be_started_again(ray_address, tmp_path):
    with on_ray(ray_address, tmp_path, slots(1)) as running:
        pid = running.orders.wait_for_start("worker-0")
        actor = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(actor, signal.SIGKILL)
        (exit,) = running.wait_for_exits()
        assert (exit.name, exit.status) == ("worker-0", -signal.SIGKILL)
        wait_for(lambda: is_gone(pid), "the end of the worker without an actor")
        running.engine.restart("worker-0")
        running.orders.wait_for_start("worker-0", times=2)
        running.orders.end("worker-0", 0)
        (exit,) = running.wait_for_exits()
        assert (exit.status, exit.last_line) == (0, "these are my last words")


def test_a_ray_cluster_ends_the_workers_of_an_engine_that_is_killed(ray_address, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    script = driver_script("ray", tmp_path, {"address": ray_address})
    driver = subprocess.Popen([sys.executable, "-c", script], env=environment, cwd=tmp_path)
    try:
        notes = tmp_path / "notes"
        wait_for(lambda: len(list(notes.glob("*.pid.*"))) == 2, "the workers to start", seconds=90)
        pids = [int(path.suffix[1:]) for path in notes.glob("*.pid.*")]
    finally:
        driver.kill()
        driver.wait()
    wait_for(lambda: all(is_gone(pid) for pid in pids), "the workers' end", seconds=40)


def test_a_ray_cluster_that_is_not_there_is_refused():
    pytest.importorskip("ray")
    from sweeps.engines.ray import connect

    with pytest.raises(SweepsError, match="--ray-address nonsense: cannot join this Ray"):
        connect("nonsense")
    with socket.socket() as bound:
        # Nobody listens there.
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(SweepsError, match=f"{address}: cannot join this Ray: .*refused"):
            connect(address)


@pytest.mark.slow
@pytest.mark.parametrize("running", ["slurm"], indirect=True)
def test_a_job_gives_its_worker_up_in_the_end(running):
    for times in range(1, 22):
        os.kill(running.orders.wait_for_start("worker-0", times), signal.SIGKILL)
    (exit,) = running.wait_for_exits()
    assert (exit.name, exit.status) == ("worker-0", -signal.SIGKILL)
    assert exit.last_line == "hello from worker-0"
    assert len(running.orders.pids("worker-0")) == 21


@pytest.mark.parametrize("name", ["local", "slurm"])
def test_workers_do_not_outlive_an_engine_that_is_killed(name, tmp_path):
    """Nor do submitit's processes."""
    marker = uuid.uuid4().hex
    settings = {"slurm": {"cluster": "local", "lifeline_seconds": 6.0}}.get(name, {})
    driver = subprocess.Popen(
        [sys.executable, "-c", driver_script(name, tmp_path, settings)],
        env={**os.environ, "MARKER": marker},
        cwd=tmp_path,
    )
    try:
        started = lambda: len(list((tmp_path / "notes").glob("*.pid.*"))) == 2  # noqa: E731
        wait_for(started, "the workers to start", seconds=90)
        assert len(processes_with(marker)) >= 3
    finally:
        driver.kill()
        driver.wait()
    wait_for(lambda: not processes_with(marker), "the end of all processes", seconds=60)


def _refused(name):
    with pytest.raises(SweepsError) as refusal:
        find_slots(name, "auto", 1, 1, storage_url="sweeps.db")
    return str(refusal.value)


@pytest.mark.parametrize("name", ["ray", "slurm"])
def test_an_engine_whose_extra_is_missing_says_how_to_get_it(monkeypatch, name):
    monkeypatch.setattr("sweeps.engines.find_spec", lambda name: None)
    needed = f"--engine {name} needs the extra: pip install 'interpodil[{name}]'"
    assert _refused(name) == needed


def test_an_engine_that_does_not_exist_is_refused():
    assert _refused("dask") == "--engine dask: use one of local, ray, slurm"
