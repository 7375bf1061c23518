"""What workers are called: ``HOST-N``, where two runs on a host count on from each other."""

import re
import socket
from collections.abc import Iterable

from storage import WorkerRecord

#: A storage takes names of 64 letters, the number included.
_MAX_HOST = 48


def short_host() -> str:
    """This machine's name, without its domain."""
    return socket.gethostname().split(".")[0][:_MAX_HOST]


def next_number(living: Iterable[WorkerRecord], prefix: str) -> int:
    """The number after those of the living workers whose names begin like that."""
    pattern = re.compile(re.escape(prefix) + r"-(\d+)")
    found = (pattern.fullmatch(worker.name) for worker in living)
    return max((int(match[1]) for match in found if match), default=-1) + 1
