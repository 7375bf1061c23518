"""What an epoch costs: by images, resolution, batch size and precision, compiled or not.

``make bench-epochs``, or ``python -m benchmarks.epochs`` in the project's folder. The tutorial
network with the linear 7x7 layer is trained by the service's own loop, on drawn images; a process
is one worker of one thread, and its CPU time counts, which other work on the machine leaves as it
is.
"""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
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
from sweeps.spec.config import RunConfig
from sweeps.training import new_model, train

#: Images, pixels, batch size; the first is what all others differ from in one thing.
RUNS = (
    *((1024, 32, 128), (2048, 32, 128), (4096, 32, 128)),
    *((1024, 64, 128), (1024, 128, 128)),
    *((1024, 32, 16), (1024, 32, 32), (1024, 32, 64), (1024, 32, 256), (1024, 32, 512)),
)
PRECISIONS = ("float32", "bfloat16")


def run_config(images: int, size: int, batch: int, precision: str, epochs: int) -> RunConfig:
    """Return the configuration of a run."""
    training = {"epochs": epochs, "batch_size": batch, "crop": 2, "clip_norm": 1.0}
    return RunConfig.model_validate(
        {
            "data": {"name": "patterns", "train_limit": images, "validation_limit": 600},
            "training": {**training, "precision": precision},
        }
    )


def measure(config: RunConfig, dataset: Dataset, *, compiled: bool) -> list[float]:
    """Train a run; return the CPU seconds of each of its epochs, other processes' included."""
    model = new_model(config, dataset)
    epochs = train(
        config, dataset, torch.device("cpu"), model=torch.compile(model) if compiled else model
    )
    seconds = []
    start = cpu_seconds()
    for _ in epochs:
        seconds.append(cpu_seconds() - start)
        start = cpu_seconds()
    return seconds


def cpu_seconds() -> float:
    """Return the CPU time of this process and of those that it waited for: compilers."""
    return sum(os.times()[:4])


@click.command()
@click.option("--compile", "compiled", is_flag=True, help="Compile the network (torch.compile).")
@click.option("--first", is_flag=True, help="Only the first run.")
@click.option("--epochs", default=4, show_default=True, type=click.IntRange(2))
@json_option
def main(compiled: bool, first: bool, epochs: int, json_path: Path | None) -> None:
    """Measure what an epoch costs."""
    take_device("cpu", 1)
    torch.set_num_threads(1)
    results: list[dict[str, Any]] = []
    with TemporaryDirectory() as folder:
        for images, size, batch in RUNS[:1] if first else RUNS:
            for precision in PRECISIONS:
                config = run_config(images, size, batch, precision, epochs)
                dataset = open_data(config.data, Path(folder), size)
                seconds = measure(config, dataset, compiled=compiled)
                shape = {"images": images, "size": size, "batch": batch, "precision": precision}
                results.append({**shape, "seconds": seconds})
    table = make_table("CPU seconds of an epoch, validation on 600 images included")
    for column in ("images", "pixels", "batch", "precision", "first, s", "least, s", "ms / image"):
        table.add_column(column, justify="right")
    for result in results:
        least = min(result["seconds"][1:])
        cells = (result["images"], result["size"], result["batch"], result["precision"])
        measured = f"{result['seconds'][0]:.2f}", f"{least:.2f}"
        table.add_row(*map(str, cells), *measured, f"{1000 * least / result['images']:.2f}")
    print_tables(make_console(), table)
    if json_path is not None:
        write_results(json_path, {"environment": describe_environment(), "results": results})


if __name__ == "__main__":
    main()
