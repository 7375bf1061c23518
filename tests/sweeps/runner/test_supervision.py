"""Who is started again, and who is given up: with an engine whose workers end as a test says."""

import signal
import time
from pathlib import Path

import pytest

from storage import (
    TARGET,
    create_study,
    end_trial,
    end_worker,
    open_storage,
    reclaim,
    register_worker,
    study_uid,
)
from sweeps.engines import WorkerExit, WorkerPlan
from sweeps.errors import SweepsError
from sweeps.reporting import show_log
from sweeps.runner import supervisor as supervision
from sweeps.runner.supervisor import Supervisor
from tests.storage.claiming import at_work

PLAN = WorkerPlan("study", "sqlite:///unused.db", Path("data"), Path("checkpoints"), 30, None)
#: Another run of the same study, whose workers have the same names.
OTHER_PLAN = WorkerPlan("study", "sqlite:///unused.db", Path("data"), Path("checkpoints"), 30, None)


class ScriptedEngine:
    """One worker, which ends with one status after the other, and then runs on.

    Args:
        statuses: of its ends.
        at_end: called when it has come to the last.
        at_start: called when it starts.
    """

    restarts_workers = False

    def __init__(self, statuses, at_end, at_start):
        self._statuses = iter(statuses)
        self._at_end = at_end
        self._at_start = at_start
        self.starts = 0
        self.running = 0

    def start(self):
        self.restart("worker-0")

    def restart(self, name):
        self.starts += 1
        self.running = 1
        self._at_start()

    def poll(self):
        if not self.running:
            return []
        try:
            status = next(self._statuses)
        except StopIteration:
            self._at_end()
            return []
        self.running = 0
        return [WorkerExit("worker-0", status, "its last line")]

    def stop(self):
        self.running = 0


class NoReporter:
    """A reporter that reports nothing."""

    def update(self, progress, seconds_left):
        pass


@pytest.fixture
def watch(tmp_path, monkeypatch):
    """Watch a worker that ends with these statuses; how often it started, what was logged."""
    monkeypatch.setattr(supervision, "_POLL_SECONDS", 0.0)
    monkeypatch.setattr(supervision, "_MAX_PAUSE_SECONDS", 0.0)
    storage = open_storage(str(tmp_path / "sweeps.db"), create=True)
    study = create_study(storage, "study", "maximize", lambda study: study.set_user_attr(TARGET, 3))

    def watch(*statuses, was_away=False, at_start=lambda storage, study: None):
        received = []
        engine = ScriptedEngine(
            statuses, lambda: received.append(signal.SIGTERM), lambda: at_start(storage, study)
        )
        said = []
        supervisor = Supervisor(
            storage,
            study,
            study_uid(storage, study),
            engine,
            PLAN.seat,
            NoReporter(),
            deadline=None,
            received=received,
        )
        if was_away:
            storage.last_disconnect = time.monotonic() + 100
        try:
            with show_log(said.append):
                supervisor.watch()
        except SweepsError as error:
            said.append(str(error))
        return engine.starts, said

    return watch


def test_one_that_says_why_it_cannot_work_is_given_up_soon(watch):
    starts, said = watch(1, 1, 1)
    assert starts == 3
    assert said[-2] == "worker-0 ended with status 1; not started again, it ends each time"
    assert said[-1].endswith("run it again to resume. The last: its last line")


def test_one_that_is_killed_has_more_tries(watch):
    assert watch(*[-9] * 7)[0] == 8
    starts, said = watch(*[-9] * 8)
    assert starts == 8
    assert said[-2] == "worker-0 was killed by signal 9; not started again, it ends each time"


def test_one_that_was_killed_may_still_say_something_once(watch):
    assert watch(-9, -9, 1, -9, 1)[0] == 6


def test_nobody_is_given_up_for_a_database_that_was_away(watch):
    assert watch(*[1] * 12, was_away=True)[0] == 13


def _work(plan, outcome):
    """What a worker of a run does with one trial: ends it, or dies and leaves it running."""

    def work(storage, study):
        seat = plan.seat("worker-0")
        worker = register_worker(storage, study._study_id, "worker-0", "cpu", seat)
        with at_work(storage, study, worker.worker_id) as trial:
            if outcome != "lost":
                end_trial(storage, study, trial.number, outcome)
        end_worker(storage, worker.worker_id)
        reclaim(storage, study)

    return work


@pytest.mark.parametrize("outcome", ["interrupted", "lost"])
def test_one_that_works_on_trials_is_started_again_each_time(watch, outcome):
    assert watch(*[1] * 7, at_start=_work(PLAN, outcome))[0] == 8


def test_the_trials_of_another_run_s_worker_of_the_same_name_are_not_its_own(watch):
    starts, said = watch(*[1] * 10, at_start=_work(OTHER_PLAN, "interrupted"))
    assert starts == 3
    assert said[-2] == "worker-0 ended with status 1; not started again, it ends each time"


@pytest.mark.parametrize("number_reused", [False, True])
def test_a_study_that_is_deleted_ends_its_run(watch, number_reused):
    def delete(storage, study):
        storage.delete_study(study._study_id)
        if number_reused:
            other = create_study(storage, "other", "maximize", lambda study: None)
            assert other._study_id == study._study_id

    _, said = watch(1, 1, 1, at_start=delete)
    assert said[-1] == "study: was deleted while it ran"


def _fail(storage, study, count):
    """Trials that ran out of memory, each followed by its retry that failed."""
    for number in range(count):
        for outcome in ("out_of_memory", "failed"):
            with at_work(storage, study, f"{outcome}{number}") as trial:
                end_trial(storage, study, trial.number, outcome, reason=f"it is {outcome}")


@pytest.mark.parametrize(("count", "is_told"), [(4, False), (5, True)])
def test_failures_in_a_row_are_counted_by_configuration(watch, count, is_told):
    def fail(storage, study):
        study.set_user_attr(TARGET, 20)
        _fail(storage, study, 0 if study.trials else count)

    _, said = watch(1, 1, 1, at_start=fail)
    assert any(line.startswith("5 trials failed in a row") for line in said) == is_told
