"""What workers are called: ``HOST-N``, where two runs on a host count on from each other."""

import re
import socket
import time
from collections.abc import Iterable

import optuna

from storage import HardenedStorage, WorkerRecord, batch, living_workers

# A storage takes names of 64 letters, the number included.
_MAX_HOST = 48

#: User attribute of a study: by prefix, the next number that is free and when that was written.
_NUMBERS = "worker_numbers"
#: By then the workers of a run that took its numbers are alive, or never will be.
_STARTING_SECONDS = 90.0


def short_host() -> str:
    """This machine's name, without its domain."""
    return socket.gethostname().split(".")[0][:_MAX_HOST]


def take_numbers(storage: HardenedStorage, study: optuna.Study, prefix: str, count: int) -> int:
    """Take numbers for the workers of a run, in one transaction: no other run takes them too.

    Returns:
        The first of so many.
    """
    first = 0

    def take() -> None:
        nonlocal first
        first = next_number(living_workers(storage, study._study_id), prefix)
        taken = study.user_attrs.get(_NUMBERS, {})
        free, when = taken.get(prefix, (0, 0.0))
        if time.time() - when < _STARTING_SECONDS:
            first = max(first, free)
        study.set_user_attr(_NUMBERS, {**taken, prefix: (first + count, time.time())})

    batch(storage, study._study_id, take)
    return first


def next_number(living: Iterable[WorkerRecord], prefix: str) -> int:
    """The number after those of the living workers whose names begin like that."""
    pattern = re.compile(re.escape(prefix) + r"-(\d+)")
    found = (pattern.fullmatch(worker.name) for worker in living)
    return max((int(match[1]) for match in found if match), default=-1) + 1
