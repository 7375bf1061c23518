"""State changes as JSON, a line each."""

import io
import json
import os
import sys
import threading
from contextlib import redirect_stderr
from types import TracebackType
from typing import Self, TextIO

from sweeps.reporting.events import Event, Message, SweepEnded
from sweeps.reporting.view import EventView
from sweeps.study.progress import Progress


class JsonLog:
    """Events on stderr; whatever else is written there meanwhile becomes a message, line by line.

    Attributes:
        study: that messages belong to; ``None`` before it is known.
        ended: the sweep's end, once it was told.
    """

    def __init__(self) -> None:
        self.study: str | None = None
        self.ended: SweepEnded | None = None
        self._stream: TextIO = sys.stderr
        self._lock = threading.Lock()
        self._lines = _Lines(self)
        self._redirected = redirect_stderr(self._lines)

    def __enter__(self) -> Self:
        self._stream = sys.stderr
        self._redirected.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._redirected.__exit__(kind, error, trace)
        self._lines.end()

    def write(self, event: Event) -> None:
        """Write an event, whole and at once; nobody needs to read it."""
        if isinstance(event, SweepEnded):
            self.ended = event
        # All in ASCII: no string can break a line or the encoding.
        line = json.dumps(event.as_dict(), allow_nan=False) + "\n"
        with self._lock:
            try:
                self._stream.write(line)
                self._stream.flush()
            except BrokenPipeError:
                # Its reader has gone. The sweep's results go elsewhere, so it goes on; but Python
                # would try to write the rest again at its end, and complain.
                with open(os.devnull, "w") as nowhere:
                    os.dup2(nowhere.fileno(), self._stream.fileno())
            except OSError:
                # A full disk, say: what could not be written is tried again with the next line.
                return

    def say(self, text: str) -> None:
        self.write(Message(study=self.study, text=text))


class JsonView(EventView):
    """Writes every event to a log."""

    def __init__(self, log: JsonLog, progress: Progress) -> None:
        super().__init__(progress)
        self._log = log
        log.study = progress.study_name

    def show(self, event: Event) -> None:
        self._log.write(event)

    def say(self, text: str) -> None:
        self._log.say(text)


class _Lines(io.TextIOBase):
    """A text stream whose lines are messages."""

    def __init__(self, log: JsonLog) -> None:
        self._log = log
        self._begun = ""
        self._lock = threading.Lock()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        with self._lock:
            *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            if line.strip():
                self._log.say(line.rstrip())
        return len(text)

    def end(self) -> None:
        """Let go of a line that was begun."""
        self.write("\n")
