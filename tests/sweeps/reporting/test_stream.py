"""The events of a study between looks, as every sink gets them."""

import pytest

from storage import note_progress
from sweeps.errors import Stopped, SweepsError
from tests.sweeps.reporting.conftest import named


def test_a_trial_that_was_not_seen_running_has_its_start_reported_too(study, report):
    events = report(lambda: study.run(0.5))
    assert [event["event"] for event in events] == [
        "sweep_started",
        "trial_started",
        "epoch_ended",
        "trial_ended",
        "new_best",
        "sweep_ended",
    ]


@pytest.mark.parametrize("outcome", ["interrupted", "lost", "out_of_memory"])
def test_a_trial_without_a_result_is_reported_with_its_retry(study, report, outcome):
    study.queue("plain")
    events = report(study.start, lambda: study.end(0, outcome, reason="because"), study.start)
    (ended,) = named(events, "trial_ended")
    assert (ended["outcome"], ended["queued_again"]) == (outcome, True)
    assert (ended["reason"], ended["value"], ended["epochs"]) == ("because", None, 0)
    assert [event["retry_of"] for event in named(events, "trial_started")] == [None, 0]


def test_only_a_trial_that_beats_the_best_is_a_new_best(study, report):
    study.run(0.5)
    events = report(*(lambda value=value: study.run(value) for value in (0.4, 0.7, 0.7)))
    (best,) = named(events, "new_best")
    assert (best["trial"], best["value"], best["previous"]) == (2, 0.7, 0.5)


def test_a_worker_that_is_restarted_is_another_worker(study, report):
    workers = []

    def start():
        workers.append(study.start_worker("worker-0"))

    def replace():
        study.end_worker(workers[0])
        start()

    def work():
        note_progress(study.storage, workers[1], trial_number=5)

    events = report(start, replace, work, lambda: study.end_worker(workers[1]))
    names = [event["event"].removeprefix("worker_") for event in events[1:-1]]
    assert names == ["started", "started", "ended", "ended"]
    assert [event["trial"] for event in named(events, "worker_ended")] == [None, 5]


@pytest.mark.parametrize(
    ("error", "trials", "seconds_left", "how", "reason"),
    [
        (None, 4, None, "finished", None),
        (None, 1, 0.0, "time_is_up", None),
        (Stopped(15), 1, None, "stopped", "SIGTERM"),
        (SweepsError("no luck"), 1, None, "failed", "no luck"),
    ],
)
def test_how_a_sweep_ended(study, report, error, trials, seconds_left, how, reason):
    steps = [lambda: study.run(0.5)] * trials
    ended = report(*steps, error=error, seconds_left=seconds_left)[-1]
    assert (ended["event"], ended["how"], ended["reason"]) == ("sweep_ended", how, reason)
    assert (ended["finished"], ended["target"]) == (trials, 4)
    assert ended["outcomes"] == {"completed": trials}


def test_a_sweep_in_which_no_trial_worked_failed(study, report):
    def fail():
        study.end(study.start(), "failed", reason="ValueError: no")

    ended = report(*[fail] * 4)[-1]
    assert (ended["how"], ended["best"]) == ("failed", None)
    assert ended["reason"] == "no trial worked; the last: ValueError: no"
