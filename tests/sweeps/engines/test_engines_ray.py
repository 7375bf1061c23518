"""A Ray of the engine's own: its start, and its end before its time."""

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from sweeps.engines import make_engine
from sweeps.errors import SweepsError
from tests.sweeps.fake_workers import ROOT, Orders, fake_plan, processes_in, slots
from tests.sweeps.ray_clusters import ray_cluster
from tests.sweeps.waiting import wait_for

ray = pytest.importorskip("ray")


@pytest.fixture
def temporary(monkeypatch):
    """Where Ray writes; short, for the paths of its sockets."""
    folder = Path(f"/tmp/{uuid.uuid4().hex[:8]}")
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    folder.rmdir()


@pytest.fixture
def engine(tmp_path, temporary):
    """An engine of two workers that has just been told to start a Ray."""
    engine = make_engine("ray", fake_plan(tmp_path), slots(2), print)
    engine.start()
    yield engine
    engine.kill()


def host_of(engine):
    return engine._own._host.pid


def test_it_starts_in_the_background_and_ends_with_all_it_started(engine, tmp_path):
    orders = Orders(engine._plan)
    assert engine.running == 2
    assert engine.poll() == []
    host = host_of(engine)
    wait_for(lambda: engine.poll() == [] and orders.pids("worker-1"), "the workers to start")
    orders.wait_for_start("worker-0")
    engine.kill()
    assert engine.running == 0
    assert not ray.is_initialized()
    assert processes_in({host}) == []
    engine.kill()


@pytest.mark.parametrize(
    "processes", [2, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 3, 5))]
)
def test_it_can_be_ended_while_it_starts(engine, processes):
    host = host_of(engine)
    wait_for(lambda: len(processes_in({host})) >= processes, "so many to be there")
    engine.stop()
    assert engine.running == 0
    engine.kill()
    assert processes_in({host}) == []


@pytest.mark.slow
def test_another_can_be_joined_after_it(engine, tmp_path, monkeypatch):
    """Ray shows the token of the one to the other if it is let, and then waits for ever."""
    wait_for(lambda: engine.poll() == [] and ray.is_initialized(), "it to be joined")
    engine.kill()
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    folder = tmp_path / "other"
    folder.mkdir()
    with ray_cluster(folder) as address:
        other = make_engine("ray", fake_plan(folder), slots(1), print, address=address)
        try:
            other.start()
            Orders(other._plan).wait_for_start("worker-0")
        finally:
            other.kill()


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_one_that_ends_before_its_time_is_told_of(engine, number):
    orders = Orders(engine._plan)
    host = host_of(engine)
    wait_for(lambda: engine.poll() == [] and orders.pids("worker-1"), "the workers to start")
    os.kill(host, number)
    with pytest.raises(SweepsError, match="--engine ray: Ray has ended; run it again to go on"):
        wait_for(engine.poll, "the loss to be told of")
    engine.kill()
    wait_for(lambda: not processes_in({host}), "the end of what it left", seconds=60)


def test_one_that_does_not_start_says_why(tmp_path, monkeypatch):
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    monkeypatch.setattr("sweeps.engines.ray.own._make_folder", lambda: str(folder))
    engine = make_engine("ray", fake_plan(tmp_path), slots(1), print)
    engine.start()
    with pytest.raises(SweepsError, match=r"Ray does not start here: .*107") as refusal:
        wait_for(engine.poll, "a word of it")
    assert "\n" not in str(refusal.value)
    engine.kill()
    assert not folder.exists()


def test_one_whose_process_cannot_run_says_why(tmp_path, temporary, monkeypatch):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho It is broken >&2\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    engine = make_engine("ray", fake_plan(tmp_path), slots(1), print)
    engine.start()
    with pytest.raises(SweepsError, match="Ray does not start here: It is broken"):
        wait_for(engine.poll, "a word of it")
    engine.kill()


def test_a_signal_that_comes_while_it_starts_ends_a_sweep(place, small, temporary):
    place.environment["TMPDIR"] = str(temporary)
    spec = place.write_spec(small)
    run = place.start("run", spec, "--workers", "1", "--engine", "ray", stdout=subprocess.DEVNULL)
    for line in run.stderr:
        if "Starting a Ray" in line:
            break
    run.send_signal(signal.SIGTERM)
    _, err = run.communicate(timeout=15)
    assert run.returncode == 143, err
    assert "Traceback" not in err
    assert list(temporary.iterdir()) == []
