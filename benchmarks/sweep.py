"""Trials per hour: today's way of searching beside the service, and what each step brings.

``make bench-sweep``, or ``python -m benchmarks.sweep`` in the project's folder. All
ways run the same trials in turn, round after round, so that load on the machine affects all: the
linear 7x7 layer in the tutorial network, the search's start and end included.
"""

import json
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from threading import Barrier
from typing import Any

import click
import torch
from optuna.trial import TrialState
from torch import nn
from torch.nn import functional as F

from benchmarks import tutorial_baseline as today
from benchmarks.commands import (
    describe_environment,
    json_option,
    make_console,
    make_table,
    print_tables,
    write_results,
)
from interpodil import InterpodilConv2d
from storage import open_storage, open_study
from sweeps.data import open_data, split_rows
from sweeps.data.batches import Batches
from sweeps.engines.devices import take_device
from sweeps.models.networks import Tutorial
from sweeps.spec.config import RunConfig
from sweeps.spec.spec import load_spec

# Of each round's trials; 1.5 is the default initialization, expanded.
LEARNING_RATES = (0.005, 0.02, 0.05, 0.1)
INIT_SCALES = (1.0, 1.5)
BATCH, CROP, CLIP_NORM = 128, 2, 1.0
TODAY = "today's way"
_WARM_UP_STEPS = 3


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        data, data_dir: the images' name and folder.
        images, validation: to train on and to validate on.
        epochs: of a trial.
        rounds: of both ways in turn.
        step_rounds: of all steps in turn.
        seconds: that each step is measured for.
    """

    data: str
    data_dir: str
    images: int
    validation: int
    epochs: int
    rounds: int
    seconds: float
    step_rounds: int


@dataclass(frozen=True)
class Step:
    """A way to compute training steps; each differs in one thing from the one before."""

    name: str
    processes: int = 1
    threads: int = 2
    our_data: bool = False
    channels_last: bool = False
    our_layer: bool = False
    pool_first: bool = False
    keep_memory: bool = False
    bfloat16: bool = False
    convolutions_alone: bool = False


def make_steps() -> list[Step]:
    """Return the steps from today's way to ours, and the limit."""
    steps = [Step(TODAY)]
    for name, change in (
        ("data: batches from an array", {"our_data": True}),
        ("layout: channels_last", {"channels_last": True}),
        ("layer: tent first, then 3x3", {"our_layer": True}),
        ("fusion: pool before ReLU", {"pool_first": True}),
        ("memory: kept when freed", {"keep_memory": True}),
        ("precision: bfloat16", {"bfloat16": True}),
        ("workers: 2 of 1 thread", {"processes": 2, "threads": 1}),
        ("limit: plain convolutions alone", {"convolutions_alone": True}),
    ):
        steps.append(replace(steps[-1], name=name, **change))
    # In float32 too, for CPUs that do not compute in bfloat16.
    steps.append(replace(steps[-2], name="ours in float32", bfloat16=False))
    steps.append(replace(steps[-2], name="limit in float32", bfloat16=False))
    return steps


def run_config(scale: Scale, seed: int = 0) -> RunConfig:
    """Return the configuration of our trials, without what they vary."""
    data = {"name": scale.data, "size": 32, "validation": 0.1}
    limits = {"train_limit": scale.images, "validation_limit": scale.validation}
    training = {"epochs": scale.epochs, "batch_size": BATCH, "crop": CROP, "clip_norm": CLIP_NORM}
    tree = {"data": {**data, **limits}, "training": training, "seed": seed}
    return RunConfig.model_validate(tree)


def open_images(scale: Scale) -> today.Images:
    """Read the images that both ways train on and validate on."""
    config = run_config(scale)
    dataset = open_data(config.data, Path(scale.data_dir))
    train, validation = split_rows(config, dataset)
    images, labels = dataset.train.images, dataset.train.labels
    parts = (images[train], labels[train], images[validation], labels[validation])
    return today.Images(*parts, dataset.mean, dataset.std)


def trials() -> list[dict[str, float]]:
    """Return the trials of a round."""
    pairs = product(LEARNING_RATES, INIT_SCALES)
    return [{"learning_rate": rate, "init_scale": scale} for rate, scale in pairs]


def run_today(scale: Scale, seed: int, folder: Path) -> tuple[float, list[float]]:
    """Run a round's trials in today's way; return the seconds and the accuracies."""
    answer = folder / "today.json"
    command = [
        sys.executable,
        "-m",
        "benchmarks.sweep",
        "--today",
        str(answer),
        "--seed",
        str(seed),
    ]
    start = time.perf_counter()
    subprocess.run([*command, "--scale", json.dumps(asdict(scale))], check=True)
    return time.perf_counter() - start, json.loads(answer.read_text())


