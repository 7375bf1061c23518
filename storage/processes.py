"""Telling whether a process still runs, even where its number was given to another since."""

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class ProcessIdentity:
    """A process, told apart from a later one of the same number.

    Attributes:
        host: the machine's name.
        pid: its number there.
        birth: when it started, in the kernel's ticks since boot, and after a slash the namespace
            (of a container, say) in which its number counts and which boot that was of which
            machine; empty where that is not known.
    """

    host: str
    pid: int
    birth: str

    def is_here(self) -> bool:
        """Whether it is one that this process could see: of this machine, boot and namespace."""
        namespace = self.birth.partition("/")[2]
        return self.host == socket.gethostname() and namespace in ("", _namespace())

    def runs_here(self) -> bool:
        """Whether it runs on this machine now, be it suspended."""
        return self._state() not in ("", "Z", "X")

    def is_suspended(self) -> bool:
        """Whether it runs on this machine and is stopped, by SIGSTOP or Ctrl-Z."""
        return self._state() in ("T", "t")

    def _state(self) -> str:
        """The kernel's letter for what it is at; empty when it is gone, ``?`` for not known."""
        if not self.is_here():
            return ""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return ""
        except PermissionError:
            pass
        state, ticks = _state_and_ticks(self.pid)
        born = self.birth.partition("/")[0]
        return "" if born and ticks and ticks != born else state or "?"


def this_process() -> ProcessIdentity:
    """The identity of this process."""
    ticks = _state_and_ticks(os.getpid())[1]
    birth = f"{ticks}/{_namespace()}" if ticks else ""
    return ProcessIdentity(socket.gethostname(), os.getpid(), birth)


def _state_and_ticks(pid: int) -> tuple[str, str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "", ""
    # The name, the second field, may hold blanks; after its closing bracket comes the state.
    fields = text.rpartition(")")[2].split()
    return fields[0], fields[19]


@cache
def _namespace() -> str:
    try:
        # As pid:[4026531836]. The first one has the same number everywhere, and machines may share
        # a name.
        namespace = os.readlink("/proc/self/ns/pid").strip("pid:[]")
        return f"{namespace}-{Path('/proc/sys/kernel/random/boot_id').read_text()[:8]}"
    except OSError:
        return ""
