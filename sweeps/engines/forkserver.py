"""A fork server: it imports what workers need once, and each worker is a fork of it (Linux).

A worker that is forked behaves as one that is started by its command: it has those arguments, that
environment, input and output; `ps` alone shows the command line of the fork server. That forks
twice, so that the worker loses its parent and is adopted by the process that asked for it, which
can then wait for it as for any child.
"""

import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress

_PR_SET_CHILD_SUBREAPER = 36
_MAX_REQUEST = 65536
#: How long to wait for a fork, the server's imports included.
_FORK_SECONDS = 60.0
_END_SECONDS = 1.0


class ForkServer:
    """A fork server, which ends with this object or this process; it may serve several runs."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, module: str, threads: int) -> None:
        """Start the server, unless it runs.

        Args:
            module: imported by the server before it forks.
            threads: CPU threads of a worker.

        Raises:
            OSError: this system has no fork servers.
        """
        if sys.platform != "linux":
            raise OSError("only Linux lets a process adopt orphans")
        if self._process is not None:
            return
        self._link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._link.settimeout(_FORK_SECONDS)
        # A process with threads should not fork, and OpenBLAS starts its own on import.
        settings = {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": "1"}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno()), module],
                stdin=subprocess.DEVNULL,
                # A worker that is started without it shows what is wrong with the imports.
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                process_group=0,
                env={**os.environ, **settings},
            )

    def fork(
        self, command: Sequence[str], environment: Mapping[str, str], stdin: int, output: int
    ) -> int:
        """Start a command of this Python interpreter; return its process's number.

        Args:
            command: the interpreter, then ``-m MODULE`` or a script, then arguments.
            environment: added to the server's own.
            stdin: a descriptor to read from.
            output: a descriptor for what it writes.

        Raises:
            OSError: the server has ended or does not answer.
        """
        request = json.dumps([command[1:], dict(environment)]).encode()
        _adopt_orphans(True)
        try:
            socket.send_fds(self._link, [request], [stdin, output])
            pid = int(self._link.recv(_MAX_REQUEST) or 0)
        finally:
            _adopt_orphans(False)
        if not pid:
            raise OSError("the fork server has ended")
        # Raises ChildProcessError, an OSError, where it was not adopted; its input then closes.
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return pid

    def close(self) -> None:
        """End the server, if it runs; what it has forked lives on."""
        if self._process is None:
            return
        self._link.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def _adopt_orphans(wanted: bool) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0)


def main() -> None:
    """Serve the process that has started this one, until that closes its end of the link."""
    link = socket.socket(fileno=int(sys.argv[1]))
    importlib.import_module(sys.argv[2])
    # Objects that the collector does not touch stay shared between the forks.
    gc.freeze()
    with suppress(ConnectionError):
        while True:
            request, descriptors, _, _ = socket.recv_fds(link, _MAX_REQUEST, 2)
            if not request:
                break
            reading, writing = os.pipe()
            middle = os.fork()
            if middle == 0:
                _fork_worker(writing, link, request, descriptors)
            os.waitpid(middle, 0)
            os.close(writing)
            with open(reading, "rb") as answer:
                link.send(answer.read())
            for descriptor in descriptors:
                os.close(descriptor)
    # There is nothing to tidy up, and to do it takes PyTorch a second.
    os._exit(0)


def _fork_worker(
    answer: int, link: socket.socket, request: bytes, descriptors: Sequence[int]
) -> None:
    """Fork a worker, pass on its number, and end, for the worker to lose its parent."""
    status = 1
    try:
        pid = os.fork()
        if pid:
            os.setpgid(pid, pid)
            os.write(answer, str(pid).encode())
            os._exit(0)
        for target, descriptor in ((0, descriptors[0]), (1, descriptors[1]), (2, descriptors[1])):
            os.dup2(descriptor, target)
        for descriptor in (answer, *descriptors):
            os.close(descriptor)
        link.close()
        _run(*json.loads(request))
        status = 0
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else int(left.code is not None)
        if isinstance(left.code, str):
            print(left.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _run(arguments: list[str], environment: dict[str, str]) -> None:
    """Do what the interpreter does with some arguments."""
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if "numpy.random" in sys.modules:
        # Python gives each fork other random numbers; NumPy's would be the same in all of them.
        sys.modules["numpy.random"].seed()
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    main()
