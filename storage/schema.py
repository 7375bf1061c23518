"""Our own tables beside Optuna's, in the same database.

Trials and studies are named by Optuna's ids, without foreign keys: Optuna's tables come and go by
its own rules (its dashboard deletes studies), and SQLite gives ids of deleted rows to new ones, so
rows of a reused id are removed when a study is made (:func:`storage.studies.create_study`).
"""

from sqlalchemy import (
    Column,
    Engine,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    func,
    select,
    text,
    update,
)

from storage.errors import StorageError
from storage.transactions import transaction

#: 2: the artifacts; and the birth of a process names its namespace.
#: 3: trials that are retried hold no rungs of successive halving, which their retries hold.
SCHEMA_VERSION = 3

_SETUP_LOCK = 0x73776565_7073

_FORGET_RUNGS = """
DELETE FROM trial_system_attributes
WHERE key LIKE 'completed_rung_%' AND trial_id IN (
    SELECT trial_id FROM trial_user_attributes
    WHERE key = 'outcome' AND value_json IN ('"interrupted"', '"lost"', '"out_of_memory"')
)
"""

metadata = MetaData()

schema_table = Table("sweeps_schema", metadata, Column("version", Integer, primary_key=True))

epochs_table = Table(
    "sweeps_epochs",
    metadata,
    Column("trial_id", Integer, primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("train_loss", Float),
    Column("val_loss", Float),
    Column("val_accuracy", Float),
    Column("learning_rate", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("images_per_second", Float, nullable=False),
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

leases_table = Table(
    "sweeps_leases",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("birth", String(32), nullable=False),
    Column("taken", Float, nullable=False),
)

#: Files that belong to studies and trials, in parts, under Optuna's ids for them.
artifacts_table = Table(
    "sweeps_artifacts",
    metadata,
    Column("artifact_id", String(64), primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)


def prepare_schema(engine: Engine, where: str) -> None:
    """Create our tables where they are missing, bring older ones up to date.

    Raises:
        StorageError: the tables were made by a newer version of this program; they are as before.
    """
    with transaction(engine) as connection:
        if engine.dialect.name == "postgresql":
            # Of several processes that start at once one makes the tables, the others wait.
            connection.execute(select(func.pg_advisory_xact_lock(_SETUP_LOCK)))
        metadata.create_all(connection)
        version = connection.execute(select(schema_table.c.version)).scalar()
        if version is None:
            connection.execute(schema_table.insert().values(version=SCHEMA_VERSION))
        elif version < SCHEMA_VERSION:
            # New tables are made by now.
            connection.execute(text(_FORGET_RUNGS))
            connection.execute(update(schema_table).values(version=SCHEMA_VERSION))
        elif version > SCHEMA_VERSION:
            raise StorageError(
                f"{where}: its schema is version {version}, this program knows version "
                f"{SCHEMA_VERSION}; install a newer release"
            )
