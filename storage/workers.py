"""The workers of a study: their processes, what each of them does, and whether they are alive."""

import os
import socket
import uuid
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import psutil
from sqlalchemy import bindparam, delete, func, select, update

from storage.reconnecting import patient
from storage.schema import GRACE_SECONDS, workers_table
from storage.storage import HardenedStorage
from storage.transactions import now, reading, transaction

_ENDED = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
_SUSPENDED = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)

# How far two readings of a process's start may lie apart: each is rounded to the boot's second.
_BIRTH_SECONDS = 2.0

_UPDATE = update(workers_table).where(workers_table.c.worker_id == bindparam("id"))


@dataclass(frozen=True)
class WorkerRecord:
    """A worker as the storage knows it.

    Attributes:
        number: counted from 0 within its study.
        host, pid: the machine of its process, and its number there.
        birth: when that started, in hundredths of a second since boot, and after a slash the
            namespace (a container, say) in which its number counts and which boot of which machine
            that was; parts that are not known are empty.
        started, last_seen, ended: seconds since 1970; ``ended`` is ``None`` for one at work.
        trial_number, epoch, epochs, value: its trial, that trial's last finished epoch of how many,
            and the metric then; ``None`` where there is none yet.
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

        On this machine its process decides: a worker survives a pause of the whole machine, but not
        being suspended alone for longer than the grace. Of another machine's processes only the
        heartbeat is known.

        Args:
            now: seconds since 1970, by the clock that ``last_seen`` was taken from.
        """
        if self.ended is not None:
            return False
        silent = now - self.last_seen > GRACE_SECONDS
        if not self.is_here():
            return not silent
        status = self._status()
        return status not in _ENDED and not (silent and status in _SUSPENDED)

    def is_here(self) -> bool:
        """Whether this process could see it: it is of the same machine, boot and namespace."""
        namespace = self.birth.partition("/")[2]
        return self.host == socket.gethostname() and namespace in ("", _namespace())

    def _status(self) -> str:
        """psutil's word for what its process, of this machine, does; ``dead`` when it is gone."""
        try:
            process = psutil.Process(self.pid)
            birth = self.birth.partition("/")[0]
            if birth and abs(_seconds_after_boot(process) - int(birth) / 100) > _BIRTH_SECONDS:
                return psutil.STATUS_DEAD
            return process.status()
        except psutil.NoSuchProcess:
            return psutil.STATUS_DEAD
        except psutil.AccessDenied:
            return psutil.STATUS_RUNNING


def register_worker(
    storage: HardenedStorage, study_id: int, name: str, device: str, seat: str = ""
) -> WorkerRecord:
    """Register this process as a worker of a study.

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
        # Registered by a call whose answer was lost with its connection.
        connection.execute(delete(workers_table).where(workers_table.c.worker_id == worker_id))
        moment = now(connection)
        worker = WorkerRecord(
            worker_id=worker_id,
            study_id=study_id,
            number=connection.execute(count).scalar_one(),
            name=name,
            host=socket.gethostname(),
            pid=os.getpid(),
            birth=f"{round(_seconds_after_boot(psutil.Process()) * 100)}/{_namespace()}",
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
    """Record what a worker does."""
    _update(storage, worker_id, trial_number=trial_number, epoch=epoch, epochs=epochs, value=value)


@patient
def beat(storage: HardenedStorage, worker_id: str) -> None:
    """Record that a worker is alive, though it may have been taken for dead."""
    _update(storage, worker_id, ended=None)


@patient
def end_worker(storage: HardenedStorage, worker_id: str, last_seen: float | None = None) -> None:
    """Record that a worker has ended.

    Args:
        storage: where it is registered.
        worker_id: the worker.
        last_seen: when it was last seen, by whoever takes it for dead: one that was seen since is
            left alone. ``None`` where the worker itself ends.
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


def _seconds_after_boot(process: psutil.Process) -> float:
    # Both follow the wall clock, and shift together when it is set.
    return process.create_time() - psutil.boot_time()


@cache
def _namespace() -> str:
    try:
        # As pid:[4026531836]. The first one has the same number everywhere, and machines may share
        # a name.
        namespace = os.readlink("/proc/self/ns/pid").strip("pid:[]")
        return f"{namespace}-{Path('/proc/sys/kernel/random/boot_id').read_text()[:8]}"
    except OSError:
        return ""
