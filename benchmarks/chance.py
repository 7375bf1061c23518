"""What the rule that stops runs at chance would do to runs that it was not made from.

``make bench-chance``, or ``python -m benchmarks.chance`` in the project's folder. Settings are
drawn from a preset's search space. Each run is trained with the rule, and those that it stops are
trained again without, to their end.
"""

import json
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import optuna
import torch

from benchmarks.commands import (
    describe_environment,
    json_option,
    make_console,
    make_table,
    print_tables,
    write_results,
)
from sweeps.data import Dataset, open_data
from sweeps.engines.devices import take_device
from sweeps.errors import NotLearning
from sweeps.spec.config import RunConfig
from sweeps.spec.search import pick_values
from sweeps.spec.spec import Spec, load_spec
from sweeps.training import resolve_precision, train

#: Of the accuracy of chance: below the first a run did not learn, from the second on it did.
DEAD, LEARNED = 1.2, 2.0


@dataclass(frozen=True)
class Run:
    """A run with drawn settings.

    Attributes:
        values: the settings, by dotted name.
        accuracy: of validation, after the last epoch, without the rule; 0 if it diverged.
        stopped_in: the epoch in which the rule stops it, if it does.
    """

    values: dict[str, float]
    accuracy: float
    stopped_in: int | None


def draw(spec: Spec, trial: optuna.Trial) -> dict[str, float]:
    """Draw a run's settings from a spec's space."""
    fixed = spec.base_config().settings()
    return pick_values(spec.search, fixed, lambda name, setting: setting.suggest(trial, name), {})


def run(config: RunConfig, dataset: Dataset, values: dict[str, float]) -> Run:
    """Train with the rule, and if it stops the run, again without."""
    config = config.with_values(values)
    device = torch.device("cpu")
    accuracies: list[float] = []
    stopped_in = None
    try:
        accuracies.extend(
            result.val_accuracy for result in train(config, dataset, device, stop_at_chance=True)
        )
    except NotLearning:
        stopped_in = len(accuracies) + 1
        accuracies = [result.val_accuracy for result in train(config, dataset, device)]
    last = accuracies[-1]
    # NaN after a loss that was not finite.
    return Run(values, last if last == last else 0.0, stopped_in)


@click.command()
@click.option("--spec", default="quick", show_default=True, help="Whose space and settings.")
@click.option("--data", help="Other images than the spec's.")
@click.option("--size", type=click.IntRange(8), help="Of the images, in pixels.")
@click.option("--data-dir", default="data", show_default=True, help="The folder of the datasets.")
@click.option("--runs", default=200, show_default=True, type=click.IntRange(1))
@click.option("--images", default=2000, show_default=True, type=click.IntRange(128))
@click.option("--validation", default=1000, show_default=True, type=click.IntRange(1))
@click.option("--epochs", default=6, show_default=True, type=click.IntRange(2))
@click.option("--batch", default=64, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=0, show_default=True)
@json_option
def main(
    spec: str,
    data: str | None,
    size: int | None,
    data_dir: str,
    runs: int,
    images: int,
    validation: int,
    epochs: int,
    batch: int,
    seed: int,
    json_path: Path | None,
) -> None:
    """Measure how many good runs the rule would stop, and how many dead ones it does."""
    take_device("cpu", 1)
    torch.set_num_threads(1)
    chosen = load_spec(spec)
    scale: dict[str, object] = {
        "data.train_limit": images,
        "data.validation_limit": validation,
        "training.epochs": epochs,
        "training.batch_size": batch,
    }
    scale |= {"data.name": data} if data else {}
    scale |= {"data.size": size} if size else {}
    config = chosen.base_config().with_values(scale)
    dataset = open_data(config.data, Path(data_dir))
    config = resolve_precision(config, torch.device("cpu"), dataset)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    done: list[Run] = []
    with click.progressbar(range(runs), label="runs", show_pos=True) as numbers:
        for number in numbers:
            values = draw(chosen, study.ask())
            done.append(run(config.with_values({"seed": seed + number}), dataset, values))
    chance = 1 / len(dataset.classes)
    table = make_table(
        f"{runs} runs of {spec} ({config.data.name}): {epochs} epochs of {images} images in "
        f"batches of {batch}"
    )
    columns = ("ended at", "runs", "the rule stops", "in epoch, median", "the best of these")
    for column in columns:
        table.add_column(column, justify="left" if column == "ended at" else "right")
    edges = [0.0, DEAD * chance, LEARNED * chance, 1.01]
    names = (f"chance (to {edges[1]:.2f})", "between", f"{edges[2]:.2f} or better")
    for name, low, high in zip(names, edges, edges[1:], strict=False):
        some = [r for r in done if low <= r.accuracy < high]
        stopped = [r for r in some if r.stopped_in is not None]
        table.add_row(
            name,
            str(len(some)),
            str(len(stopped)),
            str(statistics.median_high(r.stopped_in or 0 for r in stopped)) if stopped else "",
            f"{max(r.accuracy for r in stopped):.3f}" if stopped else "",
        )
    print_tables(make_console(), table)
    if json_path is not None:
        content = {
            "environment": describe_environment(),
            "config": json.loads(config.model_dump_json()),
        }
        write_results(json_path, {**content, "runs": [asdict(r) for r in done]})


if __name__ == "__main__":
    main()
