"""What is ours of a study, deleted with it."""

from optuna.storages._rdb import models
from sqlalchemy import Connection, delete, select

from storage.artifact_entries import artifact_ids
from storage.schema import artifacts_table, claims_table, epochs_table, workers_table


def delete_rows(connection: Connection, study_id: int) -> None:
    """Delete a study's claims, workers, epochs and artifacts, before Optuna deletes the study.

    Args:
        connection: in the transaction that deletes the study.
        study_id: the study.
    """
    trials = select(models.TrialModel.trial_id).where(models.TrialModel.study_id == study_id)
    # A copy in the same storage has entries for the same artifacts.
    artifacts = artifact_ids(connection, study_id) - artifact_ids(connection, but_for=study_id)
    connection.execute(
        delete(artifacts_table).where(artifacts_table.c.artifact_id.in_(sorted(artifacts)))
    )
    connection.execute(delete(epochs_table).where(epochs_table.c.trial_id.in_(trials)))
    for table in (claims_table, workers_table):
        connection.execute(delete(table).where(table.c.study_id == study_id))
