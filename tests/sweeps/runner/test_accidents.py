"""What a sweep goes through: Ctrl-C, kills, a time limit, trials that cannot work."""

import os
import signal
import socket
import sqlite3
import time

import optuna
import pytest

from storage import living_workers, open_storage, read_epochs
from sweeps.spec.spec import parse_spec
from sweeps.study.study import open_or_create_study
from tests.sweeps.waiting import is_gone, wait_for


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def _long(tree):
    """A spec whose trials last until they are stopped."""
    tree["training"]["epochs"] = 500
    return tree


def _running(place, count):
    """Wait until so many trials have finished an epoch."""

    def reached():
        if not (place.folder / "sweeps.db").exists():
            return None
        try:
            with sqlite3.connect(place.folder / "sweeps.db", timeout=30) as database:
                query = "SELECT pid FROM sweeps_workers WHERE epoch >= 1 AND ended IS NULL"
                pids = [pid for (pid,) in database.execute(query)]
        except sqlite3.OperationalError:
            return None  # The tables are not made yet.
        return pids if len(pids) >= count else None

    return wait_for(reached, f"{count} trials past their first epoch", seconds=90)


def test_ctrl_c_keeps_the_study_able_to_go_on(place, small):
    spec = place.write_spec(_long(small))
    run = place.start("run", spec, "--workers", "2", "--trials", "3")
    pids = _running(place, 2)
    before = time.monotonic()
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130
    assert time.monotonic() - before < 15
    assert "run it again to go on" in err
    assert all(is_gone(pid) for pid in pids)
    study = place.study()
    names = {"interrupted": [], "queued": []}
    for trial in study.trials:
        assert trial.state.name in ("FAIL", "WAITING")
        kind = "interrupted" if trial.state.name == "FAIL" else "queued"
        names[kind].append(trial.user_attrs.get("configuration"))
    assert sorted(names["queued"]) == sorted(names["interrupted"]) == ["linear 5x5", "plain 3x3"]

    # As after an interruption, with trials that end: the budget is met all the same.
    spec_now = study.user_attrs["spec"]
    spec_now["training"]["epochs"] = small["training"]["epochs"] = 2
    study.set_user_attr("spec", spec_now)
    place.write_spec(small)
    done = place.run("run", spec, "--workers", "2", "--trials", "3")
    assert done.returncode == 0, done.stderr
    states = [trial.state.name for trial in place.study().trials]
    assert sorted(states) == ["COMPLETE"] * 3 + ["FAIL"] * 2


def test_a_closed_terminal_is_a_sigterm_and_the_next_run_goes_on_where_it_stopped(place, small):
    small["training"]["epochs"] = 30
    small["baselines"] = small["baselines"][:1]
    spec = place.write_spec(small)
    run = place.start("run", spec, "--workers", "1", "--trials", "1")
    pids = _running(place, 1)
    before = time.monotonic()
    run.send_signal(signal.SIGHUP)
    run.communicate(timeout=60)
    assert run.returncode == 143
    assert time.monotonic() - before < 15
    assert all(is_gone(pid) for pid in pids)
    [folder] = (place.folder / "sweeps.checkpoints").iterdir()
    assert [file.name for file in folder.iterdir()] == ["trial-000000.pt"]

    done = place.run("run", spec, "--workers", "1", "--trials", "1")
    assert done.returncode == 0, done.stderr
    stopped, again = place.study().trials
    assert (stopped.user_attrs["outcome"], again.user_attrs["outcome"]) == (
        "interrupted",
        "completed",
    )
    storage = open_storage(str(place.folder / "sweeps.db"))
    first = read_epochs(storage, stopped._trial_id)
    # The seconds too: these epochs were told again, not trained again.
    assert read_epochs(storage, again._trial_id)[: len(first)] == first
    assert list((place.folder / "sweeps.checkpoints").iterdir()) == []


def test_a_killed_worker_is_replaced_and_its_trial_run_again(place, small):
    small["training"]["epochs"] = 15
    spec = place.write_spec(small)
    run = place.start("run", spec, "--workers", "2", "--trials", "4")
    os.kill(_running(place, 2)[0], signal.SIGKILL)
    out, err = run.communicate(timeout=150)
    assert run.returncode == 0, err
    assert "was killed by signal 9" in err
    study = place.study()
    outcomes = sorted(trial.user_attrs["outcome"] for trial in study.trials)
    assert outcomes == ["completed"] * 4 + ["lost"]
    assert "plain 3x3" in out
    assert "linear 5x5" in out


def test_workers_do_not_outlive_a_killed_parent(place, small):
    spec = place.write_spec(_long(small))
    run = place.start("run", spec, "--workers", "2")
    pids = _running(place, 2)
    run.kill()
    run.communicate(timeout=60)
    wait_for(lambda: all(is_gone(pid) for pid in pids), "the workers' end", seconds=30)
    states = {trial.state.name for trial in place.study().trials}
    assert "RUNNING" not in states


