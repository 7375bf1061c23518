"""The workers of a study: who they are, what they are at, and whether they live."""

import uuid
from dataclasses import asdict, dataclass

from sqlalchemy import bindparam, delete, func, select, update

from storage.clock import now
from storage.processes import ProcessIdentity, this_process
from storage.rdb import HardenedStorage
from storage.reconnecting import patient
from storage.schema import workers_table
from storage.transactions import reading, transaction

HEARTBEAT_SECONDS = 10.0
GRACE_SECONDS = 90.0

_UPDATE = update(workers_table).where(workers_table.c.worker_id == bindparam("id"))


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

    def is_alive(self, now: float) -> bool:
        """Whether it is at work.

        On this machine its process decides: it lives through a pause of the whole machine, and
        through the death of its heartbeat; but not through being suspended alone for longer than
        the grace. Of another machine's processes only the heartbeat is known.

        Args:
            now: seconds since 1970, by the clock that ``last_seen`` was taken from.
        """
        if self.ended is not None:
            return False
        process = self._process()
        silent = now - self.last_seen > GRACE_SECONDS
        if process.is_here():
            return process.runs_here() and not (silent and process.is_suspended())
        return not silent

    def is_here(self) -> bool:
        """Whether it runs, or ran, on this machine."""
        return self._process().is_here()

    def _process(self) -> ProcessIdentity:
        return ProcessIdentity(self.host, self.pid, self.birth)


def register_worker(
    storage: HardenedStorage, study_id: int, name: str, device: str, seat: str = ""
) -> WorkerRecord:
    """Enter this process as a worker of a study.

    Args:
        storage: where the study is.
        study_id: the study.
        name: what the worker is called in tables; others may have the same name.
        device: what it trains on, as a person knows it.
        seat: how its id begins, at most 16 characters; all else of the id is random.
    """
    worker_id = seat + uuid.uuid4().hex[len(seat) :]
    return _register(storage, study_id, worker_id, name, device)


@patient
def _register(
    storage: HardenedStorage, study_id: int, worker_id: str, name: str, device: str
) -> WorkerRecord:
    count = select(func.count()).where(workers_table.c.study_id == study_id)
    with transaction(storage.engine, study_id) as connection:
        # Entered by a call whose answer was lost with its connection.
        connection.execute(delete(workers_table).where(workers_table.c.worker_id == worker_id))
        moment = now(connection)
        worker = WorkerRecord(
            worker_id=worker_id,
            study_id=study_id,
            number=connection.execute(count).scalar_one(),
            name=name,
            **asdict(this_process()),
            device=device,
            started=moment,
            last_seen=moment,
            ended=None,
            trial_number=None,
            epoch=None,
            epochs=None,
            value=None,
        )
        connection.execute(workers_table.insert().values(**asdict(worker)))
    return worker


@patient
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


@patient
def beat(storage: HardenedStorage, worker_id: str) -> None:
    """Say that a worker lives, whatever others thought of it."""
    _update(storage, worker_id, ended=None)


@patient
def end_worker(storage: HardenedStorage, worker_id: str, last_seen: float | None = None) -> None:
    """Say that a worker is no more.

    Args:
        storage: where it is registered.
        worker_id: the worker.
        last_seen: when it was seen last; one that was seen since lives on. ``None`` where it is
            the worker itself that says so.
    """
    with transaction(storage.engine) as connection:
        statement = update(workers_table).where(workers_table.c.worker_id == worker_id)
        if last_seen is not None:
            statement = statement.where(workers_table.c.last_seen == last_seen)
        moment = now(connection)
        connection.execute(statement.values(last_seen=moment, ended=moment, trial_number=None))


@patient
def list_workers(storage: HardenedStorage, study_id: int) -> list[WorkerRecord]:
    """Every worker that a study ever had, in the order of their start."""
    query = select(workers_table).where(workers_table.c.study_id == study_id)
    with reading(storage.engine) as connection:
        rows = connection.execute(query.order_by(workers_table.c.started, workers_table.c.name))
        return [WorkerRecord(**row._mapping) for row in rows]


@patient
def living_workers(storage: HardenedStorage, study_id: int) -> list[WorkerRecord]:
    """The workers of a study that are at work."""
    with reading(storage.engine) as connection:
        moment = now(connection)
    return [worker for worker in list_workers(storage, study_id) if worker.is_alive(moment)]


def _update(storage: HardenedStorage, worker_id: str, **values: object) -> None:
    with transaction(storage.engine) as connection:
        connection.execute(_UPDATE, {"id": worker_id, "last_seen": now(connection), **values})
