"""Optuna's RDB storage, hardened for many processes on SQLite and PostgreSQL."""

import functools
import time
from collections.abc import Callable, Collection, Container, Sequence
from types import ModuleType
from typing import Any

from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, bindparam, event, select, update
from sqlalchemy.engine import URL

from storage import postgresql, sqlite
from storage.claims import IS_CLAIM, Claim, held_claim, lock_trial
from storage.errors import DATABASE_ERRORS, ClaimLost, StorageError, explain, is_transient
from storage.reading import read_trial, read_trials
from storage.reconnecting import PATIENCE_SECONDS, patient, pauses, waited_for
from storage.schema import claims_table, delete_rows_of_study, prepare_schema
from storage.transactions import JoiningSessions, transaction
from storage.url import is_sqlite, parse_url, show_url

_SETUP_ATTEMPTS = 5
_SETUP_SECONDS = 5.0

# Built once, since that takes longer than executing them.
_CLAIMED = select(claims_table.c.trial_id).where(IS_CLAIM)
_ATTACH = update(claims_table).where(IS_CLAIM).values(trial_id=bindparam("taken"))


class HardenedStorage(RDBStorage):
    """An :class:`optuna.storages.RDBStorage` that is safe for many processes.

    - What a decision rests on is read in the transaction that acts on it: on SQLite, which ignores
      ``FOR UPDATE``, two workers can otherwise take the same queued trial.
    - Several calls can be one transaction (:func:`storage.transactions.transaction`).
    - A trial that a thread asks for while it holds a claim belongs to that claim from its first
      moment.
    - A trial changes only while it runs, and a thread that holds a claim changes no other trial.
      The trial is locked first: Optuna looks whether a trial still runs, and then writes; a process
      that is suspended in between would write to a trial that has been retried meanwhile.
    - Trials are read as of one moment, so that a finished trial's retry is always visible and its
      checkpoint is kept.
    - Calls wait while the database is unavailable, and are made again
      (:func:`storage.reconnecting.patient`). Those of workers do their work once. A trial that is
      made or told without a claim may be made twice, or found to have ended, where a connection
      breaks between a commit and its answer.

    Args:
        url: the storage's URL.

    Attributes:
        location: the URL as it may be shown, without its password.
        patience: how many seconds a call waits for the database; may be shortened while calls wait.
        haste: how many seconds a call may take in all, once :meth:`hurry` was called.
        last_disconnect: when the database was last unavailable, by ``time.monotonic()``; ``None``
            if it never was.
    """

    def __init__(self, url: URL) -> None:
        self.location = show_url(url)
        self.patience = PATIENCE_SECONDS
        self.haste: float | None = None
        self.last_disconnect: float | None = None
        self._url = url
        # Optuna formats the URL as a template, so braces in a path are doubled.
        text = url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
        try:
            super().__init__(text, engine_kwargs=_backend(url).engine_settings(url))
            event.listen(self.engine, "do_connect", self._hurry_connecting)
            event.listen(self.engine, "begin", self._hurry_transaction)
            if _backend(url) is sqlite:
                event.listen(self.engine, "begin", sqlite.begin)
            self.scoped_session = JoiningSessions(self.scoped_session, self.engine)
            prepare_schema(self.engine, self.location)
        except BaseException:
            # Another attempt must not find the server full of this one's connections.
            if hasattr(self, "engine"):
                self.engine.dispose()
            raise

    def __reduce__(self) -> tuple[Any, ...]:
        return HardenedStorage, (self._url,)

    def hurry(self, seconds: float) -> None:
        """Let each later call end within about so many seconds, whatever its database does.

        Calls that wait for an unavailable database give up as soon. One that is blocked inside the
        database goes on until the database lets go of it. May be called in a signal handler.
        """
        self.haste = seconds if self.haste is None else min(self.haste, seconds)
        self.patience = min(self.patience, seconds)

    @patient
    def delete_study(self, study_id: int) -> None:
        with transaction(self.engine, study_id) as connection:
            delete_rows_of_study(connection, study_id)
            super().delete_study(study_id)

    @patient
    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        claim = held_claim()
        with transaction(self.engine) as connection:
            if state is not TrialState.RUNNING:
                lock_trial(connection, trial_id)
            if claim is None or state is not TrialState.RUNNING:
                return super().set_trial_state_values(trial_id, state, values)
            held = self._claimed_trial(claim)
            if held is not None:
                return held == trial_id
            taken = super().set_trial_state_values(trial_id, state, values)
            if taken:
                self._attach(claim, trial_id)
            return taken

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return read_trial(self, trial_id)

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: Collection[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        return read_trials(self, study_id, states, included_trial_ids, trial_id_greater_than)

    @patient
    def _create_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None = None
    ) -> FrozenTrial:
        claim = held_claim()
        with transaction(self.engine, study_id):
            if claim is None or template_trial is not None:
                return super()._create_new_trial(study_id, template_trial)
            trial_id = self._claimed_trial(claim)
            # Made already, by a call whose answer was lost with its connection.
            if trial_id is not None:
                return self.get_trial(trial_id)
            trial = super()._create_new_trial(study_id)
            self._attach(claim, trial._trial_id)
            return trial

    def _claimed_trial(self, claim: Claim) -> int | None:
        """The id of a claim's trial, if it has one yet.

        Raises:
            ClaimLost: the claim was given back, since its worker was taken for dead.
        """
        with transaction(self.engine) as connection:
            row = connection.execute(_CLAIMED, claim.row).one_or_none()
        if row is None:
            raise ClaimLost(f"claim {claim.claim_id} was given back")
        return None if row.trial_id is None else int(row.trial_id)

    def _attach(self, claim: Claim, trial_id: int) -> None:
        with transaction(self.engine) as connection:
            changed = connection.execute(_ATTACH, {"taken": trial_id, **claim.row})
            if changed.rowcount != 1:
                raise ClaimLost(f"claim {claim.claim_id} was given back")

    def _hurry_connecting(
        self, _dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]
    ) -> None:
        if self.haste is not None:
            _backend(self._url).hurry_connecting(parameters, self.haste)

    def _hurry_transaction(self, connection: Connection) -> None:
        if self.haste is not None:
            _backend(self._url).hurry(connection, self.haste)


