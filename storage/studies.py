"""Studies: made once, found by name, the newest when none is named."""

import difflib
import uuid
from collections.abc import Callable, Sequence
from typing import Literal

import optuna
from optuna.exceptions import DuplicatedStudyError
from sqlalchemy import delete, select

from storage.batch import batch
from storage.claims import STUDY_UID
from storage.errors import StorageError
from storage.leases import lease
from storage.rdb import HardenedStorage
from storage.schema import claims_table, epochs_table, workers_table
from storage.transactions import transaction

#: User attribute of a study whose set-up is complete.
READY = "ready"
#: User attribute of a study: what its checkpoints go by, which a copy keeps to find them.
CHECKPOINTS_ID = "sweep_id"

_MOST_NAMED = 10


def create_study(
    storage: HardenedStorage,
    name: str,
    direction: Literal["minimize", "maximize"],
    set_up: Callable[[optuna.Study], None],
) -> optuna.Study:
    """Make a study, or find the one of that name.

    ``set_up`` is called for a new study, in one transaction: what it writes is there as a whole,
    and once, whatever happens meanwhile. It must bear being called again.
    """
    with lease(storage, f"the study {name}"):
        try:
            study = optuna.create_study(storage=storage, study_name=name, direction=direction)
        except DuplicatedStudyError:
            study = optuna.load_study(study_name=name, storage=storage)
        if not study.user_attrs.get(READY):

            def make_ready() -> None:
                # The answer to a commit may have been lost, and not what it kept.
                if study.user_attrs.get(READY):
                    return
                _forget_rows_of_reused_ids(storage, study._study_id)
                _give_ids(study)
                set_up(study)
                study.set_user_attr(READY, True)

            batch(storage, study._study_id, make_ready)
    return study


def study_uid(storage: HardenedStorage, study: optuna.Study) -> str:
    """The id that tells a study from later ones of its number; a study without one gets one.

    Read it before anything else of a study that is to be worked on: what a claim under this id
    writes to is then the study that was read.
    """

    uid: str | None = study.user_attrs.get(STUDY_UID)
    if uid is None:
        batch(storage, study._study_id, lambda: _give_ids(study))
        uid = study.user_attrs[STUDY_UID]
    return uid


def no_such_study(name: str, names: Sequence[str], where: str) -> StorageError:
    """What to say of a study that is not there: the nearest name, or all that are."""
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


def open_study(storage: HardenedStorage, name: str | None = None) -> optuna.Study:
    """Find a study by its name, or the newest.

    Raises:
        StorageError: there is none, or none of that name; the nearest name is told.
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


def _give_ids(study: optuna.Study) -> None:
    known = study.user_attrs
    for name in (STUDY_UID, CHECKPOINTS_ID):
        if name not in known:
            study.set_user_attr(name, uuid.uuid4().hex[:12])


def _forget_rows_of_reused_ids(storage: HardenedStorage, study_id: int) -> None:
    trials = select(optuna.storages._rdb.models.TrialModel.trial_id)
    with transaction(storage.engine) as connection:
        for table in (workers_table, claims_table):
            connection.execute(delete(table).where(table.c.study_id == study_id))
        connection.execute(delete(epochs_table).where(epochs_table.c.trial_id.not_in(trials)))
