"""The estimate of the time left: from the first epoch on, and without jumps."""

import heapq
import itertools

import pytest

from sweeps.reporting.time_left import seconds_to_go, time_left
from tests.sweeps.handmade import HandmadeStudy


def simulate(study, lengths, workers, seconds=60.0, epochs=10):
    """Run trials of these lengths to their ends, in made-up time.

    Yields:
        At each epoch's end: the moment, and the estimate then.
    """
    waiting = iter(lengths)
    clock = []
    order = itertools.count()

    def begin(worker, now):
        length = next(waiting, None)
        if length is not None:
            entry = (now + seconds, next(order), worker, study.start(worker, epochs), 1, length)
            heapq.heappush(clock, entry)

    for index in range(workers):
        # They do not begin at one moment.
        begin(study.start_worker(f"w-{index}"), index * seconds / workers)
    while clock:
        now, _, worker, number, epoch, length = heapq.heappop(clock)
        study.train(number, worker, epoch, epochs, seconds)
        if epoch < length:
            heapq.heappush(clock, (now + seconds, next(order), worker, number, epoch + 1, length))
        else:
            study.end(number, "completed" if length == epochs else "pruned", value=0.5)
            begin(worker, now)
        yield now, seconds_to_go(study.progress())


def test_there_is_no_estimate_before_an_epoch_was_measured(tmp_path):
    study = HandmadeStudy(tmp_path)
    assert time_left(study.progress(), None) is None
    worker = study.start_worker("w")
    number = study.start(worker)
    assert time_left(study.progress(), None) is None
    assert time_left(study.progress(), 90.0) == "at most 1:30 left"
    study.train(number, worker, 1, 5, 60.0)
    # Four epochs more of this trial, and three trials of five.
    assert time_left(study.progress(), None) == "at most 19:00 left"
    assert time_left(study.progress(), 90.0) == "at most 1:30 left"
    # A sampled trial has ended: three are left, of one epoch or of five.
    study.end(number, "pruned", value=0.5)
    assert time_left(study.progress(), None) == "about 11:00 left"


def test_what_waits_beyond_the_budget_is_not_counted(tmp_path):
    study = HandmadeStudy(tmp_path, target=3)
    for number in range(5):
        study.queue(f"baseline {number}")
    worker = study.start_worker("w")
    study.train(study.start(worker, 10), worker, 1, 10, 1.0)
    assert seconds_to_go(study.progress()) == pytest.approx(9 + 2 * 10)


def test_there_is_no_estimate_without_a_worker(tmp_path):
    study = HandmadeStudy(tmp_path)
    worker = study.start_worker("w")
    study.train(study.start(worker), worker, 1, 5, 60.0)
    study.end_worker(worker)
    assert seconds_to_go(study.progress()) is None


@pytest.mark.parametrize("workers", [1, 4])
def test_while_the_first_long_trials_run_it_counts_down_with_the_clock(tmp_path, workers):
    study = HandmadeStudy(tmp_path, target=8)
    estimates = list(simulate(study, [10] * 8, workers))
    end = estimates[-1][0]
    for now, left in estimates:
        assert left == pytest.approx(end - now, abs=90), (now, estimates)


# Most are pruned early, but baselines never are.
PRUNED = [10, 1, 1, 3, 1, 10, 1, 1, 3, 1, 1, 3, 10, 1, 1, 1, 3, 1, 10, 1, 1, 3, 1, 1]


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("baselines", [0, 4])
@pytest.mark.parametrize("reverse", [False, True])
def test_trials_that_are_pruned_are_learned_from_without_a_jump(
    tmp_path, workers, baselines, reverse
):
    lengths = [10] * baselines + (PRUNED[::-1] if reverse else PRUNED)
    study = HandmadeStudy(tmp_path, target=len(lengths))
    for number in range(baselines):
        study.queue(f"baseline {number}")
    estimates = list(simulate(study, lengths, workers))
    # A trial's end changes the estimate of all that follow, but never doubles or halves it.
    for (_, before), (now, after) in itertools.pairwise(estimates):
        assert after >= before * 0.65 - 600 / workers, now
        assert after <= before * 1.3 + 600 / workers, now
    # Of those that may be pruned some have ended by then.
    begin = next(now for now, _ in estimates if now > (600 * baselines + 2400) / workers)
    end = estimates[-1][0]
    for now, left in estimates:
        if now > begin:
            assert end - now - 600 < left < 1.8 * (end - now) + 600, (now, left, end - now)
    assert estimates[-1][1] == 0


def test_a_resumed_trial_has_less_to_do(tmp_path):
    study = HandmadeStudy(tmp_path, target=1)
    worker = study.start_worker("w")
    first = study.start(worker)
    for epoch in (1, 2, 3):
        study.train(first, worker, epoch, 5, 60.0)
    study.end(first, "interrupted")
    retry = study.start(worker)
    for epoch in (1, 2, 3):
        study.train(retry, worker, epoch, 5, 60.0)
    assert seconds_to_go(study.progress()) == pytest.approx(120)


def test_the_last_trial_takes_its_time_however_many_workers_wait(tmp_path):
    study = HandmadeStudy(tmp_path, target=1)
    worker = study.start_worker("w-0")
    study.start_worker("w-1")
    study.train(study.start(worker), worker, 1, 5, 60.0)
    assert seconds_to_go(study.progress()) == pytest.approx(240)
