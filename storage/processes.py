"""Telling whether a process still runs, even where its number was given to another since."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProcessIdentity:
    """A process, told apart from a later one of the same number.

    Attributes:
        host: the machine's name.
        pid: its number there.
        birth: when it started, in the kernel's ticks since boot; empty where that is not known.
    """

    host: str
    pid: int
    birth: str

    def is_here(self) -> bool:
        """Whether it is one of this machine's."""
        return self.host == socket.gethostname()

    def runs_here(self) -> bool:
        """Whether it runs on this machine now."""
        if not self.is_here():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        state, birth = _state_and_birth(self.pid)
        return state != "Z" and (not self.birth or not birth or birth == self.birth)


def this_process() -> ProcessIdentity:
    """The identity of this process."""
    return ProcessIdentity(socket.gethostname(), os.getpid(), _state_and_birth(os.getpid())[1])


def _state_and_birth(pid: int) -> tuple[str, str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "", ""
    # The name, the second field, may hold blanks; after its closing bracket comes the state.
    fields = text.rpartition(")")[2].split()
    return fields[0], fields[19]
