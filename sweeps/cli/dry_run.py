"""What ``sweeps run --dry-run`` prints."""

from collections import Counter
from functools import partial

from rich.console import Console

from sweeps.engines.devices import Slot
from sweeps.numbers import written
from sweeps.reporting.formatting import print_line, print_rows
from sweeps.runner.dry_run import DryRun
from sweeps.spec.data import NO_IMAGES
from sweeps.spec.imports import kind_of
from sweeps.spec.spec import Spec


def print_dry_run(console: Console, spec: Spec, slots: list[Slot], found: DryRun) -> None:
    """Print the search space, the baselines, the workers and the time that a sweep would take."""
    line = partial(print_line, console)
    line(f"Study     {found.study_name}: {_trials(spec, found)}")
    line(f"Images    {_images(spec, found)}")
    if spec.objective:
        line(f"Objective {spec.objective}, {spec.training.epochs} epochs a trial")
    else:
        line(f"Model     {spec.model.title}, {spec.training.epochs} epochs a trial")
    line(f"Sampler   {kind_of(spec.sampler)}; pruner {kind_of(spec.pruner)}")
    line(f"Workers   {_workers(slots)}")
    line(f"Time      {_time(spec, found)}")

    line("\nSearch space")
    header = ["setting", "values", "only where"]
    rows = [[name, str(searched), searched.condition] for name, searched in spec.search.items()]
    print_rows(console, header, rows, words=header)

    line("Baselines" if spec.baselines else "No baselines: the best is compared with nothing")
    if spec.baselines:
        header = ["name", "sets"]
        rows = [[b.name, ", ".join(f"{n} {v}" for n, v in b.set.items())] for b in spec.baselines]
        print_rows(console, header, rows, words=header)
    line("Nothing was started. Run it: the same command without --dry-run")


def _trials(spec: Spec, found: DryRun) -> str:
    wanted = f"{spec.budget.trials} trials" if spec.budget.trials else "any number of trials"
    return f"{wanted}, new" if found.finished is None else f"{found.finished} of {wanted} done"


def _images(spec: Spec, found: DryRun) -> str:
    if spec.data.name == NO_IMAGES:
        return "none"
    if found.dataset is None and spec.objective:
        return spec.data.name
    if found.dataset is None:
        instead = f"; where that fails, {spec.fallback} takes its place" if spec.fallback else ""
        builds = "downloads" if spec.data.import_ is None else "builds"
        return f"{spec.data.name}, not on disk: the sweep {builds} it first{instead}"
    size = found.dataset.size
    return (
        f"{found.dataset.name}, {size} x {size} pixels, {len(found.dataset.classes)} classes: "
        f"{found.train_images:,} to train on, {found.validation_images:,} to validate on"
    )


def _workers(slots: list[Slot]) -> str:
    devices = Counter(slot.device for slot in slots)
    return ", ".join(f"{count} on {device}" for device, count in devices.items())


def _time(spec: Spec, found: DryRun) -> str:
    if spec.objective:
        return "not known: the training loop is your own"
    if found.epoch_seconds is None:
        return "not known before the images are there"
    words = (
        f"{written(found.epoch_seconds, 3)} s an epoch with the fixed settings, measured just now"
    )
    if found.minutes is not None:
        hours = found.minutes / 60
        time = f"{written(found.minutes, 2)} min" if hours < 2 else f"{written(hours, 2)} h"
        words = f"about {time} for all trials if none is pruned ({words})"
    if spec.budget.minutes is not None:
        words += f"; no trial starts after {spec.budget.minutes:g} min"
    return words
