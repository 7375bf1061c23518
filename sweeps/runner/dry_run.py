"""``sweeps run --dry-run``: what a sweep would do and for how long, without starting it."""

import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from storage import check_storage, parse_url
from sweeps.data import Dataset, open_data, split_rows
from sweeps.engines.devices import Slot
from sweeps.errors import DatasetUnavailable, Interrupted
from sweeps.runner.prepare import check_runs, existing_study
from sweeps.spec.spec import Spec
from sweeps.study.progress import count_finished
from sweeps.study.study import check_study, study_name

_MEASURED_SECONDS = 5.0


@dataclass(frozen=True)
class DryRun:
    """What a sweep would do.

    Attributes:
        study_name: its study.
        dataset: its images; ``None`` where they would be downloaded first.
        train_images: how many it trains on; ``None`` without images.
        validation_images: how many it measures the metric on; ``None`` without images.
        finished: trials that its study has already; ``None`` where that does not exist.
        epoch_seconds: of an epoch with the fixed settings, measured on the first worker's device;
            ``None`` without images.
        minutes: until all its trials are done, at most: as if none were pruned; ``None`` without
            images or a number of trials.
    """

    study_name: str
    dataset: Dataset | None
    train_images: int | None
    validation_images: int | None
    finished: int | None
    epoch_seconds: float | None
    minutes: float | None


def dry_run(
    spec: Spec, slots: list[Slot], *, storage_url: str, name: str | None, data_dir: Path
) -> DryRun:
    """Check a sweep as far as that goes without a download, and time some training steps.

    Raises:
        SweepsError, StorageError: something does not fit, as for the sweep itself.
    """
    name = name or study_name(spec)
    # How long an epoch of a loop of your own takes only the loop knows.
    dataset = None
    if spec.objective is None:
        with suppress(DatasetUnavailable):
            dataset = open_data(spec.data, data_dir, download=False)
    if spec.objective is not None or dataset is not None:
        check_runs(spec, dataset)
    finished = _finished(spec, dataset, storage_url, name)
    if dataset is None:
        return DryRun(name, None, None, None, finished, None, None)
    train_rows, validation_rows = split_rows(spec.base_config(), dataset)
    image_seconds = _step_seconds(spec, dataset, slots[0]) / spec.training.batch_size
    # Validation has a forward pass alone: about a third of a step.
    seconds = image_seconds * (len(train_rows) + len(validation_rows) / 3)
    minutes = None
    if spec.budget.trials is not None:
        left = max(spec.budget.trials - (finished or 0), 0)
        rounds = -(-left // len(slots))
        minutes = rounds * spec.training.epochs * seconds / 60
    return DryRun(name, dataset, len(train_rows), len(validation_rows), finished, seconds, minutes)


def _finished(spec: Spec, dataset: Dataset | None, storage_url: str, name: str) -> int | None:
    """Trials of the study that a sweep would resume."""
    url = parse_url(storage_url)
    check_storage(url)
    with existing_study(url, name) as study:
        if study is None:
            return None
        check_study(study, spec, dataset)
        return count_finished(study.get_trials(deepcopy=False))


def _step_seconds(spec: Spec, dataset: Dataset, slot: Slot) -> float:
    """Train for some seconds with the fixed settings; the median step counts."""
    import torch

    from sweeps.training import resolve_precision, train

    device = torch.device(slot.device)
    torch.set_num_threads(slot.threads)
    times: list[float] = []

    def enough() -> bool:
        times.append(time.perf_counter())
        return len(times) > 3 and times[-1] - times[0] > _MEASURED_SECONDS

    with suppress(Interrupted):
        for _ in train(
            resolve_precision(spec.base_config(), device, dataset),
            dataset,
            device,
            should_stop=enough,
        ):
            pass
    steps = [after - before for before, after in pairwise(times)]
    # The first steps also set up what later ones find; a run may have no others.
    return median(steps[2:] or steps)
