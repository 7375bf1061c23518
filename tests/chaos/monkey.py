"""Signals to workers, at random moments."""

import json
import random
import signal
import time
from collections.abc import Callable, Collection
from pathlib import Path

from tests.chaos.settings import ChaosSettings

_LONGEST_PAUSE_SECONDS = 2.0


class Monkey:
    """Sends signals to workers, paced by what they get done: a slow machine has no more of them.

    Args:
        settings: how many, and how fast.
        send: sends a signal to a living worker of a name; false where it has just ended.
    """

    def __init__(self, settings: ChaosSettings, send: Callable[[str, int], bool]) -> None:
        self._settings = settings
        self._send = send
        self._random = random.Random(settings.seed)
        self._left = settings.kills
        self._epochs = _Epochs(settings.journal)
        self._wake_at: dict[str, float] = {}
        self._plan()

    def act(self, alive: Collection[str]) -> None:
        """Do what is due; called often."""
        now = time.monotonic()
        self._wake_at = {name: due for name, due in self._wake_at.items() if name in alive}
        for name in [name for name, due in self._wake_at.items() if now >= due]:
            del self._wake_at[name]
            self._send(name, signal.SIGCONT)
        if not self._left or not alive:
            return
        if self._epochs.count() >= self._enough and self._due == float("inf"):
            # Anywhere within what follows, not just after an epoch was reported.
            self._due = now + self._random.uniform(0, 2 * self._settings.epoch_seconds)
        if now >= min(self._due, self._latest):
            self._disturb(self._random.choice(sorted(alive)), now)
            self._plan()

    def _plan(self) -> None:
        pause = self._random.randint(1, 2 * self._settings.epochs_per_signal - 1)
        self._enough = self._epochs.count() + pause
        self._latest = time.monotonic() + _LONGEST_PAUSE_SECONDS
        self._due = float("inf")

    def _disturb(self, name: str, now: float) -> None:
        kind = self._random.choices(
            ["kill", "stop", "stop twice", "suspend"], weights=[60, 10, 3, 27]
        )[0]
        if kind == "kill":
            self._left -= self._send(name, signal.SIGKILL)
        elif kind == "suspend":
            self._suspend(name, now)
        elif self._send(name, signal.SIGTERM):
            self._left -= 1
            if kind == "stop twice":
                self._send(name, signal.SIGTERM)

    def _suspend(self, name: str, now: float) -> None:
        if name in self._wake_at or not self._send(name, signal.SIGSTOP):
            return
        grace = self._settings.grace
        short = self._random.random() < 0.6
        seconds = (
            self._random.uniform(0, grace / 2) if short else self._random.uniform(1, 2) * grace
        )
        self._wake_at[name] = float("inf") if self._settings.leave_suspended else now + seconds


class _Epochs:
    """How many epochs the journal has, read piece by piece.

    Args:
        path: of the journal.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._count = 0

    def count(self) -> int:
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        # It is just being written.
                        break
                    self._offset += len(line)
                    self._count += json.loads(line)["event"] == "epoch"
        return self._count
