"""Optuna's RDB storage, hardened for many processes on SQLite and PostgreSQL."""

import json
import time
from collections.abc import Sequence
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, bindparam, event, select, update
from sqlalchemy.engine import URL

from storage import postgresql, sqlite
from storage.claims import IS_CLAIM, Claim, held_claim, lock_trial
from storage.deleting import delete_rows
from storage.disconnects import passes
from storage.errors import DATABASE_ERRORS, ClaimLost, StorageError, explain
from storage.guarding import GuardingStorage
from storage.reconnecting import patient, patiently, pauses, waited_for
from storage.schema import claims_table, prepare_schema
from storage.transactions import JoiningSessions, transaction
from storage.url import is_sqlite, parse_url, show_url

_SETUP_ATTEMPTS = 5
_SETUP_SECONDS = 5.0

# Put together once, since that takes longer than to execute them.
_CLAIMED = select(claims_table.c.trial_id).where(IS_CLAIM)
_ATTACH = update(claims_table).where(IS_CLAIM).values(trial_id=bindparam("taken"))


class HardenedStorage(GuardingStorage):
    """An :class:`optuna.storages.RDBStorage` that is safe for many processes.

    - What a decision rests on is read in the transaction that acts on it: on SQLite, which ignores
      ``FOR UPDATE``, two workers can otherwise take the same queued trial.
    - Several calls can be one transaction (:func:`storage.transactions.transaction`).
    - A trial that is asked for by a claim's holder belongs to that claim from its first moment.
    - A trial changes only while it runs, and its claim's holder changes no other trial
      (:class:`storage.guarding.GuardingStorage`).
    - The server may be restarted under it (:class:`storage.patience.PatientStorage`).

    Args:
        url: the storage's URL.
    """

    def __init__(self, url: URL) -> None:
        self.location = show_url(url)
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
            # Who tries again is not to find the server full of connections of its own.
            if hasattr(self, "engine"):
                self.engine.dispose()
            raise

    def __reduce__(self) -> tuple[Any, ...]:
        return HardenedStorage, (self._url,)

    def _hurry_connecting(
        self, _dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]
    ) -> None:
        if self.haste is not None:
            _backend(self._url).hurry_connecting(parameters, self.haste)

    def _hurry_transaction(self, connection: Connection) -> None:
        if self.haste is not None:
            _backend(self._url).hurry(connection, self.haste)

    def delete_study(self, study_id: int) -> None:
        def delete(again: bool) -> None:
            try:
                with transaction(self.engine, study_id) as connection:
                    delete_rows(connection, study_id)
                    super(HardenedStorage, self).delete_study(study_id)
            except KeyError:
                # Deleted by a call whose answer was lost with its connection.
                if not again:
                    raise

        patiently(self, delete)

    def _create_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None = None
    ) -> FrozenTrial:
        claim = held_claim()
        if claim is None or template_trial is not None:
            return self._create_unclaimed_trial(study_id, template_trial)
        return self._create_claimed_trial(study_id, claim)

    def _create_unclaimed_trial(
        self, study_id: int, template_trial: FrozenTrial | None
    ) -> FrozenTrial:
        made: FrozenTrial | None = None

        def create(again: bool) -> FrozenTrial:
            nonlocal made
            if again and made is not None and self._is_there(made):
                return made
            with transaction(self.engine, study_id):
                made = super(HardenedStorage, self)._create_new_trial(study_id, template_trial)
            return made

        return patiently(self, create)

    def _is_there(self, made: FrozenTrial) -> bool:
        """Whether the storage keeps a trial that was made, rather than another under its id."""
        try:
            kept = self.get_trial(made._trial_id)
        except KeyError:
            return False
        # Either both are of the same call, or they are alike and not begun yet.
        return _identity(kept) == _identity(made)

    @patient
    def _create_claimed_trial(self, study_id: int, claim: Claim) -> FrozenTrial:
        with transaction(self.engine, study_id):
            trial_id = self._claimed_trial(claim)
            # Asked already, by a call whose answer was lost with its connection.
            if trial_id is not None:
                return self.get_trial(trial_id)
            trial = super()._create_new_trial(study_id)
            self._attach(claim, trial._trial_id)
            return trial

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        def change(again: bool) -> bool:
            try:
                return self._change_state(trial_id, state, values)
            except UpdateFinishedTrialError:
                if again and self._has_ended_so(trial_id, state, values):
                    return True
                raise

        return patiently(self, change)

    def _has_ended_so(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None
    ) -> bool:
        trial = self.get_trial(trial_id)
        return trial.state is state and trial.values == (None if values is None else list(values))

    def _change_state(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None
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

    def _claimed_trial(self, claim: Claim) -> int | None:
        """The trial of a claim, if it has one yet.

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


def open_storage(url: str | URL, *, create: bool = False, patience: float = 0.0) -> HardenedStorage:
    """Open a storage, with Optuna's tables and ours.

    Args:
        url: a storage URL, or the path of a SQLite file.
        create: make the file, or the tables, when they are missing; otherwise a missing file is
            refused.
        patience: how many seconds to wait for a server that is away, or has no connection left.
            Once opened, a storage is patient by itself.

    Raises:
        StorageError: it cannot be used; the message says why, in one line.
    """
    if isinstance(url, str):
        url = parse_url(url)
    began = time.monotonic()
    for pause in pauses():
        try:
            return _open(url, create)
        except StorageError as error:
            waited = time.monotonic() - began
            if not passes(error) or patience == 0:
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
            # Optuna creates its tables without a lock: of two that do it at once, one is told that
            # they exist already and finds them there on its next attempt. Or SQLite refuses it at
            # once, without waiting for the other, which has the file for less than a second.
            is_busy = is_sqlite(url) and passes(error) and time.monotonic() - began < _SETUP_SECONDS
            if is_busy or (attempt < _SETUP_ATTEMPTS and _lost_setup_race(error)):
                time.sleep(pause)
                continue
            told = explain(error, show_url(url))
            if told is None:
                raise
            raise told from error
        except RuntimeError as error:
            # Optuna's word on a schema of another of its releases.
            raise StorageError(f"{show_url(url)}: {' '.join(str(error).split())}") from None
    raise AssertionError("unreachable")


def check_storage(url: URL) -> None:
    """See whether a storage can be opened or made, without making it.

    Raises:
        StorageError: it cannot.
    """
    _backend(url).check(url, must_exist=False)


def _backend(url: URL) -> Any:
    """The module that knows a kind of database."""
    return {"sqlite": sqlite, "postgresql": postgresql}[url.get_backend_name()]


def _identity(trial: FrozenTrial) -> tuple[Any, ...]:
    attributes = json.dumps([trial.user_attrs, trial.system_attrs], sort_keys=True)
    return trial.number, trial.datetime_start, attributes


def _lost_setup_race(error: BaseException) -> bool:
    text = f"{error} {error.__cause__}".lower()
    return any(word in text for word in ("already exists", "unique constraint", "duplicate key"))
