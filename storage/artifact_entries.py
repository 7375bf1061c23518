"""Optuna's entries for artifacts: which study or trial has which."""

from optuna.storages._rdb import models
from sqlalchemy import Connection, select


def artifact_ids(
    connection: Connection, study_id: int | None = None, *, but_for: int | None = None
) -> set[str]:
    """The ids of the artifacts that studies and their trials have entries for.

    Args:
        connection: to the storage.
        study_id: the study; ``None`` for all.
        but_for: a study to leave out.
    """
    tables = models.BaseModel.metadata.tables
    trials, of_trials = tables["trials"], tables["trial_system_attributes"]
    of_studies = tables["study_system_attributes"]
    queries = [
        select(of_studies.c.key, of_studies.c.value_json, of_studies.c.study_id),
        select(of_trials.c.key, of_trials.c.value_json, trials.c.study_id).join(
            trials, trials.c.trial_id == of_trials.c.trial_id
        ),
    ]
    found = set()
    for query in queries:
        key, study = query.selected_columns["key"], query.selected_columns["study_id"]
        query = query.where(key.like("artifacts:%") | key.like("dashboard:artifacts:%"))
        if study_id is not None:
            query = query.where(study == study_id)
        if but_for is not None:
            query = query.where(study != but_for)
        for name, value, _ in connection.execute(query):
            # Of one that was removed a `null` stays.
            if value.strip('"') != "null":
                found.add(name.rpartition(":")[2])
    return found
