"""Workers, and whether they are alive."""

import dataclasses
import signal
import subprocess
import time
from pathlib import Path

import pytest

from storage import (
    beat,
    create_study,
    end_worker,
    list_workers,
    living_workers,
    note_progress,
    register_worker,
)
from storage.workers import GRACE_SECONDS
from tests.storage.processes import CONTEXT
from tests.sweeps.waiting import wait_for

# What differs between the databases is tested where claims, budgets and lost answers are.
pytestmark = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


class TestWorkers:
    def test_what_it_does_is_known(self, storage, study):
        worker_id = register_worker(storage, study._study_id, "worker-0", "cuda:1").worker_id
        note_progress(storage, worker_id, trial_number=3, epoch=2, epochs=9, value=0.25)
        [worker] = list_workers(storage, study._study_id)
        assert (worker.name, worker.device) == ("worker-0", "cuda:1")
        assert (worker.trial_number, worker.epoch, worker.epochs, worker.value) == (3, 2, 9, 0.25)
        assert worker.is_alive(time.time())

    def test_one_whose_process_is_gone_is_not_alive(self, storage, study):
        process = CONTEXT.Process(target=int)
        process.start()
        process.join()
        register_worker(storage, study._study_id, "w", "cpu")
        [worker] = list_workers(storage, study._study_id)
        assert not dataclasses.replace(worker, pid=process.pid).is_alive(time.time())
        # Of another host's processes nothing is known but the heartbeat.
        assert dataclasses.replace(worker, pid=process.pid, host="elsewhere").is_alive(time.time())

    def test_one_that_was_silent_here_is_alive_while_its_process_runs(self, storage, study):
        """As after a pause of the whole machine."""
        worker = register_worker(storage, study._study_id, "w", "cpu")
        later = worker.last_seen + GRACE_SECONDS + 1
        assert worker.is_alive(later)
        assert not dataclasses.replace(worker, host="elsewhere").is_alive(later)

    @pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux")
    def test_one_that_was_suspended_alone_is_dead_after_the_grace(self, storage, study):
        worker = register_worker(storage, study._study_id, "w", "cpu")
        process = subprocess.Popen(["sleep", "60"])
        try:
            suspended = dataclasses.replace(worker, pid=process.pid, birth="")
            later = worker.last_seen + GRACE_SECONDS + 1
            assert suspended.is_alive(later)
            process.send_signal(signal.SIGSTOP)
            wait_for(lambda: not suspended.is_alive(later), "it is taken for dead")
            assert suspended.is_alive(worker.last_seen)
        finally:
            process.kill()
            process.wait()

    def test_the_living_are_listed_without_the_ended(self, storage, study):
        first, second = (register_worker(storage, study._study_id, n, "cpu") for n in "ab")
        end_worker(storage, first.worker_id)
        assert [worker.name for worker in living_workers(storage, study._study_id)] == ["b"]
        assert living_workers(storage, study._study_id)[0].worker_id == second.worker_id

    @pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux")
    def test_another_process_of_the_same_number_is_not_it(self, storage, study):
        worker = register_worker(storage, study._study_id, "w", "cpu")
        assert worker.is_alive(time.time())
        assert not dataclasses.replace(worker, birth="1").is_alive(time.time())

    def test_one_that_was_taken_for_dead_comes_back_with_its_heartbeat(self, storage, study):
        worker = register_worker(storage, study._study_id, "w", "cpu")
        end_worker(storage, worker.worker_id)
        beat(storage, worker.worker_id)
        [worker] = list_workers(storage, study._study_id)
        assert worker.is_alive(time.time())

    def test_they_are_numbered_within_their_study(self, storage, study):
        other = create_study(storage, "other", "maximize", lambda study: None)
        numbers = [
            register_worker(storage, each._study_id, "w", "cpu").number
            for each in (study, study, other, study)
        ]
        assert numbers == [0, 1, 0, 2]


def test_of_a_process_in_another_container_only_the_heartbeat_counts(storage, study):
    """Its number means nothing here, even if a process here has the same."""
    worker = register_worker(storage, study._study_id, "w", "cpu")
    elsewhere = dataclasses.replace(worker, birth=f"{worker.birth}0")
    assert elsewhere.is_alive(worker.last_seen + GRACE_SECONDS - 1)
    assert not elsewhere.is_alive(worker.last_seen + GRACE_SECONDS + 1)


def test_a_worker_that_was_seen_meanwhile_is_not_taken_for_dead(storage, study):
    worker = register_worker(storage, study._study_id, "suspended", "cpu")
    beat(storage, worker.worker_id)
    end_worker(storage, worker.worker_id, last_seen=worker.last_seen)
    assert [each.name for each in living_workers(storage, study._study_id)] == ["suspended"]
