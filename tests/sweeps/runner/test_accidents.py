"""What a sweep goes through: kills, a time limit, trials that cannot work, other runs beside it."""

import os
import signal
import socket

import optuna

from storage import living_workers, open_storage
from tests.sweeps.conftest import WAITING
from tests.sweeps.waiting import is_gone, wait_for


def test_a_time_limit_ends_the_run_and_not_the_study(place):
    baselines = [{"name": str(x), "set": {"options.x": x}} for x in (0.0, 1.0)]
    spec = place.write_loop(baselines=baselines)
    limit = ("--trials", "1", "--timeout", "0.001", "--study=odd-name")
    done = place.run("run", spec, "--workers", "1", *limit)
    assert done.returncode == 0, done.stderr
    assert "The budget has room for 1 of the 2 baselines" in done.stderr
    assert "Study odd-name" in done.stdout
    assert "0 of 1 trials" in done.stdout
    assert [trial.state.name for trial in place.study().trials] == ["WAITING"] * 2


FAILING_BESIDE = WAITING.replace(
    "    context.report",
    "    if context.trial.number > 0:\n        raise ZeroDivisionError\n    context.report",
)


def test_what_runs_beside_five_failures_is_interrupted_and_queued_again(place):
    spec = place.write_loop(FAILING_BESIDE, budget={"trials": 20})
    done = place.run("run", spec, "--workers", "2", "--devices", "cpu")
    assert done.returncode == 1
    assert "5 trials failed in a row" in done.stderr
    assert "ZeroDivisionError" in done.stderr
    first, *others, retry = place.study().trials
    assert first.user_attrs["outcome"] == "interrupted"
    assert {trial.user_attrs["outcome"] for trial in others} == {"failed"}
    assert (retry.state.name, retry.user_attrs["retry_of"]) == ("WAITING", 0)


def test_a_study_that_is_deleted_ends_its_run(place):
    spec = place.write_loop(WAITING, budget={"trials": 20})
    run = place.start("run", spec, "--workers", "1")
    pids = place.wait_for_epochs(1)
    study = place.study()
    optuna.delete_study(study_name=study.study_name, storage=study._storage)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 1
    assert err.endswith(f"sweeps: {study.study_name}: was deleted while it ran\n"), err
    assert "Traceback" not in err
    assert all(is_gone(pid) for pid in pids)


def test_a_run_and_a_worker_by_hand_beside_another_run(place):
    spec = place.write_loop(WAITING, budget={"trials": 20})
    first = place.start("run", spec, "--workers", "1")
    place.wait_for_epochs(1)
    second = place.start("run", spec, "--workers", "1")
    by_hand = place.start("worker", "--device", "cpu")
    place.wait_for_epochs(3)
    host = socket.gethostname().split(".")[0]
    storage = open_storage(str(place.folder / "sweeps.db"))
    study = place.study()
    names = sorted(worker.name for worker in living_workers(storage, study._study_id))
    assert names == sorted([f"{host}-0", f"{host}-1", f"{host}-pid{by_hand.pid}"])
    noted = {trial.user_attrs["worker"] for trial in study.trials if "worker" in trial.user_attrs}
    assert noted == set(names)

    # One that is killed keeps its name.
    (killed,) = (w for w in living_workers(storage, study._study_id) if w.name == f"{host}-1")
    os.kill(killed.pid, signal.SIGKILL)

    def is_back():
        living = living_workers(storage, study._study_id)
        return [w for w in living if w.name == f"{host}-1" and w.pid != killed.pid]

    wait_for(is_back, "the worker's restart", seconds=60)
    by_hand.send_signal(signal.SIGINT)
    _, err = by_hand.communicate(timeout=60)
    assert by_hand.returncode == 130
    assert "queued again" in err
    for process in (first, second):
        process.send_signal(signal.SIGTERM)
    for process in (first, second):
        process.communicate(timeout=60)
        assert process.returncode == 143
    outcomes = {trial.user_attrs.get("outcome") for trial in place.study().trials}
    assert outcomes <= {None, "interrupted", "lost"}
