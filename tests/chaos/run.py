"""A run's process, as ``sweeps run`` has it, without images: ``python -m tests.chaos.run``."""

import signal
import sys
import time
from types import FrameType

import optuna
import psycopg  # noqa: F401  (so that the forks have it)

from storage import (
    CONFIGURATION,
    DATABASE_ERRORS,
    RETRIES,
    TARGET,
    HardenedStorage,
    StorageError,
    count_claims,
    create_study,
    open_storage,
    reclaim,
    study_uid,
)
from sweeps.errors import SweepsError
from sweeps.reporting import show_log
from sweeps.runner.supervisor import Supervisor
from sweeps.study.progress import Progress
from sweeps.worker.checkpoints import Checkpoints
from tests.chaos.engine import ForkEngine
from tests.chaos.journal import Journal
from tests.chaos.parent import fork_parent
from tests.chaos.settings import ChaosSettings, hurry
from tests.chaos.warming import warm_up

BASELINES = 10

_ATTEMPTS = 20


class JournalReporter:
    """A reporter that writes messages into the journal.

    Args:
        journal: the journal.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def update(self, progress: Progress, seconds_left: float | None) -> None: ...

    def say(self, text: str) -> None:
        self._journal.write("say", text=text)


def main() -> None:
    settings = ChaosSettings.from_text(sys.argv[1])
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    hurry(settings.grace)
    warm_up()
    engine = ForkEngine(*fork_parent(settings), settings.workers)
    received: list[int] = []

    def receive(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    signal.signal(signal.SIGTERM, receive)
    storage, study = open_study(settings)
    reporter = JournalReporter(Journal(settings.journal))
    supervisor = Supervisor(
        storage,
        study,
        study_uid(storage, study),
        engine,
        settings.seat,
        reporter,
        seconds_left=lambda: None,
        received=received,
    )
    try:
        with show_log(reporter.say):
            supervisor.watch()
    except SweepsError as error:
        sys.exit(str(error))
    finally:
        engine.kill()
        reclaim(storage, study)
        checkpoints = Checkpoints(settings.checkpoints, study)
        checkpoints.tidy(study.get_trials(deepcopy=False))


def open_study(settings: ChaosSettings) -> tuple[HardenedStorage, optuna.Study]:
    """The storage and the study; retried while the server is unavailable, as a person would."""
    for _ in range(_ATTEMPTS):
        try:
            storage = open_storage(settings.url, create=True)
            study = make_study(storage, settings)
            reclaim(storage, study)
            return storage, study
        except (StorageError, *DATABASE_ERRORS) as error:
            said = error
            time.sleep(0.5)
    raise said


def make_study(storage: HardenedStorage, settings: ChaosSettings) -> optuna.Study:
    """The study, made if there is none, with the run's target."""

    def set_up(study: optuna.Study) -> None:
        study.set_user_attr(RETRIES, settings.retries)
        for index in range(BASELINES):
            study.enqueue_trial(
                {"x": index / BASELINES, "y": index + 1, "z": "a"},
                user_attrs={CONFIGURATION: f"baseline {index}"},
            )

    study = create_study(storage, "chaos", "maximize", set_up)
    study.set_user_attr(TARGET, max(settings.target, count_claims(storage, study._study_id)))
    return study


if __name__ == "__main__":
    main()
