"""Sweeps that really run on each engine: on a Ray cluster, and in submitit's local jobs."""

import os
import signal
import time
import uuid

import pytest

from tests.sweeps.fake_workers import processes_with
from tests.sweeps.ray_clusters import ray_cluster
from tests.sweeps.waiting import is_gone, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def marked(place):
    """A word that all processes of a place have in their environment."""
    marker = uuid.uuid4().hex
    place.environment |= {"MARKER": marker, "OMP_NUM_THREADS": "1"}
    yield marker
    for pid in processes_with(marker):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def on_ray(place, marked, monkeypatch, tmp_path_factory):
    """The options to run on a Ray cluster of one host."""
    pytest.importorskip("ray")
    # So that its workers are found too.
    monkeypatch.setenv("MARKER", marked)
    with ray_cluster(tmp_path_factory.mktemp("ray")) as address:
        settings = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
        place.environment |= {**settings, "RAY_ADDRESS": address}
        yield ("--engine", "ray", "--devices", "cpu")


@pytest.fixture(params=["ray", "slurm"])
def engine(request):
    if request.param == "ray":
        return request.getfixturevalue("on_ray")
    pytest.importorskip("submitit")
    request.getfixturevalue("marked")
    return ("--engine", "slurm", "--slurm-cluster", "local")


def workers_left(marker):
    """The processes of workers, and of submitit's jobs."""
    words = ("sweeps worker", "submitit")
    return [pid for pid, what in processes_with(marker).items() if any(w in what for w in words)]


def test_a_killed_worker_costs_no_trial(place, small, marked, engine):
    small["training"]["epochs"] = 12
    spec = place.write_spec(small)
    run = place.start("run", spec, "--workers", "2", "--trials", "2", *engine)
    os.kill(place.wait_for_epochs(2)[0], signal.SIGKILL)
    out, err = run.communicate(timeout=200)
    assert run.returncode == 0, err
    assert "2 of 2 trials" in out
    assert "was killed by signal 9" in err
    states = [trial.state.name for trial in place.study().trials]
    assert sorted(states) == ["COMPLETE"] * 2 + ["FAIL"]
    assert not workers_left(marked)


def test_ctrl_c_leaves_no_worker(place, small, marked, engine):
    small["training"]["epochs"] = 500
    spec = place.write_spec(small)
    run = place.start("run", spec, "--workers", "2", *engine, start_new_session=True)
    place.wait_for_epochs(2)
    before = time.monotonic()
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert time.monotonic() - before < 15
    assert run.returncode == 130, err
    assert "Traceback" not in err
    assert not workers_left(marked)
    assert "RUNNING" not in {trial.state.name for trial in place.study().trials}


@pytest.mark.parametrize("what", ["actors and workers", "gcs_server", "raylet"])
def test_a_ray_cluster_that_hangs_holds_up_no_stop(place, small, marked, on_ray, what):
    small["training"]["epochs"] = 500
    spec = place.write_spec(small)
    run = place.start("run", spec, "--workers", "2", *on_ray)
    workers = place.wait_for_epochs(2)
    wanted = "WorkerActor" if what == "actors and workers" else f"/{what} "
    hanging = [pid for pid, command in processes_with(marked).items() if wanted in command]
    assert hanging
    if what == "actors and workers":
        hanging += workers
    for pid in hanging:
        os.kill(pid, signal.SIGSTOP)
    before = time.monotonic()
    run.send_signal(signal.SIGTERM)
    try:
        _, err = run.communicate(timeout=60)
        assert time.monotonic() - before < 15
        assert run.returncode == 143, err
        assert "Traceback" not in err
    finally:
        for pid in hanging:
            if not is_gone(pid):
                os.kill(pid, signal.SIGCONT)
    wait_for(lambda: not workers_left(marked), "the workers' end", seconds=60)


def test_a_preempted_job_resumes_its_trial(place, small, marked):
    pytest.importorskip("submitit")
    small["training"]["epochs"] = 40
    small["baselines"] = []
    spec = place.write_spec(small)
    on_slurm = ("--engine", "slurm", "--slurm-cluster", "local")
    run = place.start("run", spec, "--workers", "1", "--trials", "1", *on_slurm)
    (worker,) = place.wait_for_epochs(1)
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
    assert not workers_left(marked)
