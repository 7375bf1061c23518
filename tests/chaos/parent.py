"""The workers' parent: a process that has everything imported, so that a worker is a fork of it.

It is the one that knows which of its children live, so it is also where signals come from. It
ends with the run that it belongs to, and its children find their parent gone.
"""

import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import sys
import traceback
from typing import NoReturn

from tests.chaos.journal import Journal
from tests.chaos.monkey import Monkey
from tests.chaos.settings import ChaosSettings
from tests.chaos.worker import be_worker

_TURN_SECONDS = 0.005


def fork_parent(settings: ChaosSettings) -> tuple[socket.socket, int]:
    """Fork the workers' parent; to be called while this process has no threads or connections.

    Returns:
        Where to tell it ``start NAME``, ``stop`` and ``kill``, a line each, which it answers with
        ``[NAME, STATUS]`` for each worker that has ended; and its number.
    """
    ours, theirs = socket.socketpair()
    gc.freeze()
    pid = os.fork()
    if pid == 0:
        ours.close()
        # Ctrl-C is the run's to handle.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            _Parent(settings, theirs).run()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(1)
    theirs.close()
    return ours, pid


class _Parent:
    def __init__(self, settings: ChaosSettings, link: socket.socket) -> None:
        self._settings = settings
        self._link = link
        self._journal = Journal(settings.journal)
        self._pids: dict[str, int] = {}
        # Closed when a worker has ended, and when this process has.
        self._inputs: dict[str, int] = {}
        self._monkey = Monkey(settings, self._send)

    def run(self) -> NoReturn:
        selector = selectors.DefaultSelector()
        selector.register(self._link, selectors.EVENT_READ)
        while True:
            if selector.select(_TURN_SECONDS):
                text = self._link.recv(65536).decode()
                if not text:
                    os._exit(0)
                for line in text.splitlines():
                    self._obey(*line.split())
            self._collect()
            self._monkey.act(self._pids)

    def _obey(self, word: str, name: str = "") -> None:
        if word == "start":
            self._start(name)
            return
        number = {"stop": signal.SIGTERM, "kill": signal.SIGKILL}[word]
        for pid in self._pids.values():
            os.kill(pid, number)

    def _start(self, name: str) -> None:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            # In a try of its own: nothing of the parent's may run here.
            try:
                os.setpgid(0, 0)
                os.dup2(reading, 0)
                log = os.open(self._settings.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
                os.dup2(log, 1)
                os.dup2(log, 2)
                os.closerange(3, 256)
                be_worker(self._settings, name)
            finally:
                os._exit(1)
        os.close(reading)
        self._pids[name] = pid
        self._inputs[name] = writing
        self._journal.write("start", worker=name, child=pid)

    def _collect(self) -> None:
        for name, pid in list(self._pids.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self._pids[name]
                os.close(self._inputs.pop(name))
                code = os.waitstatus_to_exitcode(status)
                self._journal.write("exit", worker=name, child=pid, status=code)
                self._link.sendall(json.dumps([name, code]).encode() + b"\n")

    def _send(self, name: str, number: int) -> bool:
        """Send a signal to a child that has not ended; its number is its own until it is reaped."""
        pid = self._pids[name]
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        self._journal.write("signal", worker=name, child=pid, signal=signal.Signals(number).name)
        return True
