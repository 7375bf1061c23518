"""Optuna's RDB storage with calls that wait for a database that is away."""

from collections.abc import Callable
from typing import TypeVar

from storage.quick_reading import QuickReadingStorage
from storage.reconnecting import PATIENCE_SECONDS, patient

C = TypeVar("C", bound=type)


def _patient_methods(*names: str) -> Callable[[C], C]:
    def wrap(kind: C) -> C:
        for name in names:
            setattr(kind, name, patient(getattr(kind, name)))
        return kind

    return wrap


# What Optuna calls, its own classes by some private names, and what bears being called again: an
# attribute is set again. (A second create_new_study is told that the name is taken; storage.studies
# bears that.)
@_patient_methods(
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
)
class PatientStorage(QuickReadingStorage):
    """An :class:`optuna.storages.RDBStorage` that outlives restarts of its database's server.

    Its calls wait, and are made again, when the database is away: see
    :func:`storage.reconnecting.patient`. Trials are made, and change their states, in
    :class:`storage.rdb.HardenedStorage`; what else of them changes, does so in
    :class:`storage.guarding.GuardingStorage`.

    Attributes:
        location: the URL as it may be shown, without its password.
        patience: how many seconds a call waits; may be shortened while calls wait.
        haste: how many seconds a call may take in all, once there is a hurry; see :meth:`hurry`.
        last_disconnect: when the database was away last, by ``time.monotonic()``; ``None`` where it
            never was.
    """

    location: str
    patience: float = PATIENCE_SECONDS
    last_disconnect: float | None = None
    haste: float | None = None

    def hurry(self, seconds: float) -> None:
        """Let each later call end within about so many seconds, whatever its database does.

        Calls that wait for a database that is away now give up as soon. One that is blocked inside
        the database goes on until the database lets go of it. May be called in a signal handler.
        """
        self.haste = seconds if self.haste is None else min(self.haste, seconds)
        self.patience = min(self.patience, seconds)