def run_ours(
    scale: Scale, seed: int, folder: Path, *, pruner: dict[str, Any], workers: int
) -> tuple[float, list[float]]:
    """Run a round's trials with the service; return the seconds and the accuracies.

    Trials that were pruned have no accuracy.
    """
    # In another order each round, as pruning compares a trial with those before it.
    draw = random.Random(seed)
    tree = {
        **run_config(scale, seed).model_dump(mode="json", exclude_defaults=True),
        "name": "bench",
        "budget": {"trials": len(trials())},
        "search": {
            "training.learning_rate": {"choice": draw.sample(LEARNING_RATES, len(LEARNING_RATES))},
            "layer.init_scale": {"choice": draw.sample(INIT_SCALES, len(INIT_SCALES))},
        },
        "sampler": {"name": "grid"},
        "pruner": pruner,
    }
    run = Path(tempfile.mkdtemp(dir=folder))
    spec, storage = run / "spec.yaml", f"sqlite:///{run}/sweeps.db"
    # JSON is YAML.
    spec.write_text(json.dumps(tree))
    command = [sys.executable, "-m", "sweeps", "run", str(spec), "--storage", storage]
    options = ["--data-dir", scale.data_dir, "--devices", "cpu", "--workers", str(workers)]
    start = time.perf_counter()
    subprocess.run(
        [*command, *options], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    seconds = time.perf_counter() - start
    study = open_study(open_storage(storage))
    finished = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    return seconds, [trial.value for trial in finished]


def images_per_second(step: Step, scale: Scale) -> float:
    """Measure a step, its processes together."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(step.processes)
    # Heeded by torch when it is imported.
    os.environ["OMP_NUM_THREADS"] = str(step.threads)
    with ProcessPoolExecutor(step.processes, context, _set_barrier, (barrier,)) as pool:
        futures = [pool.submit(_measure, step, scale) for _ in range(step.processes)]
        return sum(future.result() for future in futures)


_barrier: Barrier


def _set_barrier(barrier: Barrier) -> None:
    global _barrier
    _barrier = barrier


def _measure(step: Step, scale: Scale) -> float:
    torch.set_num_threads(step.threads)
    if step.keep_memory:
        take_device("cpu", step.threads)
    images = open_images(scale)
    if step.our_data:
        batches: Any = Batches(
            images.train,
            images.train_labels,
            torch.arange(len(images.train)).numpy(),
            BATCH,
            images.mean,
            images.std,
            crop=CROP,
            flip=True,
            shuffle=True,
            channels_last=step.channels_last,
            drop_last=True,
        )
    else:
        batches, _ = today.make_loaders(images, BATCH, CROP)
    compute = _training_step(step)
    done, start, warm = 0, 0.0, 0
    while True:
        for batch in batches:
            if warm == _WARM_UP_STEPS:
                _barrier.wait()
                start = time.perf_counter()
            warm += 1
            compute(*batch)
            done += BATCH if start else 0
            if start and time.perf_counter() - start > scale.seconds:
                return done / (time.perf_counter() - start)


def _training_step(step: Step) -> Callable[[torch.Tensor, torch.Tensor], None]:
    layout = torch.channels_last if step.channels_last else torch.contiguous_format
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=step.bfloat16)
    if step.convolutions_alone:
        convolutions = [nn.Conv2d(3, 35, 3, padding=1), nn.Conv2d(35, 35, 3, padding=1)]
        for convolution in convolutions:
            convolution.to(memory_format=layout)
        halved = torch.randn(BATCH, 35, 16, 16).contiguous(memory_format=layout).requires_grad_()

        def convolve(images: torch.Tensor, _labels: torch.Tensor) -> None:
            for convolution, inputs in zip(convolutions, (images, halved), strict=True):
                with autocast:
                    outputs = convolution(inputs)
                outputs.backward(outputs.detach())

        return convolve
    model: nn.Module = today.Network(1.0)
    if step.pool_first:
        first = InterpodilConv2d(3, 35, 3, padding=1)
        model = Tutorial(first, 1, 32, 10)
    elif step.our_layer:
        model.conv1 = InterpodilConv2d(3, 35, 3, padding=1)
    model.to(memory_format=layout)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4
    )

    def train(images: torch.Tensor, labels: torch.Tensor) -> None:
        optimizer.zero_grad()
        with autocast:
            outputs = model(images)
        F.cross_entropy(outputs.float(), labels).backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()

    return train


Search = Callable[[Scale, int, Path], tuple[float, list[float]]]


def searches() -> dict[str, Search]:
    """Return the ways to search, by name."""
    none, asha = {"name": "none"}, {"name": "asha"}
    quick = load_spec("quick").pruner.model_dump(mode="json", exclude_defaults=True)
    return {
        TODAY: run_today,
        "ours": partial(run_ours, pruner=none, workers=2),
        "ours, one worker": partial(run_ours, pruner=none, workers=1),
        "ours, pruned as by `quick`": partial(run_ours, pruner=quick, workers=2),
        "ours, pruned by default": partial(run_ours, pruner=asha, workers=2),
    }


def measure_searches(scale: Scale) -> dict[str, Any]:
    """Run all ways in turn; seconds, CPU seconds and accuracies by name and round."""
    ways = searches()
    measured: dict[str, dict[str, list[Any]]] = {
        name: {"seconds": [], "cpu_seconds": [], "accuracies": []} for name in ways
    }
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(scale.rounds):
            order = list(ways) if seed % 2 == 0 else list(reversed(ways))
            for name in order:
                before = sum(os.times()[2:4])
                taken, reached = ways[name](scale, seed, Path(folder))
                measured[name]["seconds"].append(taken)
                # Of all processes of the search; other work on the machine leaves it as it is.
                measured[name]["cpu_seconds"].append(sum(os.times()[2:4]) - before)
                measured[name]["accuracies"].append(reached)
    return {"trials": trials(), "ways": measured}


def measure_steps(scale: Scale) -> dict[str, list[float]]:
    """Measure all steps in turn; images per second by name and round."""
    steps = make_steps()
    speeds: dict[str, list[float]] = {step.name: [] for step in steps}
    for number in range(scale.step_rounds):
        turn = number % len(steps)
        for step in steps[turn:] + steps[:turn]:
            speeds[step.name].append(images_per_second(step, scale))
    return speeds


def show(searches: dict[str, Any], steps: dict[str, list[float]], scale: Scale) -> None:
    """Print the tables."""
    console = make_console()
    table = make_table(
        f"{len(trials())} trials of {scale.epochs} epochs of {scale.images} + {scale.validation} "
        f"images ({scale.data}), start and end included; {scale.rounds} rounds"
    )
    columns = (
        "",
        "s, median",
        "times as fast",
        "by round",
        "CPU s",
        "run to the end",
        "mean",
        "best",
    )
    for column in columns:
        table.add_column(column, justify="right" if column else "left")
    ways = searches["ways"]
    for name, of_way in ways.items():
        seconds = of_way["seconds"]
        ratios = [a / b for a, b in zip(ways[TODAY]["seconds"], seconds, strict=True)]
        ended = [value for of_round in of_way["accuracies"] for value in of_round]
        table.add_row(
            name,
            f"{statistics.median(seconds):.1f}",
            f"{statistics.median(ratios):.2f}",
            f"{min(ratios):.2f} to {max(ratios):.2f}",
            f"{statistics.median(of_way['cpu_seconds']):.1f}",
            f"{len(ended)} of {len(trials()) * scale.rounds}",
            f"{statistics.fmean(ended):.4f}",
            f"{statistics.fmean(max(of_round) for of_round in of_way['accuracies']):.4f}",
        )
    print_tables(console, table)
    console.print("accuracies of trials that ran to the end; best: the mean of the rounds' best")
    table = make_table("training steps: images per second, all cores; medians of the rounds")
    for column in ("", "images / s", "of the line before", "of today's way"):
        table.add_column(column, justify="right" if column else "left")
    first = before = statistics.median(next(iter(steps.values())))
    for name, speeds in steps.items():
        speed = statistics.median(speeds)
        table.add_row(name, f"{speed:.0f}", f"{speed / before:.2f}", f"{speed / first:.2f}")
        before = speed
    print_tables(console, table)


@click.command()
@click.option("--data", default="cifar10", show_default=True, help="The images' name.")
@click.option("--data-dir", default="data", show_default=True, help="The folder of the datasets.")
@click.option("--images", default=6000, show_default=True, type=click.IntRange(BATCH))
@click.option("--validation", default=2000, show_default=True, type=click.IntRange(1))
@click.option("--epochs", default=6, show_default=True, type=click.IntRange(1))
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=4.0, show_default=True, help="That each step is measured for.")
@click.option("--step-rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option("--quick", is_flag=True, help="Only check that it runs: one round of drawn images.")
@click.option("--today", "answer", type=click.Path(path_type=Path), hidden=True)
@click.option("--seed", default=0, hidden=True)
@click.option("--scale", "given", hidden=True)
@json_option
def main(
    data: str,
    data_dir: str,
    images: int,
    validation: int,
    epochs: int,
    rounds: int,
    seconds: float,
    step_rounds: int,
    quick: bool,
    answer: Path | None,
    seed: int,
    given: str | None,
    json_path: Path | None,
) -> None:
    """Compare the time of a search, today's way and ours."""
    folder = str(Path(data_dir).absolute())
    scale = Scale(data, folder, images, validation, epochs, rounds, seconds, step_rounds)
    if given is not None:
        scale = Scale(**json.loads(given))
    if quick:
        scale = Scale("patterns", folder, 2 * BATCH, BATCH, 1, 1, 0.1, 1)
    if answer is not None:
        settings = {"epochs": scale.epochs, "batch_size": BATCH, "crop": CROP}
        settings |= {"clip_norm": CLIP_NORM, "seed": seed}
        answer.write_text(json.dumps(today.search(open_images(scale), trials(), settings)))
        return
    open_images(scale)
    environment = describe_environment()
    searches, steps = measure_searches(scale), measure_steps(scale)
    show(searches, steps, scale)
    if json_path is not None:
        content = {"environment": environment, "scale": asdict(scale)}
        write_results(json_path, {**content, "searches": searches, "steps": steps})


if __name__ == "__main__":
    main()
