"""Putting right what accidents left in a storage."""

from collections.abc import Sequence

import optuna
from sqlalchemy import delete, func, select

from storage.budget import reclaim
from storage.copying import find_studies
from storage.invariants import loose_artifacts, loose_rows, read_study
from storage.rdb import HardenedStorage
from storage.reconnecting import patient
from storage.schema import artifacts_table, claims_table
from storage.studies import study_uid
from storage.transactions import reading, transaction


def repair(storage: HardenedStorage, names: Sequence[str] = ()) -> list[str]:
    """Queue again what dead workers left, make the budget's count right, forget what hangs loose.

    May be called while workers run.

    Args:
        storage: the storage.
        names: of the studies; none for all, and what belongs to none.

    Returns:
        What was done, a line each.

    Raises:
        StorageError: there is no study of a name.
    """
    with reading(storage.engine) as connection:
        studies = find_studies(connection, names, storage.location)
    done = []
    for name, study_id in studies.items():
        with reading(storage.engine) as connection:
            if not read_study(connection, study_id).is_ours:
                continue
        study = optuna.load_study(study_name=name, storage=storage)
        lost = reclaim(storage, study, study_uid(storage, study))
        done += [f"study {name}: trial {number} was lost" for number in lost]
        done += [f"study {name}: {words}" for words in _count_again(storage, study_id)]
    return done if names else done + _forget_loose_rows(storage)


@patient
def _count_again(storage: HardenedStorage, study_id: int) -> list[str]:
    done = []
    with transaction(storage.engine, study_id) as connection:
        rows = read_study(connection, study_id)
        loose = [claim.claim_id for claim in rows.loose_claims()]
        if loose:
            connection.execute(delete(claims_table).where(claims_table.c.claim_id.in_(loose)))
            done.append(f"gave back {len(loose)} parts of the budget")
        uncounted = [
            {"study_id": study_id, "worker_id": "", "trial_id": trial_id}
            for trial_id in rows.uncounted()
        ]
        if uncounted:
            connection.execute(claims_table.insert(), uncounted)
            done.append(f"counted {len(uncounted)} trials as parts of the budget")
    return done


@patient
def _forget_loose_rows(storage: HardenedStorage) -> list[str]:
    done = []
    with transaction(storage.engine) as connection:
        for words, (table, condition) in loose_rows().items():
            count = select(func.count()).select_from(table).where(condition)
            if number := connection.execute(count).scalar_one():
                connection.execute(delete(table).where(condition))
                done.append(f"forgot {number} {words} of what is not there any more")
        loose = loose_artifacts(connection)
        for artifact_id in loose:
            mine = artifacts_table.c.artifact_id == artifact_id
            connection.execute(delete(artifacts_table).where(mine))
        if loose:
            done.append(f"forgot {len(loose)} artifacts of what is not there any more")
    return done
