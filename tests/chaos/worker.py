"""A worker's process, as ``sweeps worker --seat`` has it, without training."""

import os
import signal
import sys
import threading
import traceback
from typing import Any, NoReturn

import optuna
from sqlalchemy import event

from storage import StorageError, open_storage, open_study, study_uid
from sweeps.errors import SweepsError
from sweeps.reporting import show_log
from sweeps.worker.checkpoints import Checkpoints
from sweeps.worker.loop import Worker
from sweeps.worker.process import stop_with_parent
from tests.chaos.journal import Journal
from tests.chaos.objective import FakeObjective, suggest
from tests.chaos.settings import ChaosSettings

_CHECKPOINT_SECONDS = 0.05


def be_worker(settings: ChaosSettings, name: str) -> NoReturn:
    """Work, and end this process."""
    status = 1
    try:
        _work(settings, name)
        status = 0
    except SystemExit as left:
        status = int(left.code or 0)
    except (SweepsError, StorageError) as error:
        # A line, as the command line has it.
        print(error, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _work(settings: ChaosSettings, name: str) -> None:
    stop = threading.Event()

    # Asked twice it stops once, as the workers of a run do.
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    stop_with_parent(stop)
    journal = Journal(settings.journal)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = open_storage(settings.url)

    def note_error(context: Any) -> None:
        # Not a signal that came in the middle.
        if context.sqlalchemy_exception is not None:
            journal.write("error", worker=name, text=str(context.original_exception))

    event.listen(storage.engine, "handle_error", note_error)
    study = open_study(storage)
    study.pruner = optuna.pruners.MedianPruner(n_startup_trials=10, n_warmup_steps=2)

    def complain(text: str) -> None:
        journal.write("complaint", worker=name, text=text)

    worker = Worker(
        storage=storage,
        study=study,
        study_uid=study_uid(storage, study),
        objective=FakeObjective(journal, settings.epoch_seconds, settings.sleeper),
        configure=suggest,
        make_sampler=lambda stream: optuna.samplers.RandomSampler(seed=stream),
        checkpoints=Checkpoints(settings.checkpoints, study, seconds=_CHECKPOINT_SECONDS),
        metrics=["val_accuracy"],
        name=name,
        seat=settings.seat(name),
        device_label="none",
        should_stop=stop.is_set,
    )
    with show_log(complain):
        worker.run()
    journal.write("done", worker=name, torch="torch" in sys.modules)
