"""A file in a shared folder by which jobs on other hosts know that their engine lives."""

import threading
import time
from pathlib import Path

from sweeps.errors import Survived

_BEAT_SECONDS = 2.0
_STOP = "stop"
_KILL = "kill"


class LifelineWriter:
    """The engine's side: a number that changes every two seconds, or what the jobs shall do.

    Args:
        path: the file; its folder exists.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._word = ""
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._survived = Survived(__name__, "the jobs were not told that this run lives")
        self._write("0")
        self._thread = threading.Thread(target=self._beat, name="lifeline", daemon=True)
        self._thread.start()

    def stop_all(self) -> None:
        """Tell all jobs to ask their workers to stop."""
        self._tell(_STOP)

    def kill_all(self) -> None:
        """Tell all jobs to kill their workers."""
        self._tell(_KILL)

    def close(self) -> None:
        """Write no more; what was told stays."""
        self._closed.set()
        self._thread.join()

    def _tell(self, word: str) -> None:
        with self._lock:
            self._word = word
            self._write(word)

    def _beat(self) -> None:
        number = 0
        while not self._closed.wait(_BEAT_SECONDS):
            number += 1
            with self._lock:
                self._write(self._word or str(number))

    def _write(self, text: str) -> None:
        beside = self._path.with_suffix(".new")
        try:
            beside.write_text(text)
            beside.replace(self._path)
        except OSError as error:
            # A network disk may come back; the jobs wait a while, and the next beat follows.
            self._survived.note(error)
        else:
            self._survived.note(None)


class LifelineReader:
    """A job's side.

    Args:
        path: the file.
        seconds: the engine is thought dead when the file has not changed for so long.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self._path = path
        self._seconds = seconds
        self._text = self._read()
        self._changed = time.monotonic()
        self._beating = False

    def refresh(self) -> None:
        """Look at the file."""
        text = self._read()
        if text != self._text:
            self._text, self._changed, self._beating = text, time.monotonic(), True

    @property
    def is_beating(self) -> bool:
        """Whether the engine was seen to live."""
        return self._beating

    @property
    def says_stop(self) -> bool:
        """Whether the worker shall stop: it was told to, or the engine is gone."""
        return self._text in (_STOP, _KILL) or time.monotonic() - self._changed > self._seconds

    @property
    def says_kill(self) -> bool:
        """Whether the worker shall be killed."""
        return self._text == _KILL

    def _read(self) -> str:
        try:
            # Opening a file asks a network disk's server for it as it is now.
            return self._path.read_text()
        except OSError:
            return ""
