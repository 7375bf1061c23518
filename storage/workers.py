"""The workers of a study: who they are, what they are at, and whether they live."""

import os
import socket
import time
import uuid
from dataclasses import dataclass

from sqlalchemy import select, update

from storage.rdb import HardenedStorage
from storage.schema import workers_table

HEARTBEAT_SECONDS = 10.0
GRACE_SECONDS = 90.0


@dataclass(frozen=True)
class WorkerRecord:
    """A worker as the storage knows it.

    Attributes:
        started, last_seen, ended: seconds since 1970; ``ended`` is ``None`` for one at work.
        trial_number, epoch, epochs, value: the trial it is at, its last finished epoch of how
            many, and the metric then; ``None`` where there is none yet.
    """

    worker_id: str
    study_id: int
    name: str
    host: str
    pid: int
    device: str
    started: float
    last_seen: float
    ended: float | None
    trial_number: int | None
    epoch: int | None
    epochs: int | None
    value: float | None

    def is_alive(self) -> bool:
        """Whether it is at work: not ended, its process there, its heartbeat recent."""
        if self.ended is not None:
            return False
        if self.host == socket.gethostname() and not _process_exists(self.pid):
            return False
        return time.time() - self.last_seen < GRACE_SECONDS


def register_worker(storage: HardenedStorage, study_id: int, name: str, device: str) -> str:
    """Enter this process as a worker of a study; returns its id."""
    worker_id = uuid.uuid4().hex
    now = time.time()
    with storage.engine.begin() as connection:
        connection.execute(
            workers_table.insert().values(
                worker_id=worker_id,
                study_id=study_id,
                name=name,
                host=socket.gethostname(),
                pid=os.getpid(),
                device=device,
                started=now,
                last_seen=now,
            )
        )
    return worker_id


def note_progress(
    storage: HardenedStorage,
    worker_id: str,
    *,
    trial_number: int | None,
    epoch: int | None = None,
    epochs: int | None = None,
    value: float | None = None,
) -> None:
    """Say what a worker is at."""
    _update(storage, worker_id, trial_number=trial_number, epoch=epoch, epochs=epochs, value=value)


def beat(storage: HardenedStorage, worker_id: str) -> None:
    """Say that a worker lives."""
    _update(storage, worker_id)


def end_worker(storage: HardenedStorage, worker_id: str) -> None:
    """Say that a worker is no more."""
    _update(storage, worker_id, ended=time.time(), trial_number=None)


def list_workers(storage: HardenedStorage, study_id: int) -> list[WorkerRecord]:
    """Every worker that a study ever had, in the order of their start."""
    query = select(workers_table).where(workers_table.c.study_id == study_id)
    with storage.engine.connect() as connection:
        rows = connection.execute(query.order_by(workers_table.c.started, workers_table.c.name))
        return [WorkerRecord(**row._mapping) for row in rows]


def _update(storage: HardenedStorage, worker_id: str, **values: object) -> None:
    statement = update(workers_table).where(workers_table.c.worker_id == worker_id)
    with storage.engine.begin() as connection:
        connection.execute(statement.values(last_seen=time.time(), **values))


def _process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
