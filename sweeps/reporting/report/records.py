"""What every trial of some studies was and measured, as rows for other programs."""

import csv
import io
from pathlib import Path
from typing import Any

from storage import CONFIGURATION, HardenedStorage, open_study, read_epochs
from sweeps.reporting.events import params_of
from sweeps.spec.files import check_replaceable, check_writable, write_whole
from sweeps.study.progress import outcome_of

_FIXED = ("study", "trial", "configuration", "outcome")


def write_records(
    storage: HardenedStorage, studies: list[str], path: Path, *, force: bool = False
) -> None:
    """Write a table with a row for each epoch of each trial; one row for a trial without epochs.

    Columns: ``study``, ``trial`` (its number), ``configuration`` (the name of a baseline or an
    arm), ``outcome``; each setting that any trial has of its own; ``epoch`` (counted from 1); each
    metric that any epoch reported. What a trial does not have is empty.

    Args:
        storage: where the studies are.
        studies: their names, in the order of the rows.
        path: the file, written whole or not at all.
        force: replace a file that is no such table.

    Raises:
        SweepsError: it cannot be written there.
    """
    check_writable(path)
    if not force:
        check_replaceable(path, "table of epochs", [",".join(_FIXED)])
    rows: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = []
    for name in studies:
        for trial in open_study(storage, name).get_trials(deepcopy=False):
            outcome = outcome_of(trial) if trial.state.is_finished() else trial.state.name.lower()
            words = (name, trial.number, trial.user_attrs.get(CONFIGURATION), outcome)
            fixed = dict(zip(_FIXED, words, strict=True))
            values = params_of(trial)
            epochs = read_epochs(storage, trial._trial_id)
            for record in epochs:
                rows.append((fixed, values, {"epoch": record.epoch, **record.metrics}))
            if not epochs:
                rows.append((fixed, values, {}))
    settings = sorted({name for _, values, _ in rows for name in values})
    metrics = sorted({name for *_, metrics in rows for name in metrics} - {"epoch"})
    text = io.StringIO()
    writer = csv.DictWriter(text, [*_FIXED, *settings, "epoch", *metrics], lineterminator="\n")
    writer.writeheader()
    writer.writerows(fixed | values | metrics for fixed, values, metrics in rows)
    write_whole(path, text.getvalue().encode("utf-8", "replace"))
