"""What pruners cost a search and what they spare it, replayed on whole learning curves.

``make bench-pruning``, or ``python -m benchmarks.pruning`` in the project's folder. Settings are
drawn from a preset's search space, and each run is trained to its end. Searches of these runs in
many random orders are then replayed with each pruner.
"""

import json
import multiprocessing
import statistics
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import click
import optuna
import torch
from optuna.trial import TrialState
from pydantic import TypeAdapter
from rich.table import Table

from benchmarks.chance import draw
from benchmarks.commands import (
    describe_environment,
    json_option,
    make_console,
    make_table,
    print_tables,
    write_results,
)
from sweeps.data import open_data
from sweeps.engines.devices import take_device
from sweeps.spec.config import RunConfig
from sweeps.spec.pruners import AnyPruner, Pruner
from sweeps.spec.spec import Spec, load_spec
from sweeps.training import resolve_precision, train

#: Of a run: its validation accuracy after each epoch.
Curve = list[float]

PRUNERS: tuple[dict[str, Any], ...] = (
    {"name": "none"},
    {"name": "asha"},
    {"name": "asha", "min_epochs": 2},
    {"name": "asha", "min_epochs": 3},
    {"name": "asha", "reduction_factor": 3},
    {"name": "asha", "min_epochs": 2, "reduction_factor": 3},
    {"name": "hyperband"},
    {"name": "median"},
    {"name": "median", "min_epochs": 2},
    {"name": "percentile"},
    {"name": "percentile", "min_epochs": 2},
    {"name": "wilcoxon"},
)


@dataclass(frozen=True)
class Replay:
    """Searches with a pruner.

    Attributes:
        kept: the share that kept the best of their trials.
        lost: how far their best value lies below that of their trials, in the mean.
        share: the epochs they ran, as a share of those of all their trials.
        speed: how many times as soon as without a pruner, in epochs, they reach in the mean what
            that reaches; ``None`` if they do not.
    """

    kept: float
    lost: float
    share: float
    speed: float | None


def train_curve(config: RunConfig, data_dir: Path, values: dict[str, float]) -> Curve:
    """Train a run on one core to its end."""
    take_device("cpu", 1)
    torch.set_num_threads(1)
    config = config.with_values(values)
    results = train(config, open_data(config.data, data_dir), torch.device("cpu"))
    return [result.val_accuracy for result in results]


