"""Studies: created once, found by name, the newest when none is named."""

import difflib
import uuid
from collections.abc import Callable, Sequence
from typing import Literal

import optuna
from optuna.exceptions import DuplicatedStudyError
from sqlalchemy import Connection, delete, select

from storage.errors import StorageError
from storage.reconnecting import batch, patient
from storage.schema import (
    CHECKPOINTS_ID,
    READY,
    STUDY_UID,
    claims_table,
    metrics_table,
    trials_table,
    workers_table,
)
from storage.storage import HardenedStorage
from storage.transactions import lock_study, transaction

_MOST_NAMED = 10

Direction = Literal["minimize", "maximize"]


@patient
def create_study(
    storage: HardenedStorage,
    name: str,
    direction: Direction | Sequence[Direction],
    set_up: Callable[[optuna.Study], None],
) -> optuna.Study:
    """Create a study, or find the one of that name.

    A study and what ``set_up`` writes are there as a whole, and once, whatever happens meanwhile:
    both are one transaction. ``set_up`` must bear being called again.

    Args:
        storage: where it is created.
        name: its name.
        direction: ``minimize`` or ``maximize``; one for each objective where there are several.
        set_up: called for a new study, and for one that another program created.
    """
    directions: list[Direction] = [direction] if isinstance(direction, str) else [*direction]
    with transaction(storage.engine) as connection:
        try:
            study = optuna.create_study(storage=storage, study_name=name, directions=directions)
        except DuplicatedStudyError:
            study = optuna.load_study(study_name=name, storage=storage)
            # Only one of several processes sets it up; the others wait here.
            lock_study(connection, study._study_id)
        if not study.user_attrs.get(READY):
            _forget_rows_of_reused_ids(connection, study._study_id)
            _set_ids(study)
            set_up(study)
            study.set_user_attr(READY, True)
    return study


def study_uid(storage: HardenedStorage, study: optuna.Study) -> str:
    """The id that tells a study from later ones of its number; a study without one gets one.

    Read it before anything else of a study that is to be worked on: what a claim under this id
    writes to is then the study that was read.
    """
    uid: str | None = study.user_attrs.get(STUDY_UID)
    if uid is None:
        batch(storage, study._study_id, lambda: _set_ids(study))
        uid = study.user_attrs[STUDY_UID]
    return uid


def open_study(storage: HardenedStorage, name: str | None = None) -> optuna.Study:
    """Find a study by its name, or the newest.

    Raises:
        StorageError: there is none, or none of that name; the message has the nearest name.
    """
    names = study_names(storage)
    if not names:
        raise StorageError(f"{storage.location}: holds no study yet; `sweeps run` makes one")
    if name is not None and name not in names:
        raise no_such_study(name, names, storage.location)
    return optuna.load_study(study_name=names[-1] if name is None else name, storage=storage)


def study_names(storage: HardenedStorage) -> list[str]:
    """The names of all studies, the newest last."""
    studies = sorted(storage.get_all_studies(), key=lambda study: study._study_id)
    return [study.study_name for study in studies]


def no_such_study(name: str, names: Sequence[str], where: str) -> StorageError:
    """The error of a study that does not exist: with the nearest name, or all there are."""
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        hint = f"did you mean {near[0]}?"
    elif names:
        newest = ", ".join(names[: -_MOST_NAMED - 1 : -1])
        hint = f"there {'is' if len(names) == 1 else 'are'} {newest}"
        hint += f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    else:
        hint = "it holds none"
    return StorageError(f"{name}: no such study in {where}; {hint}")


def _set_ids(study: optuna.Study) -> None:
    known = study.user_attrs
    for name in (STUDY_UID, CHECKPOINTS_ID):
        if name not in known:
            study.set_user_attr(name, uuid.uuid4().hex[:12])


def _forget_rows_of_reused_ids(connection: Connection, study_id: int) -> None:
    for table in (workers_table, claims_table):
        connection.execute(delete(table).where(table.c.study_id == study_id))
    trials = select(trials_table.c.trial_id)
    connection.execute(delete(metrics_table).where(metrics_table.c.trial_id.not_in(trials)))