def _guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(storage: HardenedStorage, trial_id: int, *args: Any, **kwargs: Any) -> Any:
        with transaction(storage.engine) as connection:
            lock_trial(connection, trial_id)
            return method(storage, trial_id, *args, **kwargs)

    return call


for _name in (
    "set_trial_param",
    "_set_trial_param",
    "set_trial_intermediate_value",
    "set_trial_user_attr",
    "set_trial_system_attr",
):
    setattr(HardenedStorage, _name, patient(_guarded(getattr(HardenedStorage, _name))))

# What Optuna calls, its own classes by some private names, and what bears being called again: an
# attribute is set again. (A second create_new_study finds the name taken; storage.studies bears
# that.)
for _name in (
    "create_new_study",
    "set_study_user_attr",
    "set_study_system_attr",
    "get_study_id_from_name",
    "get_study_name_from_id",
    "get_study_directions",
    "get_study_user_attrs",
    "get_study_system_attrs",
    "get_all_studies",
    "get_trial_id_from_study_id_trial_number",
    "get_trial_param",
    "get_trial_user_attrs",
    "get_trial_system_attrs",
    "get_trial",
    "get_all_trials",
    "_get_trials",
    "_get_best_trial_id",
    "record_heartbeat",
    "_get_stale_trial_ids",
):
    setattr(HardenedStorage, _name, patient(getattr(HardenedStorage, _name)))


def open_storage(url: str | URL, *, create: bool = False, patience: float = 0.0) -> HardenedStorage:
    """Open a storage, with Optuna's tables and ours.

    Tables of an older release are upgraded.

    Args:
        url: a storage URL, or the path of a SQLite file.
        create: make the file, or the tables, when they are missing; otherwise a missing file is
            refused.
        patience: how many seconds to wait for a server that is unavailable, or has no connection
            left. Once opened, a storage is patient by itself.

    Raises:
        StorageError: it cannot be used; the message says why, in one line.

    Example:
        >>> storage = open_storage("sweeps.db", create=True)
        >>> storage.location
        'sqlite:///sweeps.db'
    """
    if isinstance(url, str):
        url = parse_url(url)
    began = time.monotonic()
    for pause in pauses():
        try:
            return _open(url, create)
        except StorageError as error:
            waited = time.monotonic() - began
            if not is_transient(error) or patience == 0:
                raise
            if waited >= patience:
                raise StorageError(f"{error}{waited_for(waited)}") from error
            time.sleep(min(pause, patience - waited))
    raise AssertionError("unreachable")


def _open(url: URL, create: bool) -> HardenedStorage:
    _backend(url).check(url, must_exist=not create)
    began = time.monotonic()
    for attempt, pause in enumerate(pauses(), start=1):
        try:
            return HardenedStorage(url)
        except DATABASE_ERRORS as error:
            # Optuna creates its tables without a lock: of two processes that do it at once, one
            # fails since they exist already, and finds them on its next attempt. Or SQLite refuses
            # it without waiting for the other, which has the file for less than a second.
            busy = is_sqlite(url) and is_transient(error)
            busy = busy and time.monotonic() - began < _SETUP_SECONDS
            if busy or (attempt < _SETUP_ATTEMPTS and _lost_setup_race(error)):
                time.sleep(pause)
                continue
            explained = explain(error, show_url(url))
            if explained is None:
                raise
            raise explained from error
        except RuntimeError as error:
            # Optuna's words about a schema of another of its releases.
            raise StorageError(f"{show_url(url)}: {' '.join(str(error).split())}") from None
    raise AssertionError("unreachable")


def check_storage(url: URL) -> None:
    """See whether a storage can be opened or made, without making it.

    Raises:
        StorageError: it cannot.
    """
    _backend(url).check(url, must_exist=False)


def _backend(url: URL) -> ModuleType:
    """The module that knows a kind of database."""
    return sqlite if is_sqlite(url) else postgresql


def _lost_setup_race(error: BaseException) -> bool:
    text = f"{error} {error.__cause__}".lower()
    return any(word in text for word in ("already exists", "unique constraint", "duplicate key"))
