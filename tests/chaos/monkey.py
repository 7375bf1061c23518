"""Signals to workers, at random moments."""

import json
import random
import signal
import time

import psutil

from tests.chaos.journal import Journal
from tests.chaos.settings import ChaosSettings

_LONGEST_PAUSE_SECONDS = 2.0


class Monkey:
    """Sends signals to workers, paced by what they get done: a slow machine has no more of them.

    Args:
        settings: how many, and how fast.
    """

    def __init__(self, settings: ChaosSettings) -> None:
        self._settings = settings
        self._journal = Journal(settings.journal)
        self._random = random.Random(settings.seed)
        self._left = settings.kills
        self._wake_at: dict[psutil.Process, float] = {}
        self._workers: list[psutil.Process] = []
        self._epochs = 0
        self._offset = settings.journal.stat().st_size
        self._plan()

    def act(self) -> None:
        """Do what is due; called often."""
        now = time.monotonic()
        for process in [process for process, due in self._wake_at.items() if now >= due]:
            del self._wake_at[process]
            self._send(process, signal.SIGCONT)
        self._read()
        if not self._left:
            return
        if self._epochs >= self._enough and self._due == float("inf"):
            # Anywhere within what follows, not just after an epoch was reported.
            self._due = now + self._random.uniform(0, 2 * self._settings.epoch_seconds)
        if now >= min(self._due, self._latest):
            self._workers = [process for process in self._workers if _lives(process)]
            if self._workers:
                self._disturb(self._random.choice(self._workers), now)
            self._plan()

    def _read(self) -> None:
        """Read what was added to the journal."""
        with self._settings.journal.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    # It is just being written.
                    break
                self._offset += len(line)
                entry = json.loads(line)
                self._epochs += entry["event"] == "epoch"
                if entry["event"] == "start" and psutil.pid_exists(entry["pid"]):
                    self._workers.append(psutil.Process(entry["pid"]))

    def _plan(self) -> None:
        pause = self._random.randint(1, 2 * self._settings.epochs_per_signal - 1)
        self._enough = self._epochs + pause
        self._latest = time.monotonic() + _LONGEST_PAUSE_SECONDS
        self._due = float("inf")

    def _disturb(self, process: psutil.Process, now: float) -> None:
        kind = self._random.choices(
            ["kill", "stop", "stop twice", "suspend"], weights=[60, 10, 3, 27]
        )[0]
        if kind == "kill":
            self._left -= self._send(process, signal.SIGKILL)
        elif kind == "suspend":
            self._suspend(process, now)
        elif self._send(process, signal.SIGTERM):
            self._left -= 1
            if kind == "stop twice":
                self._send(process, signal.SIGTERM)

    def _suspend(self, process: psutil.Process, now: float) -> None:
        if process in self._wake_at or not self._send(process, signal.SIGSTOP):
            return
        grace = self._settings.grace
        short = self._random.random() < 0.6
        seconds = (
            self._random.uniform(0, grace / 2) if short else self._random.uniform(1, 2) * grace
        )
        self._wake_at[process] = float("inf") if self._settings.leave_suspended else now + seconds

    def _send(self, process: psutil.Process, number: signal.Signals) -> bool:
        """Send a signal to a worker that has not ended; whether there was one."""
        if not _lives(process):
            return False
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            return False
        self._journal.write("signal", worker=process.pid, signal=number.name)
        return True


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
