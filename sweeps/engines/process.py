"""A worker's process, as every engine runs it: here, in a Ray actor, or in a SLURM job."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

#: Batch systems send these to all processes of a job; a worker shall not die of them.
_NOT_FOR_WORKERS = (signal.SIGUSR1, signal.SIGUSR2)
_WAIT_SECONDS = 0.02

#: How long to wait for processes that were killed, all together. With the time that workers have to
#: stop by themselves it is less than the 15 seconds in which a sweep that is stopped is gone.
KILL_SECONDS = 3.5


class WorkerProcess:
    """A worker that was started, with what it writes passed on.

    It sits in a process group of its own, so that Ctrl-C reaches this process alone; and its
    standard input is a pipe whose other end is here, so that it sees when this process is gone.
    Start it from a thread that lives as long as the worker shall: to the kernel, that thread's end
    is the parent's. Its methods may be called from any thread.

    Args:
        command: to run.
        environment: what is added to this process's own.
        say: called with each line that the worker writes, from another thread.

    Attributes:
        pid: the process's number.
        last_words: the last line it wrote, if any.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        say: Callable[[str], None],
    ) -> None:
        self.last_words = ""
        self._say = say
        # Held where a signal is sent, so that the number is still this process's.
        self._lock = threading.Lock()
        with block_signals():
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                process_group=0,
                env={**os.environ, **environment},
            )
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def poll(self) -> int | None:
        """Its exit status once it has ended and all it wrote was passed on; ``None`` before."""
        with self._lock:
            if self._process.returncode is None:
                # Not reaped yet, so its number, the group's too, is nobody else's.
                if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                    return None
                self._signal_group(signal.SIGKILL)
                self._process.wait()
                self._close()
            return self._process.returncode

    def stop(self) -> None:
        """Ask it to stop, by SIGTERM."""
        with self._lock:
            if self._process.returncode is None:
                os.kill(self.pid, signal.SIGTERM)

    def close_input(self) -> None:
        """Ask it to stop as if its parent were gone; asking twice does no harm."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def kill(self) -> None:
        """End it and its children at once, also where it is suspended; does not wait."""
        with self._lock:
            if self._process.returncode is None:
                self._signal_group(signal.SIGKILL)

    def wait(self, seconds: float) -> int | None:
        """Its exit status; ``None`` where it has not ended after so many seconds."""
        deadline = time.monotonic() + seconds
        while self.poll() is None and time.monotonic() < deadline:
            time.sleep(_WAIT_SECONDS)
        return self.poll()

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.strip():
                self.last_words = line.strip()
                self._say(line.rstrip())

    def _close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # The pipe ends with the group, unless a child that left the group holds it open.
        self._reader.join(timeout=1)
        self._process.stdin.close()
        if not self._reader.is_alive():
            self._process.stdout.close()


@contextmanager
def block_signals() -> Iterator[None]:
    """Hold back the signals that are not for workers; a process started here never gets them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _NOT_FOR_WORKERS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
