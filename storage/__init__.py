"""Where results live: a database for studies, the records of their trials, and their workers."""

from storage.budget import attach_trial, claim_trial, count_claims, reclaim, release_claim
from storage.epochs import EpochRecord, read_epochs, record_epoch
from storage.errors import DATABASE_ERRORS, StorageError, explain
from storage.rdb import HardenedStorage, check_storage, open_storage
from storage.studies import create_study, open_study, study_names
from storage.trials import (
    CONFIGURATION,
    OUTCOME,
    OVERRIDES,
    REASON,
    Outcome,
    abandon_trial,
    unfinished_outcome,
)
from storage.url import DEFAULT_URL, absolute_url, parse_url, show_url
from storage.workers import (
    HEARTBEAT_SECONDS,
    WorkerRecord,
    beat,
    end_worker,
    list_workers,
    note_progress,
    register_worker,
)

__all__ = [
    "CONFIGURATION",
    "DATABASE_ERRORS",
    "DEFAULT_URL",
    "HEARTBEAT_SECONDS",
    "OUTCOME",
    "OVERRIDES",
    "REASON",
    "EpochRecord",
    "HardenedStorage",
    "Outcome",
    "StorageError",
    "WorkerRecord",
    "abandon_trial",
    "absolute_url",
    "attach_trial",
    "beat",
    "check_storage",
    "claim_trial",
    "count_claims",
    "create_study",
    "end_worker",
    "explain",
    "list_workers",
    "note_progress",
    "open_storage",
    "open_study",
    "parse_url",
    "read_epochs",
    "reclaim",
    "record_epoch",
    "register_worker",
    "release_claim",
    "show_url",
    "study_names",
    "unfinished_outcome",
]
