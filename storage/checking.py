"""A look at a whole storage: is it sound, and does what it holds fit together?"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy
from sqlalchemy import Connection, select
from sqlalchemy.engine import URL

from storage.copying import find_studies
from storage.invariants import find_loose_rows, read_study
from storage.schema import schema_table
from storage.snapshots import has_table, optuna_version, snapshot, telling
from storage.url import is_sqlite, show_url

_RESTORE = "restore a backup, or save what can be read with `sweeps storage copy`"

#: Between the two looks: longer than it takes to store a file and then its entry.
_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Finding:
    """What was looked at, and what is wrong there.

    Attributes:
        place: what was looked at: the database, its schema, a study.
        said: what was seen, where nothing is wrong; else what is wrong.
        remedy: what a person can do about it; empty where nothing is wrong.
    """

    place: str
    said: str
    remedy: str = ""

    @property
    def is_wrong(self) -> bool:
        return bool(self.remedy)


def check_contents(url: URL, names: Sequence[str] = ()) -> list[Finding]:
    """Look at a storage, while others may go on writing to it.

    What workers do between two moments may look like an accident: one has ended its trial and is
    gone before its process is looked for. So what seems wrong is looked at again a little later,
    and is told if it was seen both times.

    Args:
        url: where it is; it is not changed.
        names: of the studies to look at; none for all.

    Raises:
        StorageError: it cannot be looked at, as it cannot be read or has another schema.
    """
    with snapshot(url) as connection, telling(show_url(url)):
        findings = _check_file(connection) if is_sqlite(url) else [Finding("database", "answers")]
        if any(finding.is_wrong for finding in findings):
            return findings
        findings += [_check_schema(connection), *_look(connection, url, names)]
    if not any(finding.is_wrong for finding in findings):
        return findings
    time.sleep(_PAUSE_SECONDS)
    with snapshot(url) as connection, telling(show_url(url)):
        again = _look(connection, url, names)
    lasting = [finding for finding in findings if not finding.is_wrong or finding in again]
    for finding in again:
        # A study that looked wrong for a moment alone.
        if all(finding.place != known.place for known in lasting):
            lasting.append(finding if not finding.is_wrong else Finding(finding.place, "in order"))
    return lasting


def _check_file(connection: Connection) -> list[Finding]:
    try:
        damages = connection.exec_driver_sql("PRAGMA integrity_check(10)").scalars().all()
        wrong = [f"is damaged: {said}" for said in damages if said != "ok"]
        # The keys are looked at where the file is whole: the check reads through its indexes.
        if not wrong:
            rows = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            tables = sorted({str(row[0]) for row in rows})
            wrong = [f"{table} has rows that belong to nothing" for table in tables]
    except sqlalchemy.exc.DatabaseError as error:
        if "malformed" not in str(error.orig):
            raise
        wrong = [f"is damaged: {error.orig}"]
    findings = [Finding("file", said, _RESTORE) for said in wrong]
    return findings or [Finding("file", "whole, and every row belongs to one that is there")]


def _check_schema(connection: Connection) -> Finding:
    said = f"Optuna {optuna_version(connection) or 'unknown'}"
    if has_table(connection, schema_table.name):
        version = connection.execute(select(schema_table.c.version)).scalar()
        said += f", sweeps {version}"
    return Finding("schema", said)


def _look(connection: Connection, url: URL, names: Sequence[str]) -> list[Finding]:
    findings = []
    for name, study_id in find_studies(connection, names, show_url(url)).items():
        study = read_study(connection, study_id)
        wrong = [Finding(f"study {name}", *each) for each in study.problems(connection)]
        findings += wrong or [Finding(f"study {name}", study.summary())]
    if not names:
        loose = find_loose_rows(connection)
        findings += [Finding("other rows", *each) for each in loose]
    return findings
