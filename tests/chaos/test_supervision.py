"""Runs that are killed themselves, and runs whose workers do not wake up again."""

import time
from dataclasses import replace

from tests.chaos.checks import check_everything, tell_story
from tests.chaos.journal import read_journal
from tests.chaos.monkey import Monkey
from tests.chaos.running import count_epochs, count_signals, run_to_end, started
from tests.sweeps.waiting import is_gone, wait_for


def test_a_killed_run_takes_its_workers_with_it_and_is_gone_on_with(settings):
    """Those too that are suspended, which nobody wakes."""
    settings = replace(settings, target=25, leave_suspended=True, epochs_per_signal=2)
    disturbed = replace(settings, kills=1000)
    monkey = Monkey(disturbed)
    with started(disturbed) as run:
        began = time.monotonic()
        # One that is suspended with SQLite's lock in its hands lets nobody go on.
        while not count_signals(settings, "SIGSTOP") or (
            count_epochs(settings) < 8 and time.monotonic() - began < 15
        ):
            assert time.monotonic() - began < 60, "no worker is suspended"
            monkey.act()
            time.sleep(0.01)
        assert run.poll() is None
        run.kill()
    workers = [line["pid"] for line in read_journal(settings.journal) if line["event"] == "start"]
    wait_for(lambda: all(is_gone(pid) for pid in workers), "no worker", seconds=20)
    run_to_end(settings)
    check_everything(settings)
    print(f"killed runs: {tell_story(settings)}")


def test_a_run_ends_when_its_study_is_done_though_a_worker_never_wakes(settings):
    settings = replace(settings, target=20, workers=3, sleeper="baseline 1")
    run_to_end(settings, seconds=120)
    journal = read_journal(settings.journal)
    assert sum(line["event"] == "sleep" for line in journal) == 1
    assert "has not ended" in settings.log.read_text()
    check_everything(settings)
    assert tell_story(settings).outcomes["lost"] == 1
