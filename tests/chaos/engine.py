"""An engine whose workers are forks, so that hundreds of them can be started in a minute."""

import json
import os
import socket
from collections.abc import Iterator

from sweeps.engines import WorkerExit


class ForkEngine:
    """A :class:`sweeps.engines.Engine` over :func:`tests.chaos.parent.fork_parent`.

    Args:
        link: to the workers' parent.
        parent: its number.
        count: how many workers.
    """

    restarts_workers = False

    def __init__(self, link: socket.socket, parent: int, count: int) -> None:
        self._parent = parent
        self._link = link
        self._unread = b""
        self._names = [f"worker-{index}" for index in range(count)]
        self._running: set[str] = set()

    def start(self) -> None:
        for name in self._names:
            self.restart(name)

    def poll(self) -> list[WorkerExit]:
        return list(self._receive(socket.MSG_DONTWAIT))

    def restart(self, name: str) -> None:
        assert name not in self._running
        self._running.add(name)
        self._tell(f"start {name}")

    def stop(self) -> None:
        self._tell("stop")

    def kill(self) -> None:
        self._tell("kill")
        while self._running:
            list(self._receive(0))
        self._link.close()
        os.waitpid(self._parent, 0)

    @property
    def running(self) -> int:
        return len(self._running)

    def _receive(self, flags: int) -> Iterator[WorkerExit]:
        try:
            received = self._link.recv(65536, flags)
        except BlockingIOError:
            return
        assert received, "the workers' parent has ended"
        *lines, self._unread = (self._unread + received).split(b"\n")
        for line in lines:
            name, status = json.loads(line)
            self._running.remove(name)
            yield WorkerExit(name, status, "")

    def _tell(self, line: str) -> None:
        self._link.sendall(line.encode() + b"\n")
