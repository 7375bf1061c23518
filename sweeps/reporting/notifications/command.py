"""Notifications by a command."""

import json
import os
import signal
import subprocess
import tempfile
import threading
from typing import IO, Any

from sweeps.reporting.notifications.channel import NotDelivered

_SECONDS = 30.0


class Command:
    """Runs a shell command for each notification.

    It gets the event as JSON on its standard input and its words in ``SWEEPS_EVENT``,
    ``SWEEPS_STUDY``, ``SWEEPS_TEXT``, ``SWEEPS_HOW``, ``SWEEPS_TRIAL`` and ``SWEEPS_VALUE``, as far
    as the event has them. What it prints is shown where it fails alone.

    Args:
        command: as for ``sh -c``.
    """

    title = "the notify command"
    end_seconds = 10.0

    def __init__(self, command: str) -> None:
        self._command = command
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._cancelled = False

    def send(self, event: dict[str, Any]) -> None:
        # Files, and no pipes: a child that the command leaves behind keeps those open.
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
            given.write(json.dumps(event).encode() + b"\n")
            given.seek(0)
            try:
                status = self._run(event, given, said)
            except OSError as error:
                raise NotDelivered(f"{error.strerror or error}", again=False) from None
            if status is None:
                raise NotDelivered(f"it took more than {_SECONDS:.0f} seconds", again=False)
            if status != 0:
                raise NotDelivered(_failure(status, said), again=False)

    def cancel(self) -> None:
        with self._lock:
            self._cancelled = True
            if self._process is not None:
                _kill_group(self._process)

    def _run(self, event: dict[str, Any], given: IO[bytes], said: IO[bytes]) -> int | None:
        with self._lock:
            if self._cancelled:
                return 0
            process = self._process = subprocess.Popen(
                self._command,
                shell=True,
                stdin=given,
                stdout=said,
                stderr=subprocess.STDOUT,
                env={**os.environ, **_variables(event)},
                # So that Ctrl-C is not for it, and its children can be ended with it.
                process_group=0,
            )
        try:
            return process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with self._lock:
                if process.poll() is None:
                    _kill_group(process)
                    process.wait()
                self._process = None


def _variables(event: dict[str, Any]) -> dict[str, str]:
    names = ("event", "study", "text", "how", "trial", "value")
    known = {name: event.get(name) for name in names}
    # A variable cannot hold a null character.
    return {
        f"SWEEPS_{name.upper()}": str(value).replace("\0", " ")
        for name, value in known.items()
        if value is not None
    }


def _failure(status: int, said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read(65536).decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    how = f"it ended with status {status}" if status > 0 else f"it was killed by signal {-status}"
    return f"{how}: {last}" if last else how


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
