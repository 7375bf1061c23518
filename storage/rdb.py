"""Optuna's RDB storage, hardened for parallel workers on SQLite."""

from collections.abc import Sequence

from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy import event
from sqlalchemy.engine import URL

from storage.errors import DATABASE_ERRORS, StorageError, explain
from storage.schema import prepare_schema
from storage.sqlite import BUSY_TIMEOUT_SECONDS, begin, check_file, set_pragmas, write_lock
from storage.url import parse_url, show_url, sqlite_path

_SETUP_ATTEMPTS = 5


class HardenedStorage(RDBStorage):
    """An :class:`optuna.storages.RDBStorage` that is safe for several processes on SQLite.

    Write-ahead logging, a busy timeout, and ``BEGIN IMMEDIATE`` where a trial changes its state:
    without it two workers can take the same queued trial.

    Args:
        url: the storage's URL.
    """

    def __init__(self, url: URL) -> None:
        self.location = show_url(url)
        # Optuna formats the URL as a template, so braces in a path are doubled.
        text = url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
        super().__init__(
            text,
            engine_kwargs={
                "connect_args": {"timeout": BUSY_TIMEOUT_SECONDS},
                "pool_events": [(set_pragmas, "connect")],
            },
        )
        event.listen(self.engine, "begin", begin)
        prepare_schema(self.engine, self.location)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        with write_lock():
            return super().set_trial_state_values(trial_id, state, values)


def open_storage(url: str | URL, *, create: bool = False) -> HardenedStorage:
    """Open a storage, with Optuna's tables and ours.

    Args:
        url: a storage URL, or the path of a SQLite file.
        create: make the file when it is missing; otherwise a missing file is refused.

    Raises:
        StorageError: it cannot be used; the message says why, in one line.
    """
    if isinstance(url, str):
        url = parse_url(url)
    check_file(sqlite_path(url), must_exist=not create)
    for attempt in range(_SETUP_ATTEMPTS):
        try:
            return HardenedStorage(url)
        except DATABASE_ERRORS as error:
            # Optuna creates its tables without a lock: of two that do it at once, one is told that
            # they exist already and finds them there on its next attempt.
            if attempt + 1 < _SETUP_ATTEMPTS and _lost_setup_race(error):
                continue
            raise explain(error, show_url(url)) or error from None
        except RuntimeError as error:
            # Optuna's word on a schema of another of its releases.
            raise StorageError(f"{show_url(url)}: {' '.join(str(error).split())}") from None
    raise AssertionError("unreachable")


def _lost_setup_race(error: BaseException) -> bool:
    text = f"{error} {error.__cause__}"
    return "already exists" in text or "UNIQUE constraint" in text


def check_storage(url: URL) -> None:
    """See whether a storage can be opened or made, without making it.

    Raises:
        StorageError: it cannot.
    """
    check_file(sqlite_path(url), must_exist=False)
