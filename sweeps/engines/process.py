"""A worker's process, as every engine runs it: locally, in a Ray actor, or in a SLURM job."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from sweeps.engines.forkserver import ForkServer

#: Batch systems send these to all processes of a job; workers must not die of them.
_NOT_FOR_WORKERS = (signal.SIGUSR1, signal.SIGUSR2)
_WAIT_SECONDS = 0.02

#: How long to wait for processes that were killed, all together. With the time that workers have to
#: stop by themselves it is less than the 15 seconds in which a sweep that is stopped has ended.
KILL_SECONDS = 3.5


class WorkerProcess:
    """A running worker whose output is passed on line by line.

    It has a process group of its own, so that Ctrl-C reaches this process alone. Its standard input
    is a pipe that closes when this process is gone, which tells it to stop. Start it from a thread
    that lives as long as the worker shall: to the kernel, that thread is the parent. All methods
    may be called from any thread.

    Args:
        command: to run.
        environment: added to this process's own.
        on_line: called with each line that the worker writes, from another thread.
        server: forks the process; ``None`` to start it anew.

    Attributes:
        pid: the process's number.
        last_line: the last line it wrote, if any.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        on_line: Callable[[str], None],
        server: ForkServer | None = None,
    ) -> None:
        self.last_line = ""
        self._on_line = on_line
        # Held while a signal is sent, so that the number still belongs to this process.
        self._lock = threading.Lock()
        self._status: int | None = None
        self._popen: subprocess.Popen[bytes] | None = None
        stdin, self._stdin = os.pipe()
        self._output, output = os.pipe()
        try:
            if server is not None:
                self.pid = server.fork(command, environment, stdin, output)
            else:
                with block_signals():
                    self._popen = subprocess.Popen(
                        command,
                        stdin=stdin,
                        stdout=output,
                        stderr=output,
                        process_group=0,
                        env={**os.environ, **environment},
                    )
                self.pid = self._popen.pid
        except BaseException:
            os.close(self._stdin)
            os.close(self._output)
            raise
        finally:
            os.close(stdin)
            os.close(output)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def poll(self) -> int | None:
        """Return its exit status once it has ended and its output was passed on, else ``None``."""
        with self._lock:
            if self._status is None:
                # Look without reaping: its number, and its group's, cannot be reused before that.
                if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                    return None
                self._kill_group()
                self._status = self._reap()
                # The output ends with the group, unless a child that left the group holds it open.
                self._reader.join(timeout=1)
                os.close(self._stdin)
            return self._status

    def stop(self) -> None:
        """Ask it to stop, by SIGTERM; twice does no harm."""
        with self._lock:
            if self._status is None:
                os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Kill it and its children, suspended or not, without waiting."""
        with self._lock:
            if self._status is None:
                self._kill_group()

    def wait(self, seconds: float) -> int | None:
        """Wait at most so long; return its exit status, or ``None`` if it has not ended."""
        deadline = time.monotonic() + seconds
        while self.poll() is None and time.monotonic() < deadline:
            time.sleep(_WAIT_SECONDS)
        return self.poll()

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def _reap(self) -> int:
        if self._popen is not None:
            return self._popen.wait()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self) -> None:
        with open(self._output, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.strip():
                    self.last_line = line.strip()
                    self._on_line(line.rstrip())


@contextmanager
def block_signals() -> Iterator[None]:
    """Block signals that are not for workers; processes started meanwhile never receive them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _NOT_FOR_WORKERS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
