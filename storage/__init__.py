"""Where results live: studies, the records of their trials, and their workers.

A storage is a SQLite file or a PostgreSQL database with Optuna's tables and some more. A worker
claims a trial of the study's budget, asks for it, and ends it while it holds the claim:

    >>> storage = open_storage("sweeps.db", create=True)
    >>> study = create_study(
    ...     storage, "mine", "maximize", lambda study: study.set_user_attr(TARGET, 20)
    ... )
    >>> worker = register_worker(storage, study._study_id, "worker-0", "cpu")
    >>> uid = study_uid(storage, study)
    >>> claim = claim_trial(storage, study._study_id, uid, worker.worker_id)
    >>> with holding(claim):
    ...     trial = ask(storage, study, claim)
    ...     end_trial(storage, study, trial.number, "completed", value=0.9)
    True
    >>> count_claims(storage, study._study_id)
    1
"""

from storage.backup import back_up
from storage.budget import ask, claim_trial, count_claims, reclaim, release_claim
from storage.checking import check_contents, repair_contents
from storage.claims import Claim, held_claim, holding
from storage.copying import copy_studies
from storage.epochs import EpochRecord, mean_epoch_seconds, read_epochs, report_epoch
from storage.errors import DATABASE_ERRORS, ClaimLost, StorageError, StudyDeleted, explain
from storage.reconnecting import batch
from storage.schema import (
    CHECKPOINTS_ID,
    CONFIGURATION,
    HEARTBEAT_SECONDS,
    OUTCOME,
    OVERRIDES,
    READY,
    REASON,
    RETRIES,
    RETRY_OF,
    STUDY_UID,
    TARGET,
    TRACEBACK,
    WORKER_ID,
)
from storage.storage import HardenedStorage, check_storage, open_storage
from storage.studies import create_study, no_such_study, open_study, study_names, study_uid
from storage.transactions import transaction
from storage.trials import (
    DEFAULT_RETRIES,
    OUTCOMES,
    UNFINISHED,
    Outcome,
    end_trial,
    queue_trial,
    unfinished_outcome,
)
from storage.url import (
    DEFAULT_URL,
    absolute_url,
    has_secret,
    is_sqlite,
    parse_url,
    show_url,
    sqlite_path,
)
from storage.workers import (
    WorkerRecord,
    beat,
    end_worker,
    list_workers,
    living_workers,
    note_progress,
    register_worker,
)

__all__ = [
    "CHECKPOINTS_ID",
    "CONFIGURATION",
    "DATABASE_ERRORS",
    "DEFAULT_RETRIES",
    "DEFAULT_URL",
    "HEARTBEAT_SECONDS",
    "OUTCOME",
    "OUTCOMES",
    "OVERRIDES",
    "READY",
    "REASON",
    "RETRIES",
    "RETRY_OF",
    "STUDY_UID",
    "TARGET",
    "TRACEBACK",
    "UNFINISHED",
    "WORKER_ID",
    "Claim",
    "ClaimLost",
    "EpochRecord",
    "HardenedStorage",
    "Outcome",
    "StorageError",
    "StudyDeleted",
    "WorkerRecord",
    "absolute_url",
    "ask",
    "back_up",
    "batch",
    "beat",
    "check_contents",
    "check_storage",
    "claim_trial",
    "copy_studies",
    "count_claims",
    "create_study",
    "end_trial",
    "end_worker",
    "explain",
    "has_secret",
    "held_claim",
    "holding",
    "is_sqlite",
    "list_workers",
    "living_workers",
    "mean_epoch_seconds",
    "no_such_study",
    "note_progress",
    "open_storage",
    "open_study",
    "parse_url",
    "queue_trial",
    "read_epochs",
    "reclaim",
    "register_worker",
    "release_claim",
    "repair_contents",
    "report_epoch",
    "show_url",
    "sqlite_path",
    "study_names",
    "study_uid",
    "transaction",
    "unfinished_outcome",
]
