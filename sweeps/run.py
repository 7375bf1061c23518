"""A sweep from its spec to its end: pictures, study, workers, and a watch over them."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import optuna

from storage import HardenedStorage, absolute_url, check_storage, open_storage, parse_url, reclaim
from sweeps.data import Dataset, open_dataset
from sweeps.devices import Slot
from sweeps.engines import LocalEngine, WorkerExit
from sweeps.errors import DatasetUnavailable, Stopped, SweepsError
from sweeps.progress import Progress, read_progress
from sweeps.spec import Spec, probe_values
from sweeps.study import open_or_create_study, study_name
from sweeps.training import check_run, split_rows
from sweeps.views import View

_POLL_SECONDS = 0.5
_RECLAIM_SECONDS = 5.0
_STOP_SECONDS = 15.0


@dataclass(frozen=True)
class Sweep:
    """A study that is ready to be worked on."""

    spec: Spec
    dataset: Dataset
    storage: HardenedStorage
    storage_url: str
    study: optuna.Study
    data_dir: Path


def prepare_sweep(
    spec: Spec, *, storage_url: str, name: str | None, data_dir: Path, say: Callable[[str], None]
) -> Sweep:
    """Check everything, get the pictures, and make the study or find it.

    Args:
        spec: the sweep.
        storage_url: where results go.
        name: of the study; ``None`` for the spec's own.
        data_dir: where datasets are kept.
        say: told what a person should know.

    Raises:
        SweepsError, StorageError: something does not fit; nothing was started.
    """
    url = parse_url(storage_url)
    check_storage(url)
    spec, dataset = _open_pictures(spec, data_dir, say)
    _check_runs(spec, dataset)
    storage = open_storage(url, create=True)
    study = open_or_create_study(storage, spec, name or study_name(spec), dataset)
    reclaimed = reclaim(storage, study)
    if reclaimed:
        say(f"Queued again what an earlier run left unfinished: trials {_listed(reclaimed)}")
    location = absolute_url(url).render_as_string(hide_password=False)
    return Sweep(spec, dataset, storage, location, study, data_dir)


def run_workers(sweep: Sweep, slots: list[Slot], view: View) -> Progress:
    """Let workers run until the study's budget is spent or the time is up.

    Returns:
        Where the study stands then.

    Raises:
        Stopped: a signal asked for it; the running trials were ended and queued again.
        SweepsError: all workers ended before the study did.
    """
    minutes = sweep.spec.budget.minutes
    deadline = time.monotonic() + minutes * 60 if minutes is not None else None
    engine = LocalEngine(
        sweep.study.study_name,
        slots,
        storage_url=sweep.storage_url,
        data_dir=sweep.data_dir,
        seconds=_left(deadline),
        say=view.say,
    )
    exits: list[WorkerExit] = []
    with _signals() as received, view:
        try:
            engine.start()
            exits = _watch(sweep, engine, view, deadline, received)
        finally:
            engine.kill()
            reclaim(sweep.storage, sweep.study)
        progress = read_progress(sweep.storage, sweep.study)
        view.update(progress, None)
    if received:
        raise Stopped(received[0])
    failed = [worker for worker in exits if worker.status != 0]
    gave_up = _left(deadline) != 0 or progress.best is None
    if failed and not progress.is_done and gave_up:
        worker = failed[-1]
        if worker.status < 0:
            reason = f"{worker.name} was killed by signal {-worker.status} again and again"
        else:
            reason = worker.last_words or f"{worker.name} ended with status {worker.status}"
        raise SweepsError(
            f"all workers ended before the study did; run it again to go on. The last: {reason}"
        )
    return progress


def _watch(
    sweep: Sweep,
    engine: LocalEngine,
    view: View,
    deadline: float | None,
    received: list[int],
) -> list[WorkerExit]:
    exits: list[WorkerExit] = []
    stopping: float | None = None
    last_reclaim = time.monotonic()
    while engine.running:
        for worker in engine.poll():
            exits.append(worker)
            if worker.status < 0 and not received:
                view.say(f"{worker.name} was killed by signal {-worker.status}")
                reclaim(sweep.storage, sweep.study)
                if _left(deadline) == 0:
                    continue
                if engine.restart(worker.name, _left(deadline)):
                    exits.remove(worker)
                else:
                    view.say(f"{worker.name} is not started again: it was killed too often")
        now = time.monotonic()
        if received and stopping is None:
            stopping = now
            engine.stop()
            view.say("Stopping: running trials are ended and queued again (again: at once)")
        if stopping is not None and (len(received) > 1 or now - stopping > _STOP_SECONDS):
            engine.kill()
            break
        if now - last_reclaim > _RECLAIM_SECONDS:
            reclaim(sweep.storage, sweep.study)
            last_reclaim = now
        view.update(read_progress(sweep.storage, sweep.study), _left(deadline))
        time.sleep(_POLL_SECONDS)
    return exits


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect the signals that ask for an end instead of dying of them."""
    received: list[int] = []

    def receive(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    # What is ignored stays so: `nohup` and a shell's background jobs ask for that.
    heeded = [number for number in wanted if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, receive) for number in heeded}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(deadline - time.monotonic(), 0.0)


def _open_pictures(spec: Spec, data_dir: Path, say: Callable[[str], None]) -> tuple[Spec, Dataset]:
    """The spec's dataset, or its fallback where that is neither on disk nor to be downloaded."""
    name, size = spec.data.name, spec.data.size
    try:
        return spec, open_dataset(name, data_dir, size)
    except DatasetUnavailable as error:
        if spec.fallback is None:
            raise
        say(f"{error}")
        say(
            f"FALLING BACK to the dataset {spec.fallback!r} in place of {name!r}: what this sweep "
            f"finds says nothing about {name!r}"
        )
    spec = spec.model_copy(update={"data": spec.data.model_copy(update={"name": spec.fallback})})
    return spec, open_dataset(spec.data.name, data_dir, size)


def _check_runs(spec: Spec, dataset: Dataset) -> None:
    """Look at the runs at the borders of the search, so that no trial fails for its pictures."""
    base = spec.base_config()
    train_rows, _ = split_rows(base, dataset)
    for where, values in probe_values(spec):
        try:
            check_run(base.with_values(values), dataset.size, len(train_rows))
        except SweepsError as error:
            raise SweepsError(f"{spec.name}: {where}: {error}") from None


def _listed(numbers: list[int]) -> str:
    return ", ".join(str(number) for number in numbers)
