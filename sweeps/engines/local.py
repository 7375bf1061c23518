"""Workers as processes of this machine, one for each device slot."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sweeps.devices import Slot

MAX_RESTARTS_AN_HOUR = 3


@dataclass(frozen=True)
class WorkerExit:
    """A worker that ended.

    Attributes:
        name: of the worker.
        status: its exit status; negative for the signal that killed it.
        last_words: the last line it wrote, if any.
    """

    name: str
    status: int
    last_words: str


@dataclass
class _Seat:
    name: str
    slot: Slot
    process: subprocess.Popen[str] | None = None
    reader: threading.Thread | None = None
    restarts: list[float] = field(default_factory=list)
    last_words: str = ""


class LocalEngine:
    """Starts a worker process in every slot and keeps an eye on them.

    A worker is ``sweeps worker`` on its slot's device. It sits in a process group of its own, so
    that Ctrl-C reaches this process alone, which tells the workers; and it ends by itself when
    this process is gone, which it sees at the end of its standard input.

    Args:
        study_name: the study the workers work on.
        slots: a worker each.
        storage_url: where the study is; a working directory is not needed to read it.
        data_dir: where the datasets are.
        seconds: the workers start no trial after so long; ``None`` for no limit.
        say: called with each line that a worker writes.
    """

    def __init__(
        self,
        study_name: str,
        slots: Sequence[Slot],
        *,
        storage_url: str,
        data_dir: Path,
        seconds: float | None,
        say: Callable[[str], None],
    ) -> None:
        self._study_name = study_name
        self._storage_url = storage_url
        self._data_dir = data_dir
        self._seconds = seconds
        self._say = say
        self._seats = [_Seat(f"worker-{i}", slot) for i, slot in enumerate(slots)]

    def start(self) -> None:
        """Start a worker in every slot."""
        for seat in self._seats:
            self._start(seat)

    def poll(self) -> list[WorkerExit]:
        """The workers that ended since the last call; their slots are free."""
        exits = []
        for seat in self._seats:
            if seat.process is None or seat.process.poll() is None:
                continue
            status = seat.process.returncode
            self._close(seat)
            exits.append(WorkerExit(seat.name, status, seat.last_words))
        return exits

    def restart(self, name: str, seconds: float | None) -> bool:
        """Start a worker again that was killed; refused where that happens again and again.

        Args:
            name: of the worker.
            seconds: as for the engine, from now.
        """
        seat = next(seat for seat in self._seats if seat.name == name)
        now = time.monotonic()
        seat.restarts = [at for at in seat.restarts if now - at < 3600] + [now]
        if len(seat.restarts) > MAX_RESTARTS_AN_HOUR:
            return False
        self._seconds = seconds
        self._start(seat)
        return True

    @property
    def running(self) -> int:
        """Workers that have not ended."""
        return sum(seat.process is not None for seat in self._seats)

    def stop(self) -> None:
        """Ask all workers to stop after the batch they are at."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End all workers at once, and wait for them."""
        self._signal(signal.SIGKILL)
        for seat in self._seats:
            if seat.process is not None:
                seat.process.wait()
                self._close(seat)

    def _start(self, seat: _Seat) -> None:
        command = [sys.executable, "-m", "sweeps", "worker"]
        command += ["--storage", self._storage_url, "--data-dir", str(self._data_dir)]
        command += ["--name", seat.name, "--device", seat.slot.device]
        command += ["--threads", str(seat.slot.threads), "--supervised"]
        if self._seconds is not None:
            command += ["--timeout", f"{max(self._seconds, 0) / 60:.4f}"]
        # A study's name may begin with a dash.
        command += ["--", self._study_name]
        seat.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,
        )
        seat.reader = threading.Thread(target=self._read, args=(seat,), daemon=True)
        seat.reader.start()

    def _read(self, seat: _Seat) -> None:
        assert seat.process is not None
        assert seat.process.stdout is not None
        for line in seat.process.stdout:
            if line.strip():
                seat.last_words = line.strip()
                self._say(f"{seat.name}: {line.rstrip()}")

    def _close(self, seat: _Seat) -> None:
        assert seat.process is not None
        assert seat.reader is not None
        # The pipe ends with the process, unless a child of its own holds it open.
        seat.reader.join(timeout=5)
        for pipe in (seat.process.stdin, seat.process.stdout):
            if pipe is not None:
                pipe.close()
        seat.process = None

    def _signal(self, number: signal.Signals) -> None:
        for seat in self._seats:
            if seat.process is not None and seat.process.poll() is None:
                seat.process.send_signal(number)
