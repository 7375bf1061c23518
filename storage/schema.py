"""What is stored beside Optuna's own: tables in the same database, and attributes of known names.

Trials and studies are named by Optuna's ids, without foreign keys: Optuna's tables come and go by
its own rules (its dashboard deletes studies), and SQLite gives ids of deleted rows to new ones, so
rows of a reused id are removed when a study is made (:func:`storage.studies.create_study`).
"""

import json

from optuna.storages._rdb.models import BaseModel
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    func,
    select,
    text,
    update,
)

from storage.errors import StorageError
from storage.transactions import now, transaction, upsert

#: Raise it with every change of these tables, and upgrade older ones in `_UPGRADES`.
SCHEMA_VERSION = 5

# User attributes of studies.
#: An id that no other study has, however their numbers are reused; a copy has one of its own.
STUDY_UID = "study_uid"
#: What a study's checkpoints go by; a copy keeps it, to find them.
CHECKPOINTS_ID = "sweep_id"
#: Whether the study's set-up is complete.
READY = "ready"
#: How many trials the study may have; ``None`` for no limit.
TARGET = "target_trials"
#: How often a trial is retried whose worker died.
RETRIES = "retries"

# User attributes of trials.
OUTCOME = "outcome"
REASON = "reason"
TRACEBACK = "traceback"
CONFIGURATION = "configuration"
OVERRIDES = "overrides"
RETRY_OF = "retry_of"
LOSSES = "losses"
WORKER_ID = "worker_id"

#: Between two heartbeats of a worker, and how long after the last one it counts as dead.
HEARTBEAT_SECONDS = 10.0
GRACE_SECONDS = 90.0

#: Letters in the name of a metric.
MAX_METRIC_NAME = 128

OPTUNA_TABLES = BaseModel.metadata
studies_table = OPTUNA_TABLES.tables["studies"]
trials_table = OPTUNA_TABLES.tables["trials"]

metadata = MetaData()

schema_table = Table("sweeps_schema", metadata, Column("version", Integer, primary_key=True))

#: What epochs measured: a row for each metric, null where it was not finite.
metrics_table = Table(
    "sweeps_metrics",
    metadata,
    Column("trial_id", Integer, primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("name", String(MAX_METRIC_NAME), primary_key=True),
    Column("value", Float),
    # The rows stand in the index: half the pages to write.
    sqlite_with_rowid=False,
)

workers_table = Table(
    "sweeps_workers",
    metadata,
    Column("worker_id", String(32), primary_key=True),
    Column("study_id", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("name", String(64), nullable=False),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("birth", String(32), nullable=False),
    Column("device", String(64), nullable=False),
    Column("started", Float, nullable=False),
    Column("last_seen", Float, nullable=False),
    Column("ended", Float),
    Column("trial_number", Integer),
    Column("epoch", Integer),
    Column("epochs", Integer),
    Column("value", Float),
    Index("sweeps_workers_study", "study_id"),
)

claims_table = Table(
    "sweeps_claims",
    metadata,
    Column("claim_id", Integer, primary_key=True),
    Column("study_id", Integer, nullable=False),
    Column("worker_id", String(32), nullable=False),
    Column("trial_id", Integer, unique=True),
    Index("sweeps_claims_study", "study_id"),
)

# So that of several processes that start at once one makes the tables.
_SETUP_LOCK = 0x73776565_7073

# What earlier releases wrote, in today's form.
_UPGRADES = (
    # A trial that was retried holds no rungs of successive halving: its retry reaches them.
    """
    DELETE FROM trial_system_attributes
    WHERE key LIKE 'completed_rung_%' AND trial_id IN (
        SELECT trial_id FROM trial_user_attributes
        WHERE key = 'outcome' AND value_json IN ('"interrupted"', '"lost"', '"out_of_memory"')
    )
    """,
    "DROP TABLE IF EXISTS sweeps_leases",
    # An epoch had a row of fixed columns.
    *(
        "INSERT INTO sweeps_metrics (trial_id, epoch, name, value) "
        f"SELECT trial_id, epoch, '{name}', {name} FROM sweeps_epochs"
        for name in (
            *("train_loss", "val_loss", "val_accuracy"),
            *("learning_rate", "seconds", "images_per_second"),
        )
    ),
    "DROP TABLE sweeps_epochs",
    *(
        f"UPDATE study_user_attributes SET key = '{part}_images' WHERE key = '{part}_pictures'"
        for part in ("train", "validation")
    ),
)


def prepare_schema(engine: Engine, where: str) -> None:
    """Create our tables where they are missing, and upgrade older ones.

    Raises:
        StorageError: the tables were made by a newer version of this program, or workers of an
            older one are at work; they are as before.
    """
    with transaction(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_SETUP_LOCK)))
        metadata.create_all(connection)
        version = connection.execute(select(schema_table.c.version)).scalar()
        if version is None:
            connection.execute(schema_table.insert().values(version=SCHEMA_VERSION))
        elif version < SCHEMA_VERSION:
            _refuse_living_workers(connection, where)
            for statement in _UPGRADES:
                connection.execute(text(statement))
            _keep_tracebacks(connection)
            connection.execute(update(schema_table).values(version=SCHEMA_VERSION))
        else:
            refuse_version(version, where)


def _refuse_living_workers(connection: Connection, where: str) -> None:
    """Refuse to change tables while workers that know them as they are write to them."""
    workers = workers_table.c
    is_alive = workers.ended.is_(None) & (workers.last_seen > now(connection) - GRACE_SECONDS)
    count = connection.execute(select(func.count()).where(is_alive)).scalar_one()
    if count:
        raise StorageError(
            f"{where}: {count} {'worker' if count == 1 else 'workers'} of an older release at "
            "work, or killed in the last minute and a half; try again once they have ended"
        )


def refuse_version(version: int, where: str) -> None:
    """Refuse the tables of a newer release.

    Raises:
        StorageError: they are newer.
    """
    if version > SCHEMA_VERSION:
        raise StorageError(
            f"{where}: its schema is version {version}, this program knows version "
            f"{SCHEMA_VERSION}; install a newer release"
        )


def delete_rows_of_study(connection: Connection, study_id: int) -> None:
    """Delete a study's claims, workers and epochs.

    Args:
        connection: in the transaction that deletes the study, before Optuna does.
        study_id: the study.
    """
    trials = select(trials_table.c.trial_id).where(trials_table.c.study_id == study_id)
    connection.execute(delete(metrics_table).where(metrics_table.c.trial_id.in_(trials)))
    for table in (claims_table, workers_table):
        connection.execute(delete(table).where(table.c.study_id == study_id))


def _keep_tracebacks(connection: Connection) -> None:
    """Make tracebacks that were files in the database attributes of their trials.

    The table of files stays, with those that people uploaded; SQL alone reads them.
    """
    files = OPTUNA_TABLES.tables["trial_system_attributes"].c
    query = select(files.trial_id, files.value_json).where(files.key.like("artifacts:%"))
    content = text("SELECT content FROM sweeps_artifacts WHERE artifact_id = :id ORDER BY part")
    for trial_id, value in connection.execute(query).all():
        file = json.loads(json.loads(value))
        if file["filename"] == "traceback.txt":
            parts = connection.execute(content, {"id": file["artifact_id"]}).scalars()
            words = b"".join(parts).decode(errors="replace")
            row = {"trial_id": trial_id, "key": TRACEBACK, "value_json": json.dumps(words)}
            upsert(
                connection,
                OPTUNA_TABLES.tables["trial_user_attributes"],
                ("trial_id", "key"),
                [row],
            )
