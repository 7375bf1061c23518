"""JSON for other programs: a sweep's events, a line each, and a study's state."""

import io
import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from datetime import UTC, datetime
from typing import Any, TextIO

import click

from storage import OUTCOMES
from sweeps.reporting.events import Event, Message, best_of, iso_time, json_value
from sweeps.reporting.stream import Sink, worker_fields
from sweeps.study.progress import Progress


class JsonLog(Sink):
    """Writes each event as a line of JSON."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def show(self, event: Event) -> None:
        # All in ASCII: no string can break a line or the encoding.
        line = json.dumps(event.as_dict(), allow_nan=False) + "\n"
        with self._lock:
            try:
                self._stream.write(line)
                self._stream.flush()
            except BrokenPipeError:
                # The reader has gone, but the sweep's results go elsewhere: it continues. Without
                # this, Python would try to write the rest again at its end, and complain.
                with open(os.devnull, "w") as nowhere:
                    os.dup2(nowhere.fileno(), self._stream.fileno())
            except OSError:
                # A full disk, for instance: the next line tries to write this one too.
                return


@contextmanager
def stderr_as_messages(say: Callable[[str], None]) -> Iterator[None]:
    """Pass what is written to stderr to ``say`` instead, line by line."""
    lines = _LineWriter(say)
    try:
        with redirect_stderr(lines):
            yield
    finally:
        lines.write("\n")


class _LineWriter(io.TextIOBase):
    """A text stream that passes on each line that is not empty."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._rest = ""
        self._lock = threading.Lock()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        with self._lock:
            *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if line.strip():
                self._say(line.rstrip())
        return len(text)


class JsonStates(Sink):
    """Writes a study's state to stdout as a line of JSON whenever it changes.

    Messages go to stderr. A person knows the storage as ``where``.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._last: dict[str, Any] = {}

    def update(self, progress: Progress, seconds_left: float | None) -> None:
        state = state_of(progress, self._where)
        workers = [{**worker, "last_seen": None} for worker in state["workers"]]
        compared = {**state, "time": None, "workers": workers}
        if compared != self._last:
            self._last = compared
            click.echo(json.dumps(state, allow_nan=False))

    def show(self, event: Event) -> None:
        if isinstance(event, Message):
            click.echo(event.text, err=True)


def state_of(progress: Progress, where: str) -> dict[str, Any]:
    """Describe a study at one moment in plain JSON values."""
    states = Counter(trial.state.name.lower() for trial in progress.trials)
    target = progress.target
    left = None if target is None else max(target - progress.finished, 0)
    state = {
        "time": iso_time(datetime.now(UTC)),
        "study": progress.study_name,
        "storage": where,
        "metric": progress.metric,
        "direction": progress.direction,
        "done": progress.is_done,
        "budget": {"target": target, "finished": progress.finished, "left": left},
        "trials": {
            **{outcome: progress.outcomes[outcome] for outcome in OUTCOMES},
            "running": progress.running,
            "waiting": states["waiting"],
        },
        "best": best_of(progress),
        "workers": [
            {
                **worker_fields(worker),
                "trial": worker.trial_number,
                "epoch": worker.epoch,
                "epochs": worker.epochs,
                "value": worker.value,
                "started": iso_time(datetime.fromtimestamp(worker.started, UTC)),
                "last_seen": iso_time(datetime.fromtimestamp(worker.last_seen, UTC)),
            }
            for worker in progress.workers
        ],
    }
    plain: dict[str, Any] = json_value(state)
    return plain
