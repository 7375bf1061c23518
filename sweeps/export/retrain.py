"""Training an exported configuration again."""

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click

from sweeps.data import Dataset, open_data
from sweeps.errors import SweepsError
from sweeps.export.exported import Exported
from sweeps.numbers import written
from sweeps.spec.imports import import_all

_LINE_WIDTH = 80


def retrain(
    exported: Exported,
    *,
    seed: int | None,
    device: str,
    threads: int,
    save: Sequence[Path],
    data_dir: Path,
) -> float:
    """Train, print each epoch, and compare the metric with the recorded one.

    Args:
        exported: the configuration.
        seed: instead of the recorded one; ``None`` for that.
        device: where to train, ``cpu`` or ``cuda``.
        threads: CPU threads.
        save: the files for the trained weights; see :func:`sweeps.export.weights.save_weights`.
        data_dir: where datasets are.

    Returns:
        The metric after the last epoch.

    Raises:
        SweepsError: the images are missing or differ from the recorded ones; or the run diverged.
    """
    import torch

    from sweeps.export.weights import check_weights_file, save_weights
    from sweeps.training import new_model, resolve_precision, train

    for path in save:
        check_weights_file(path)
    import_code(exported)
    warn_of_device(exported, device)
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = True
    config = exported.run_config()
    if seed is not None:
        config = config.with_values({"seed": seed})
    dataset = open_images(exported, data_dir)
    config = resolve_precision(config, torch.device(device), dataset)
    model = new_model(config, dataset)
    recorded = recorded_values(exported)
    lines = EpochLines(recorded)
    for result in train(config, dataset, torch.device(device), model=model):
        metrics = result.metrics()
        lines.show(result.epoch, metrics)
        if result.diverged:
            raise SweepsError(f"the run diverged in epoch {result.epoch}: the loss is not finite")
    lines.show_others()
    for name, value in recorded.items():
        click.echo(compare(exported, config.seed, name, metrics[name], value))
    trained = exported.model_copy(update={"seed": config.seed})
    # A graph last: not every network can be one.
    for path in sorted(save, key=lambda path: path.suffix == ".onnx"):
        save_weights(path, model, trained, dataset, metrics)
        click.echo(f"Wrote {path}", err=True)
    return metrics[next(iter(recorded))]


class EpochLines:
    """Prints a line of 80 columns for each epoch, and at the end the metrics that did not fit.

    Args:
        first: the names of the metrics that come first.
    """

    def __init__(self, first: Iterable[str]) -> None:
        self._first = list(first)
        self._columns: list[str] = []
        self._last: Mapping[str, float] = {}

    def show(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Print an epoch, and before the first, or where a metric has gone, the names."""
        self._last = metrics
        if not self._columns or any(name not in metrics for name in self._columns):
            self._columns, width = [], len("epoch")
            for name in dict.fromkeys([*self._first, *metrics]):
                if name in metrics and width + 2 + len(name) <= _LINE_WIDTH:
                    self._columns.append(name)
                    width += 2 + len(name)
            click.echo("  ".join(["epoch", *self._columns]))
        cells = [written(metrics[name]).rjust(len(name)) for name in self._columns]
        click.echo("  ".join([f"{epoch:>5}", *cells]))

    def show_others(self) -> None:
        """Print what else the last epoch measured."""
        others = [
            f"{n} {written(value)}" for n, value in self._last.items() if n not in self._columns
        ]
        if others:
            click.echo(textwrap.fill(f"In the last epoch: {', '.join(others)}", _LINE_WIDTH))


def import_code(exported: Exported) -> None:
    """Import what the configuration names, say so, and refuse another file than the recorded.

    Raises:
        SweepsError: it cannot be imported, or its file is another.
    """
    for where, found in import_all(exported.model_dump()).items():
        click.echo(f"{where}: {found} ({found.digest})", err=True)
        wanted = exported.code.get(where, found.digest)
        if wanted != found.digest:
            raise SweepsError(
                f"{where}: {found.file} ({found.digest}) is not the file that was trained with "
                f"({wanted}); bring that back, or take code.{where} out of the YAML"
            )


def recorded_values(exported: Exported) -> dict[str, float]:
    """Return the values of a configuration's objectives, by name, as its trial had them."""
    source = exported.source
    if source is None:
        return {"val_accuracy": math.nan}
    return source.objectives or {source.metric: source.value}


def open_images(exported: Exported, data_dir: Path) -> Dataset:
    """Open the images that a configuration was trained on.

    Raises:
        SweepsError: they are missing or others than the recorded ones.
    """
    dataset = open_data(exported.run_config().data, data_dir)
    wanted = exported.data.fingerprint
    if wanted is not None and dataset.fingerprint != wanted:
        raise SweepsError(
            f"the {dataset.name} in {data_dir} ({dataset.fingerprint}) is not the one that was "
            f"trained on ({wanted}); import that, or take data.fingerprint out of the file"
        )
    return dataset


def warn_of_device(exported: Exported, device: str) -> None:
    """Say so where a configuration was measured on another device."""
    source = exported.source
    if source is not None and source.environment.device != device:
        click.echo(
            f"measured on {source.environment.device} ({source.environment.device_name}), trained "
            f"on {device} here: the numbers will differ",
            err=True,
        )


def compare(exported: Exported, seed: int, metric: str, value: float, recorded: float) -> str:
    """Compare a value with that of the configuration's trial, in words."""
    line = f"{metric} {value:.6g}"
    source = exported.source
    if source is None:
        return line
    trial = f"trial {source.trial} of {source.study}"
    if seed != exported.seed:
        return f"{line} with seed {seed}; {trial} had {recorded:.6g} with {exported.seed}"
    if value == recorded:
        return f"{line}, the same as {trial}"
    return f"{line}; {trial} had {recorded:.6g}, a difference of {value - recorded:+.3g}"
