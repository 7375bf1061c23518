"""Before a sweep: everything is checked, the images are opened, and its study is made or found."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import optuna
from sqlalchemy.engine import URL

from storage import (
    HardenedStorage,
    StorageError,
    absolute_url,
    check_storage,
    open_storage,
    open_study,
    parse_url,
    reclaim,
    study_names,
    study_uid,
)
from sweeps.data import Dataset, open_data, split_rows
from sweeps.errors import DatasetUnavailable, SweepsError
from sweeps.spec.checks import probe_values
from sweeps.spec.config import check_run
from sweeps.spec.data import NO_IMAGES
from sweeps.spec.imports import import_objective
from sweeps.spec.spec import Spec, check_study_name, is_study_name
from sweeps.spec.training import ImportedOptimizer
from sweeps.study.stages import confirm_name
from sweeps.study.study import check_code, open_or_create_study, study_name
from sweeps.worker.checkpoints import DEFAULT_SECONDS, check_folder, default_folder

_logger = logging.getLogger(__name__)

S = TypeVar("S", bound=Spec)


@dataclass(frozen=True)
class Sweep:
    """A study that is ready to be worked on."""

    spec: Spec
    dataset: Dataset | None
    storage: HardenedStorage
    storage_url: str
    study: optuna.Study
    study_uid: str
    data_dir: Path
    checkpoint_dir: Path
    checkpoint_seconds: float


def prepare_sweep(
    spec: Spec,
    *,
    storage_url: str,
    name: str | None,
    data_dir: Path,
    checkpoint_dir: Path | None = None,
    checkpoint_seconds: float = DEFAULT_SECONDS,
) -> Sweep:
    """Check everything, open the data, and create or open the study.

    Args:
        spec: the sweep.
        storage_url: where results go.
        name: of the study; ``None`` for the spec's own.
        data_dir: the folder of the datasets.
        checkpoint_dir: the folder of checkpoints; ``None`` for one beside the storage.
        checkpoint_seconds: between two checkpoints of a trial.

    Raises:
        SweepsError, StorageError: something does not fit; nothing was started.
    """
    url = parse_url(storage_url)
    check_storage(url)
    wanted = name if name is not None else study_name(spec)
    if not is_study_name(wanted) and not holds_study(url, wanted):
        check_study_name(wanted, "--study" if name is not None else "name")
    if checkpoint_dir is not None:
        check_folder(checkpoint_dir)
    trials, first = spec.budget.trials, len(spec.baselines)
    if trials is not None and trials < first:
        _logger.info("The budget has room for %d of the %d baselines", trials, first)
    if spec.data.import_ is not None:
        # Images are decoded for a study that takes them.
        with existing_study(url, wanted) as study:
            if study is not None:
                check_code(study, spec)
    spec, dataset = open_images(
        spec, data_dir, resumes=lambda other: holds_study(url, name or study_name(other))
    )
    check_runs(spec, dataset)
    storage = open_storage(url, create=True)
    name = name or study_name(spec)
    known = study_names(storage)
    if name not in known and confirm_name(name) in known:
        raise SweepsError(
            f"{name}: {storage.location} holds a comparison of this name; give the study another "
            "with --study"
        )
    study = open_or_create_study(storage, spec, name, dataset)
    uid = study_uid(storage, study)
    reclaimed = reclaim(storage, study, uid)
    if reclaimed:
        numbers = ", ".join(str(number) for number in reclaimed)
        _logger.info("Queued again what an earlier run left unfinished: trials %s", numbers)
    return Sweep(
        spec,
        dataset,
        storage,
        absolute_url(url).render_as_string(hide_password=False),
        study,
        uid,
        data_dir,
        checkpoint_dir or default_folder(url),
        checkpoint_seconds,
    )


@contextmanager
def existing_study(url: URL, name: str) -> Iterator[optuna.Study | None]:
    """Open a study for the length of a block, where there is one of that name."""
    with ExitStack() as stack:
        study = None
        with suppress(StorageError):
            storage = open_storage(url)
            stack.callback(storage.engine.dispose)
            if name in study_names(storage):
                study = open_study(storage, name)
        yield study


def holds_study(url: URL, name: str) -> bool:
    """Return whether there is a study of that name, even one that a new study cannot have."""
    with existing_study(url, name) as study:
        return study is not None


def open_images(
    spec: S, data_dir: Path, resumes: Callable[[S], bool] = lambda _: False
) -> tuple[S, Dataset | None]:
    """Open the spec's dataset, if it has one, or its fallback where the dataset is unavailable.

    Args:
        spec: the sweep.
        data_dir: the folder of the datasets.
        resumes: whether there is a study of a spec already; the fallback is then no news.

    Returns:
        The spec, which then names the fallback, and the dataset.

    Raises:
        DatasetUnavailable: there is neither.
        SweepsError: the images do not fit.
    """
    if spec.data.name == NO_IMAGES:
        return spec, None
    try:
        return spec, open_data(spec.data, data_dir)
    except DatasetUnavailable as error:
        if spec.fallback is None:
            raise
        reason = error
    data = spec.data.model_copy(update={"name": spec.fallback, "options": {}})
    other = spec.model_copy(update={"data": data})
    if resumes(other):
        _logger.info("%s is still unavailable; the study is on %s", spec.data.name, data.name)
    else:
        _logger.warning("%s", reason)
        _logger.warning(
            "FALLING BACK to the dataset %r in place of %r: what this sweep finds says nothing "
            "about %r",
            data.name,
            spec.data.name,
            spec.data.name,
        )
    return other, open_data(data, data_dir)


def check_runs(spec: Spec, dataset: Dataset | None) -> None:
    """Check what a trial of a spec needs, so that none fails for a reason that is known before.

    That is what the spec imports, and the corners of the search space with its images.
    """
    spec.check_sampling()
    if spec.objective is not None:
        import_objective(spec.objective)
        return
    assert dataset is not None
    if isinstance(spec.training.optimizer, ImportedOptimizer):
        # Torch is imported only where the spec names code of a person's own.
        from sweeps.training import check_optimizer

        check_optimizer(spec.training)
    if "val_top5" in spec.metrics and len(dataset.classes) <= 5:
        raise SweepsError(
            f"{spec.name}: val_top5 needs more than 5 classes; {dataset.name} has "
            f"{len(dataset.classes)}"
        )
    base = spec.base_config()
    train_rows, _ = split_rows(base, dataset)
    for where, values in probe_values(spec):
        try:
            check_run(base.with_values(values), dataset.size, len(train_rows))
        except SweepsError as error:
            raise SweepsError(f"{spec.name}: {where}: {error}") from None
    _check_networks(spec, dataset)


def _check_networks(spec: Spec, dataset: Dataset) -> None:
    """Refuse networks that cannot be built for a dataset; download weights that are missing.

    Another process is asked, since this one shall import no torch.

    Networks whose layer is a new stem need no check but that of :func:`check_run`, and one of the
    gain of a constant image, which some tents have not.

    Raises:
        SweepsError: what does not fit.
    """
    base = spec.base_config()
    configs = [base, *(base.with_values(values) for _, values in probe_values(spec))]
    if all(
        c.model.has_new_stem and c.model.weights == "none" and c.layer.gain_of != "constant"
        for c in configs
    ):
        return
    if "torch" in sys.modules:
        from sweeps.models.check import check_networks as check

        check(spec, dataset.size, len(dataset.classes))
        return
    asked = {
        "spec": spec.model_dump(mode="json"),
        "name": spec.name,
        "size": dataset.size,
        "classes": len(dataset.classes),
    }
    done = subprocess.run(
        [sys.executable, "-m", "sweeps.models.check"],
        input=json.dumps(asked),
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode == 0:
        return
    refused = done.stdout.strip()
    raise SweepsError(refused or f"{spec.name}: checking its networks failed, see above")
