"""The workers of a study: who they are, what they are at, and whether they live."""

import time
import uuid
from dataclasses import asdict, dataclass

from sqlalchemy import func, select, update

from storage.processes import ProcessIdentity, this_process
from storage.rdb import HardenedStorage
from storage.schema import workers_table
from storage.sqlite import write_lock

HEARTBEAT_SECONDS = 10.0
GRACE_SECONDS = 90.0


@dataclass(frozen=True)
class WorkerRecord:
    """A worker as the storage knows it.

    Attributes:
        number: counted from 0 within its study.
        started, last_seen, ended: seconds since 1970; ``ended`` is ``None`` for one at work.
        trial_number, epoch, epochs, value: the trial it is at, its last finished epoch of how
            many, and the metric then; ``None`` where there is none yet.
    """

    worker_id: str
    study_id: int
    number: int
    name: str
    host: str
    pid: int
    birth: str
    device: str
    started: float
    last_seen: float
    ended: float | None
    trial_number: int | None
    epoch: int | None
    epochs: int | None
    value: float | None

    def is_alive(self) -> bool:
        """Whether it is at work.

        On this machine its process decides: one that was suspended for a while, with the whole
        machine even, still is. Of another machine's processes only the heartbeat is known.
        """
        if self.ended is not None:
            return False
        process = ProcessIdentity(self.host, self.pid, self.birth)
        if process.is_here():
            return process.runs_here()
        return time.time() - self.last_seen < GRACE_SECONDS


def register_worker(
    storage: HardenedStorage, study_id: int, name: str, device: str
) -> WorkerRecord:
    """Enter this process as a worker of a study."""
    now = time.time()
    count = select(func.count()).where(workers_table.c.study_id == study_id)
    with write_lock(), storage.engine.begin() as connection:
        worker = WorkerRecord(
            worker_id=uuid.uuid4().hex,
            study_id=study_id,
            number=connection.execute(count).scalar_one(),
            name=name,
            **asdict(this_process()),
            device=device,
            started=now,
            last_seen=now,
            ended=None,
            trial_number=None,
            epoch=None,
            epochs=None,
            value=None,
        )
        connection.execute(workers_table.insert().values(**asdict(worker)))
    return worker


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
    """Say that a worker lives, whatever others thought of it."""
    _update(storage, worker_id, ended=None)


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
