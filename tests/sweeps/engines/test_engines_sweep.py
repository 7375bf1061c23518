"""Sweeps that really run on each engine: on a Ray of their own, and in submitit's local jobs."""

import os
import shutil
import signal
import sqlite3
import time
import uuid
from pathlib import Path

import optuna
import pytest

from tests.sweeps.fake_workers import processes_in, processes_with
from tests.sweeps.waiting import is_gone, wait_for

ENGINES = {
    "ray": ("--engine", "ray"),
    "slurm": ("--engine", "slurm", "--slurm-cluster", "local"),
}


@pytest.fixture
def marked(place):
    """A word that all processes of a place have in their environment."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    marker = uuid.uuid4().hex
    # Ray keeps its sockets there, whose paths must not be long.
    temporary = Path(f"/tmp/{marker[:8]}")
    temporary.mkdir()
    place.environment |= {"MARKER": marker, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
    yield marker
    for pid in processes_with(marker):
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(temporary)


def working(place, count):
    """The processes that are past a trial's first epoch, once there are so many."""

    def reached():
        try:
            with sqlite3.connect(place.folder / "sweeps.db", timeout=30) as database:
                query = "SELECT pid FROM sweeps_workers WHERE epoch >= 1 AND ended IS NULL"
                pids = [pid for (pid,) in database.execute(query) if not is_gone(pid)]
        except sqlite3.OperationalError:
            return None  # The tables are not made yet.
        return pids if len(pids) >= count else None

    return wait_for(reached, f"{count} trials past their first epoch", seconds=120)


def listening(pids):
    """Addresses at which some processes wait for others, as the kernel writes them."""
    sockets = set()
    for pid in pids:
        for handle in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                sockets.add(os.readlink(handle))
            except OSError:
                continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                found.add(fields[1].split(":")[0])
    return found


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_a_killed_worker_costs_no_trial(place, small, marked, engine):
    small["training"]["epochs"] = 12
    spec = place.write_spec(small)
    run = place.start("run", spec, "--workers", "2", "--trials", "4", *ENGINES[engine])
    killed = working(place, 2)[0]
    if engine == "ray":
        loopback = {"0100007F", "0000000000000000FFFF00000100007F"}
        assert listening(processes_with(marked)) <= loopback
    os.kill(killed, signal.SIGKILL)
    out, err = run.communicate(timeout=200)
    assert run.returncode == 0, err
    assert "4 of 4 trials" in out
    assert "was killed by signal 9" in err
    states = [trial.state.name for trial in place.study().trials]
    assert sorted(states) == ["COMPLETE"] * 4 + ["FAIL"]
    assert not processes_with(marked)
    assert not list(Path(place.environment["TMPDIR"]).glob("ray-*"))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_ctrl_c_leaves_nothing_running(place, small, marked, engine):
    small["training"]["epochs"] = 500
    spec = place.write_spec(small)
    run = place.start("run", spec, "--workers", "2", *ENGINES[engine], start_new_session=True)
    working(place, 2)
    before = time.monotonic()
    if engine == "ray":
        # A terminal sends its Ctrl-C to all processes of the group.
        os.killpg(run.pid, signal.SIGINT)
    else:
        # SLURM's jobs are not of the group, as submitit's stand-ins for them are.
        run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert time.monotonic() - before < 15
    assert run.returncode == 130, err
    assert "Traceback" not in err
    assert not processes_with(marked)
    assert "RUNNING" not in {trial.state.name for trial in place.study().trials}


@pytest.mark.slow
@pytest.mark.parametrize("what", ["actors and workers", "gcs_server", "raylet"])
def test_a_ray_that_hangs_holds_up_no_stop(place, small, marked, what):
    small["training"]["epochs"] = 500
    spec = place.write_spec(small)
    run = place.start("run", spec, "--workers", "2", *ENGINES["ray"])
    workers = working(place, 2)
    wanted = "WorkerActor" if what == "actors and workers" else f"/{what} "
    hanging = [pid for pid, command in processes_with(marked).items() if wanted in command]
    assert hanging
    if what == "actors and workers":
        hanging += workers
    for pid in hanging:
        os.kill(pid, signal.SIGSTOP)
    before = time.monotonic()
    run.send_signal(signal.SIGTERM)
    _, err = run.communicate(timeout=60)
    assert time.monotonic() - before < 15
    assert run.returncode == 143, err
    assert "Traceback" not in err
    wait_for(lambda: not processes_with(marked), "the end of all it started", seconds=60)
    assert "RUNNING" not in {trial.state.name for trial in place.study().trials}


@pytest.mark.slow
def test_a_killed_run_on_ray_leaves_nothing_and_loses_nothing(place, small, marked):
    small["training"]["epochs"] = 500
    spec = place.write_spec(small)
    run = place.start("run", spec, "--workers", "2", *ENGINES["ray"])
    working(place, 2)
    sessions = {os.getsid(pid) for pid in processes_with(marked)} - {os.getsid(0)}
    run.kill()
    run.communicate()
    left = lambda: processes_with(marked) or processes_in(sessions)  # noqa: E731
    wait_for(lambda: not left(), "the end of all it started", seconds=60)
    assert not list(Path(place.environment["TMPDIR"]).glob("ray-*"))
    trials = place.study().get_trials(deepcopy=False)
    # Its workers have put their trials away by themselves.
    outcomes = [trial.user_attrs.get("outcome") for trial in trials]
    assert outcomes == ["interrupted", "interrupted", None, None]


@pytest.mark.slow
def test_a_preempted_job_goes_on_with_its_trial(place, small, marked):
    small["training"]["epochs"] = 40
    small["baselines"] = []
    spec = place.write_spec(small)
    run = place.start("run", spec, "--workers", "1", "--trials", "1", *ENGINES["slurm"])
    (worker,) = working(place, 1)
    jobs = [pid for pid, what in processes_with(marked).items() if "submitit.core._submit" in what]
    # SLURM announces a preemption to all processes of the job.
    for pid in (*jobs, worker):
        os.kill(pid, signal.SIGUSR2)
    out, err = run.communicate(timeout=200)
    assert run.returncode == 0, err
    assert "1 of 1 trials" in out
    assert is_gone(worker)
    trials = place.study().trials
    assert [trial.state.name for trial in trials] == ["FAIL", "COMPLETE"]
    assert trials[0].params == trials[1].params
    assert not processes_with(marked)
