"""Files that belong to studies and trials, kept in the database beside them.

So they are where the study is: reached from every machine, in every backup, copied with it.
"""

import io
import json
import mimetypes
import uuid
from typing import BinaryIO

import optuna
from optuna.artifacts.exceptions import ArtifactNotFound
from sqlalchemy import delete, func, select

from storage.batch import batch
from storage.rdb import HardenedStorage
from storage.reconnecting import patient
from storage.schema import artifacts_table
from storage.transactions import reading, transaction

_PART_BYTES = 1 << 20


class DatabaseArtifactStore:
    """An artifact store in the storage's own database (Optuna's ``ArtifactStore`` protocol).

    Args:
        storage: whose database.
    """

    def __init__(self, storage: HardenedStorage) -> None:
        self._storage = storage

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """The content of an artifact.

        Raises:
            ArtifactNotFound: there is none of that id.
        """
        mine = artifacts_table.c.artifact_id == artifact_id
        query = select(artifacts_table.c.content).where(mine).order_by(artifacts_table.c.part)
        with reading(self._storage.engine) as connection:
            parts = connection.execute(query).scalars().all()
        if not parts:
            raise ArtifactNotFound(f"{artifact_id}: no such artifact in {self._storage.location}")
        return io.BytesIO(b"".join(parts))

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Keep a content under an id; one that is there is replaced."""
        write_artifact(self._storage, artifact_id, content_body.read())

    def remove(self, artifact_id: str) -> None:
        """Forget an artifact.

        Raises:
            ArtifactNotFound: there is none of that id.
        """
        mine = artifacts_table.c.artifact_id == artifact_id
        with transaction(self._storage.engine) as connection:
            if not connection.execute(select(func.count()).where(mine)).scalar_one():
                raise ArtifactNotFound(f"{artifact_id}: no such artifact")
            connection.execute(delete(artifacts_table).where(mine))


@patient
def write_artifact(storage: HardenedStorage, artifact_id: str, content: bytes) -> None:
    """Keep a content under an id; one that is there is replaced."""
    # An empty file has one, empty, part.
    starts = range(0, max(len(content), 1), _PART_BYTES)
    parts = [
        {"artifact_id": artifact_id, "part": part, "content": content[start : start + _PART_BYTES]}
        for part, start in enumerate(starts)
    ]
    with transaction(storage.engine) as connection:
        mine = artifacts_table.c.artifact_id == artifact_id
        connection.execute(delete(artifacts_table).where(mine))
        connection.execute(artifacts_table.insert(), parts)


def attach_artifact(
    storage: HardenedStorage,
    trial: optuna.Trial,
    filename: str,
    content: bytes,
    mimetype: str | None = None,
) -> str:
    """Give a running trial a file, content and entry in one transaction.

    ``optuna.artifacts.upload_artifact`` does the same from a file on disk, in two steps.

    Args:
        storage: where the trial is.
        trial: the trial.
        filename: what the file is called.
        content: all of it.
        mimetype: ``None`` for what the name suggests.

    Returns:
        The artifact's id.

    Raises:
        optuna.exceptions.UpdateFinishedTrialError: the trial has ended.
    """
    artifact_id = str(uuid.uuid4())
    guessed, encoding = mimetypes.guess_type(filename)
    # As Optuna has it, so that its own functions, and the dashboard, find it.
    entry = {
        "artifact_id": artifact_id,
        "filename": filename,
        "mimetype": mimetype or guessed or "application/octet-stream",
        "encoding": encoding,
    }

    def attach() -> None:
        storage.set_trial_system_attr(
            trial._trial_id, f"artifacts:{artifact_id}", json.dumps(entry)
        )
        write_artifact(storage, artifact_id, content)

    batch(storage, trial.study._study_id, attach)
    return artifact_id