def search(
    curves: Sequence[Curve], pruner: Pruner, workers: int, name: str = "search"
) -> Iterator[tuple[int, float]]:
    """Replay a search; yield the trials that ended and the best value, after each epoch.

    Hyperband's brackets follow from the name.
    """
    epochs = max(len(curve) for curve in curves)
    study = optuna.create_study(
        study_name=name,
        direction="maximize",
        pruner=pruner.make(epochs),
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    waiting = iter(curves)
    running: list[tuple[optuna.Trial, Curve, Iterator[tuple[int, float]]]] = []
    ended, best = 0, 0.0
    while True:
        while len(running) < workers and (curve := next(waiting, None)) is not None:
            running.append((study.ask(), curve, iter(enumerate(curve, 1))))
        if not running:
            return
        for trial, curve, steps in list(running):
            epoch, value = next(steps)
            trial.report(value, epoch)
            # NaN after a loss that was not finite: the run ended there.
            finished, diverged = epoch == epochs, value != value
            hopeless = trial.should_prune()
            if diverged or (hopeless and not finished):
                study.tell(trial, state=TrialState.PRUNED)
            elif finished:
                study.tell(trial, value)
                best = max(best, value)
            if diverged or hopeless or finished:
                running.remove((trial, curve, steps))
                ended += 1
            yield ended, best


def replay(
    curves: Sequence[Curve], pruner: Pruner, *, trials: int, orders: int, workers: int
) -> Replay:
    """Replay searches for the best of so many trials."""
    epochs = max(len(curve) for curve in curves)
    best_of_all, best_of_search, spent = [], [], []
    by_epoch: list[list[float]] = []
    for seed in range(orders):
        order = Random(seed).sample(curves, len(curves))
        ends = [c[-1] if len(c) == epochs and c[-1] == c[-1] else 0.0 for c in order]
        best_of_all.append(max(ends[:trials]))
        bests = [best for ended, best in search(order[:trials], pruner, workers, str(seed))]
        best_of_search.append(bests[-1])
        spent.append(len(bests) / (trials * epochs))
        # Whoever prunes can try more trials in the same time.
        steps = islice(search(order, pruner, workers, str(seed)), trials * epochs)
        by_epoch.append([best for _, best in steps])
    goal = statistics.fmean(best_of_all)
    reached = (
        spent_epochs
        for spent_epochs, bests in enumerate(zip(*by_epoch, strict=False), 1)
        if statistics.fmean(bests) >= goal
    )
    first = next(reached, None)
    pairs = list(zip(best_of_all, best_of_search, strict=True))
    return Replay(
        kept=statistics.fmean(a == b for a, b in pairs),
        lost=statistics.fmean(a - b for a, b in pairs),
        share=statistics.fmean(spent),
        speed=None if first is None else trials * epochs / first,
    )


def describe(options: dict[str, Any]) -> str:
    """Return a pruner's name and options."""
    name, *others = (f"{key}: {value}" for key, value in options.items())
    return ", ".join([name.removeprefix("name: "), *others])


def measure(
    curves: Sequence[Curve], sizes: Sequence[int], orders: int, workers: int
) -> dict[str, dict[int, Replay]]:
    """Replay searches of each size with every pruner."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    adapter: TypeAdapter[Any] = TypeAdapter(AnyPruner)
    return {
        describe(options): {
            size: replay(
                curves,
                adapter.validate_python(options),
                trials=size,
                orders=orders,
                workers=workers,
            )
            for size in sizes
        }
        for options in PRUNERS
    }


def make_results_table(title: str, replays: dict[str, dict[int, Replay]], size: int) -> Table:
    """Return a table of the searches of a size."""
    table = make_table(title)
    table.add_column("pruner")
    for column in ("epochs run", "kept the best", "best value lost", "times as fast to its value"):
        table.add_column(column, justify="right")
    for name, by_size in replays.items():
        one = by_size[size]
        table.add_row(
            name,
            f"{one.share:.0%}",
            f"{one.kept:.0%}",
            f"{one.lost:.4f}",
            "not reached" if one.speed is None else f"{one.speed:.2f}",
        )
    return table


@click.command()
@click.option("--spec", default="quick", show_default=True, help="Whose space and settings.")
@click.option("--data", help="Other images than the spec's.")
@click.option("--data-dir", default="data", show_default=True, help="The folder of the datasets.")
@click.option("--runs", default=160, show_default=True, type=click.IntRange(2))
@click.option("--images", type=click.IntRange(128), help="Other than the spec's.")
@click.option("--validation", type=click.IntRange(1), help="Other than the spec's.")
@click.option("--epochs", type=click.IntRange(2), help="Other than the spec's.")
@click.option(
    "--trials",
    "sizes",
    multiple=True,
    default=(8, 24),
    show_default=True,
    type=click.IntRange(1),
    help="Of a search; may be given more than once.",
)
@click.option("--orders", default=200, show_default=True, type=click.IntRange(1))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--curves",
    "recorded",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Replay the runs of an earlier --json in place of training.",
)
@json_option
def main(
    spec: str,
    data: str | None,
    data_dir: str,
    runs: int,
    images: int | None,
    validation: int | None,
    epochs: int | None,
    sizes: tuple[int, ...],
    orders: int,
    workers: int,
    seed: int,
    recorded: Path | None,
    json_path: Path | None,
) -> None:
    """Measure how much of a search each pruner spares, and how much of its best value it costs."""
    content = {} if recorded is None else json.loads(recorded.read_text())
    runs = len(content["runs"]) if content else runs
    if max(sizes) > runs:
        raise click.UsageError(f"--trials {max(sizes)}: there are only {runs} runs")
    if not content:
        scale = {
            "data.name": data,
            "data.train_limit": images,
            "data.validation_limit": validation,
            "training.epochs": epochs,
        }
        changes = {name: value for name, value in scale.items() if value is not None}
        content = record(load_spec(spec), changes, Path(data_dir), runs, seed)
    curves = [run["val_accuracy"] for run in content["runs"]]
    if json_path is not None:
        write_results(json_path, content)
    replays = measure(curves, sizes, orders, workers)
    if json_path is not None:
        found = {
            name: {size: asdict(one) for size, one in by_size.items()}
            for name, by_size in replays.items()
        }
        write_results(json_path, {**content, "replays": found})
    training = content["config"]["training"]
    console = make_console()
    for size in sizes:
        title = (
            f"searches for the best of {size} trials of {training['epochs']} epochs: {orders} "
            f"orders of {len(curves)} runs, {workers} workers"
        )
        print_tables(console, make_results_table(title, replays, size))


def record(
    spec: Spec, changes: dict[str, Any], data_dir: Path, runs: int, seed: int
) -> dict[str, Any]:
    """Train runs with drawn settings, one on each core."""
    config = spec.base_config().with_values(changes)
    config = resolve_precision(config, torch.device("cpu"), open_data(config.data, data_dir))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    drawn = [{**draw(spec, study.ask()), "seed": seed + number} for number in range(runs)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(mp_context=context) as pool:
        training = pool.map(partial(train_curve, config, data_dir), drawn)
        with click.progressbar(training, length=runs, label="runs", show_pos=True) as curves:
            described = [
                {"values": values, "val_accuracy": curve}
                for values, curve in zip(drawn, curves, strict=True)
            ]
    return {
        "environment": describe_environment(),
        "config": json.loads(config.model_dump_json()),
        "runs": described,
    }


if __name__ == "__main__":
    main()
