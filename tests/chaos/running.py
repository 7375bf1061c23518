"""Runs in processes of their own, watched from outside."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sweeps.spec.files import dump_yaml
from tests.chaos.checks import Story, check_everything, tell_story
from tests.chaos.journal import read_journal
from tests.chaos.monkey import Monkey
from tests.chaos.settings import ChaosSettings

_ROOT = Path(__file__).parents[2]
_MAX_ROUNDS = 200
_ATTEMPTS = 20
_TURN_SECONDS = 0.005
_ROUND_KILLS = 200


# Some seconds, minutes or a whole night of kills.
KILLS = [
    pytest.param(20, marks=pytest.mark.timeout(900)),
    pytest.param(300, marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
    pytest.param(None, marks=[pytest.mark.nightly, pytest.mark.timeout(0)], id="all night"),
]


@contextmanager
def started(settings: ChaosSettings) -> Iterator[subprocess.Popen[bytes]]:
    """A `sweeps run` that is under way; ended with the block."""
    spec = Path(settings.folder) / "chaos.yaml"
    spec.write_text(dump_yaml(settings.spec))
    options = {
        "--storage": settings.url,
        "--trials": settings.target,
        "--workers": settings.workers,
        "--devices": "cpu",
        "--checkpoint-dir": settings.checkpoints,
        "--checkpoint-seconds": 0.05,
    }
    command = ["run", spec, *(part for option in options.items() for part in option)]
    with settings.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "sweeps", *map(str, command)],
            cwd=settings.folder,
            env={**os.environ, **settings.environment, "PYTHONPATH": str(_ROOT)},
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(timeout=60)


def run_to_end(
    settings: ChaosSettings,
    *,
    seconds: float = 240,
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Run until the study has its target.

    Args:
        settings: of the run.
        seconds: the time it has.
        meanwhile: called all the while.
    """
    deadline = time.monotonic() + seconds
    monkey = Monkey(settings)
    for _ in range(_ATTEMPTS):
        before = settings.log.stat().st_size if settings.log.exists() else 0
        with started(settings) as process:
            while process.poll() is None:
                assert time.monotonic() < deadline, f"not within {seconds} s"
                monkey.act()
                meanwhile()
                time.sleep(_TURN_SECONDS)
        if process.returncode == 0:
            return
        said = settings.log.read_bytes()[before:].decode()
        # A person types it again.
        assert "does not answer" in said, said
    raise AssertionError(f"the database was not there {_ATTEMPTS} times")


def run_through_kills(
    settings: ChaosSettings, meanwhile: Callable[[], None] = lambda: None
) -> Story:
    """Run, with the target raised each time, until the kills are done; check everything then."""
    target = 0
    for seed in range(_MAX_ROUNDS):
        left = settings.kills - count_signals(settings, "SIGKILL", "SIGTERM")
        if left <= 0:
            break
        # Enough for the kills of a round, as a rule; the next round goes on where it is not.
        target += max(15, min(left, _ROUND_KILLS) // 2)
        run_to_end(
            replace(settings, target=target, seed=settings.seed + seed, kills=left),
            seconds=600,
            meanwhile=meanwhile,
        )
    check_everything(settings)
    return tell_story(settings)


def count_signals(settings: ChaosSettings, *names: str) -> int:
    """How many signals of these names were sent to living workers."""
    return sum(
        line["event"] == "signal" and line["signal"] in names
        for line in read_journal(settings.journal)
    )


def count_epochs(settings: ChaosSettings) -> int:
    """How many epochs were reported."""
    return sum(line["event"] == "epoch" for line in read_journal(settings.journal))


def check_chaos(story: Story, kills: int) -> None:
    """What was to happen on the way has happened."""
    assert story.kills >= kills, story
    assert story.signals["SIGKILL"] > kills / 2, story
    assert story.signals["SIGSTOP"], story
    assert story.outcomes["lost"] > kills / 10, story
    # Few kills may hold no SIGTERM that finds a worker at a trial.
    assert story.outcomes["interrupted"] or kills < 100, story
    assert story.resumed, story
    # Of few that are suspended none may be at a trial for so long that it is given up.
    assert story.taken or kills < 300, story