def test_a_time_limit_ends_the_run_and_not_the_study(place, small):
    spec = place.write_spec(small)
    done = place.run("run", spec, "--workers", "1", "--timeout", "0.001", "--study=odd-name")
    assert done.returncode == 0, done.stderr
    assert "Study odd-name" in done.stdout
    assert "0 of 6 trials" in done.stdout
    more = place.run("run", spec, "--workers", "1", "--trials", "1", "--study=odd-name")
    assert more.returncode == 0, more.stderr
    assert "1 of 1 trials" in more.stdout


def test_trials_that_cannot_work_end_the_sweep_with_their_reason(place, small):
    small["baselines"] = []
    spec = place.write_spec(small)
    broken = (
        "import sweeps.worker.objective\nsweeps.worker.objective.train = lambda *a, **k: 1 / 0\n"
    )
    (place.folder / "sitecustomize.py").write_text(broken)
    place.environment["PYTHONPATH"] = str(place.folder)
    done = place.run("run", spec, "--workers", "1")
    assert done.returncode == 1
    assert "5 trials failed in a row" in done.stderr
    assert "ZeroDivisionError" in done.stderr
    trials = place.study().trials
    assert [trial.state.name for trial in trials] == ["FAIL"] * 5
    assert "ZeroDivisionError" in trials[0].user_attrs["reason"]


def test_ctrl_c_twice_ends_at_once_with_nothing_running(place, small):
    spec = place.write_spec(_long(small))
    run = place.start("run", spec, "--workers", "2")
    pids = _running(place, 2)
    # Suspended, they put nothing away before they are killed.
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    run.send_signal(signal.SIGINT)
    for line in run.stderr:
        if "Stopping" in line:
            break
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=10)
    assert run.returncode == 130
    assert all(is_gone(pid) for pid in pids)
    trials = place.study().trials
    assert "RUNNING" not in {trial.state.name for trial in trials}
    # What a person ends is no loss, of which a trial may have but few.
    ended = [trial.user_attrs["outcome"] for trial in trials if trial.state.name == "FAIL"]
    assert ended == ["interrupted"] * 2


def test_a_study_that_is_deleted_ends_its_run(place, small):
    spec = place.write_spec(_long(small))
    run = place.start("run", spec, "--workers", "2")
    pids = _running(place, 2)
    study = place.study()
    optuna.delete_study(study_name=study.study_name, storage=study._storage)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 1
    assert err.endswith(f"sweeps: {study.study_name}: was deleted while it ran\n"), err
    assert "Traceback" not in err
    assert all(is_gone(pid) for pid in pids)


def test_a_run_and_a_worker_by_hand_beside_another_run(place, small):
    spec = place.write_spec(_long(small))
    first = place.start("run", spec, "--workers", "2")
    _running(place, 2)
    second = place.start("run", spec, "--workers", "1")
    by_hand = place.start("worker", "--device", "cpu")
    _running(place, 4)
    host = socket.gethostname().split(".")[0]
    storage = open_storage(str(place.folder / "sweeps.db"))
    study = place.study()
    names = sorted(worker.name for worker in living_workers(storage, study._study_id))
    assert names == sorted([*(f"{host}-{n}" for n in range(3)), f"{host}-pid{by_hand.pid}"])
    noted = {trial.user_attrs["worker"] for trial in study.trials if "worker" in trial.user_attrs}
    assert noted == set(names)

    # One that is killed keeps its name, in the place that it had.
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


def test_two_runs_of_the_same_study_share_its_budget(place, small):
    spec = place.write_spec(small)
    runs = [place.start("run", spec, "--workers", "1", "--trials", "5") for _ in range(2)]
    for run in runs:
        _, err = run.communicate(timeout=150)
        assert run.returncode == 0, err
    trials = place.study().trials
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 5
    names = [trial.user_attrs.get("configuration") for trial in trials]
    assert sorted(name for name in names if name) == ["linear 5x5", "plain 3x3"]


def test_a_study_of_the_former_version_is_gone_on_with(place, small, patterns):
    """Its schema has no artifacts, its attributes no id for checkpoints and no retries."""
    small["budget"] = {"trials": 1}
    storage = open_storage(str(place.folder / "sweeps.db"), create=True)
    open_or_create_study(storage, parse_spec(small, "small"), "former", patterns)
    storage.engine.dispose()
    with sqlite3.connect(place.folder / "sweeps.db") as database:
        database.execute("UPDATE sweeps_schema SET version = 1")
        database.execute("DROP TABLE sweeps_artifacts")
        database.execute(
            "DELETE FROM study_user_attributes WHERE key IN ('study_uid', 'sweep_id', 'retries')"
        )
    done = place.run("worker", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    study = place.study()
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "WAITING"]
    assert study.user_attrs["sweep_id"]
