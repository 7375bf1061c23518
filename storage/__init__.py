"""Where results live: a database for studies, the records of their trials, and their workers."""

from storage.artifacts import DatabaseArtifactStore, attach_artifact
from storage.backup import back_up
from storage.batch import batch
from storage.budget import TARGET, ask, claim_trial, count_claims, reclaim, release_claim
from storage.checking import check_contents
from storage.claims import STUDY_UID, Claim, holding
from storage.copying import copy_studies
from storage.epochs import EpochRecord, read_epochs, report_epoch
from storage.errors import DATABASE_ERRORS, ClaimLost, StorageError, StudyDeleted, explain
from storage.rdb import HardenedStorage, check_storage, open_storage
from storage.repairing import repair as repair_contents
from storage.studies import CHECKPOINTS_ID, create_study, open_study, study_names, study_uid
from storage.timing import mean_epoch_seconds
from storage.transactions import transaction
from storage.trials import (
    CONFIGURATION,
    OUTCOME,
    OVERRIDES,
    REASON,
    RETRIES,
    RETRY_OF,
    WORKER_ID,
    Outcome,
    end_trial,
    unfinished_outcome,
)
from storage.url import DEFAULT_URL, absolute_url, has_secret, parse_url, show_url
from storage.workers import (
    HEARTBEAT_SECONDS,
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
    "DEFAULT_URL",
    "HEARTBEAT_SECONDS",
    "OUTCOME",
    "OVERRIDES",
    "REASON",
    "RETRIES",
    "RETRY_OF",
    "STUDY_UID",
    "TARGET",
    "WORKER_ID",
    "Claim",
    "ClaimLost",
    "DatabaseArtifactStore",
    "EpochRecord",
    "HardenedStorage",
    "Outcome",
    "StorageError",
    "StudyDeleted",
    "WorkerRecord",
    "absolute_url",
    "ask",
    "attach_artifact",
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
    "holding",
    "list_workers",
    "living_workers",
    "mean_epoch_seconds",
    "note_progress",
    "open_storage",
    "open_study",
    "parse_url",
    "read_epochs",
    "reclaim",
    "register_worker",
    "release_claim",
    "repair_contents",
    "report_epoch",
    "show_url",
    "study_names",
    "study_uid",
    "transaction",
    "unfinished_outcome",
]
