"""How often the verdicts on two arms are wrong, and how many seeds they take.

``make bench-verdicts``, or ``python -m benchmarks.verdicts`` in the project's folder.
"""

import csv
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.commands import (
    describe_environment,
    json_option,
    make_console,
    make_table,
    print_tables,
    write_results,
)
from sweeps.verdicts import confidence_sequence, declare

#: Final accuracies of real runs, a row each: made by ``--record``.
RUNS = Path(__file__).parent / "results" / "verdict-runs.csv"
MARGIN, ERROR = 0.005, 0.05
_BLOCK = 1000
_POWERS = (0.8, 0.9)

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Array]


@dataclass(frozen=True)
class Course:
    """Arms whose true difference is known.

    Attributes:
        name: what they are.
        difference: the true mean of the differences.
        draw: draws paired differences of a shape (courses, seeds).
        deviation: standard deviation of the differences, where they are normal.
    """

    name: str
    difference: float
    draw: Draw
    deviation: float | None = None


@dataclass(frozen=True)
class Result:
    """What became of the courses.

    Attributes:
        course: their name.
        difference: the true mean of the differences.
        excluded: share of the courses whose sequence excluded it at any time.
        wrong: share that was declared otherwise than the truth, when they first were settled.
        settled: share that was settled within the seeds, rightly or not.
        right: share that was declared rightly.
        median, most: seeds of the median course, and of nine in ten; ``None`` where fewer settled.
        fixed: seeds of a t test of fixed size with these powers, where it applies.
    """

    course: str
    difference: float
    excluded: float
    wrong: float
    settled: float
    right: float
    median: int | None
    most: int | None
    fixed: dict[str, int] | None


def simulated() -> Iterator[Course]:
    """Courses whose runs are drawn from distributions."""
    for deviation in (0.005, 0.01):
        for times in (0, 0.5, 2, 4):
            difference = times * MARGIN
            name = "identical" if not times else f"{times:g} margins apart"
            yield Course(
                f"normal, sd {deviation}: {name}",
                difference,
                lambda rng, shape, d=difference, s=deviation: rng.normal(d, s, shape),
                deviation,
            )
    for share in (0.05, 0.2, 0.5):
        yield Course(
            f"{share:.0%} of the runs die: identical",
            0.0,
            lambda rng, shape, p=share: _dying(rng, shape, p) - _dying(rng, shape, p),
        )
    yield Course(
        "accuracy on 200 images: identical",
        0.0,
        lambda rng, shape: (rng.binomial(200, 0.6, shape) - rng.binomial(200, 0.6, shape)) / 200,
    )


def resampled(path: Path) -> Iterator[Course]:
    """Courses whose runs are drawn with replacement from real ones, each arm against itself."""
    with path.open() as file:
        rows = list(csv.DictReader(file))
    for arm in dict.fromkeys(row["arm"] for row in rows):
        values = np.array([float(row["val_accuracy"]) for row in rows if row["arm"] == arm])
        yield Course(
            f"{len(values)} runs of {arm}: identical",
            0.0,
            lambda rng, shape, v=values: rng.choice(v, shape) - rng.choice(v, shape),
        )


def follow(course: Course, courses: int, seeds: int, rng: np.random.Generator) -> Result:
    """Draw courses, look after every seed, and count what was declared."""
    excluded, first, declared = [], [], []
    for begun in range(0, courses, _BLOCK):
        count = min(_BLOCK, courses - begun)
        low, high = confidence_sequence(course.draw(rng, (count, seeds)), ERROR)
        inside = (low <= course.difference) & (course.difference <= high)
        excluded.append(~inside.all(-1))
        words = declare(low, high, MARGIN)
        settled = words != "not resolved"
        at = np.where(settled.any(-1), settled.argmax(-1), seeds - 1)
        first.append(np.where(settled.any(-1), at + 1, np.inf))
        declared.append(words[np.arange(count), at])
    words, taken = np.concatenate(declared), np.sort(np.concatenate(first))
    true = ["better"] if course.difference > 0 else []
    if course.difference < MARGIN:
        true.append("equal")
    settled = words != "not resolved"
    right = np.isin(words, true)
    return Result(
        course=course.name,
        difference=course.difference,
        excluded=float(np.concatenate(excluded).mean()),
        wrong=float((settled & ~right).mean()),
        settled=float(settled.mean()),
        right=float(right.mean()),
        median=_seeds(taken, 0.5),
        most=_seeds(taken, 0.9),
        fixed=_fixed(course),
    )


def record(seeds: int, data_dir: Path, path: Path) -> None:
    """Train a plain and an interpodilated 3x3 from many seeds, and write their accuracies."""
    import torch

    from sweeps.data import open_data
    from sweeps.spec.config import RunConfig
    from sweeps.training import train

    torch.set_num_threads(1)
    base = RunConfig.model_validate(
        {
            "data": {
                "name": "cifar10",
                "validation": 0.1,
                "train_limit": 2000,
                "validation_limit": 1000,
            },
            "training": {
                "epochs": 4,
                "batch_size": 64,
                "crop": 2,
                "flip": True,
                "learning_rate": 0.03,
            },
        }
    )
    arms = {
        "plain 3x3": {"layer.dilation": 1, "layer.growth": 3},
        "linear 7x7": {"layer.growth": 7, "layer.fade": 1.0},
    }
    dataset = open_data(base.data, data_dir)
    rows = ["arm,seed,val_accuracy"]
    for seed in range(seeds):
        for arm, settings in arms.items():
            config = base.with_values({"seed": seed, **settings})
            *_, last = train(config, dataset, torch.device("cpu"))
            accuracy = 1 / len(dataset.classes) if last.diverged else last.val_accuracy
            rows.append(f"{arm},{seed},{accuracy:.3f}")
        click.echo(f"seed {seed + 1}/{seeds}", err=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_text("\n".join(rows) + "\n")
    beside.replace(path)


def _dying(rng: np.random.Generator, shape: tuple[int, int], share: float) -> Array:
    alive = rng.normal(0.6, 0.007, shape)
    return np.where(rng.random(shape) < share, rng.normal(0.1, 0.003, shape), alive)


def _seeds(taken: Array, share: float) -> int | None:
    value = taken[math.ceil(share * len(taken)) - 1]
    return int(value) if np.isfinite(value) else None


def _fixed(course: Course) -> dict[str, int] | None:
    if course.deviation is None or course.difference == 0:
        return None
    return {
        f"{power:g}": t_test_seeds(course.difference / course.deviation, power) for power in _POWERS
    }


def t_test_seeds(effect: float, power: float) -> int:
    """Return the seeds of a two-sided paired t test of fixed size.

    Args:
        effect: mean over standard deviation of the differences, above 0.
        power: the probability to find it.

    Example:
        >>> t_test_seeds(1.0, 0.8)
        10
    """
    for n in range(2, 10_000):
        critical = stats.t.ppf(1 - ERROR / 2, n - 1)
        if stats.nct.sf(critical, n - 1, effect * math.sqrt(n)) >= power:
            return n
    raise ValueError(f"an effect of {effect!r} is too small")


@click.command()
@click.option("--courses", default=10_000, show_default=True, type=click.IntRange(1))
@click.option("--seeds", default=100, show_default=True, type=click.IntRange(5))
@click.option(
    "--record",
    "record_seeds",
    type=click.IntRange(2),
    metavar="SEEDS",
    help=f"First train two arms from so many seeds on CIFAR-10, for {RUNS.name}.",
)
@click.option("--data-dir", default=Path("data"), type=click.Path(path_type=Path))
@json_option
def main(
    courses: int, seeds: int, record_seeds: int | None, data_dir: Path, json_path: Path | None
) -> None:
    """Follow comparisons whose truth is known, looking after every seed."""
    if record_seeds:
        record(record_seeds, data_dir, RUNS)
    rng = np.random.default_rng(0)
    results = [follow(c, courses, seeds, rng) for c in (*simulated(), *resampled(RUNS))]
    console = make_console()
    console.print(
        f"{courses:,} courses of {seeds} seeds each; margin {MARGIN}, error {ERROR}", markup=False
    )
    print_tables(console, _table(results))
    if json_path:
        header: dict[str, Any] = {"benchmark": "verdicts", "courses": courses, "seeds": seeds}
        header |= {"margin": MARGIN, "error": ERROR, "environment": describe_environment()}
        write_results(json_path, header | {"results": [asdict(result) for result in results]})


def _table(results: list[Result]) -> Any:
    table = make_table("Declarations, looked at after every seed")
    table.add_column("paired differences", no_wrap=True)
    for heading in (
        "truth ever\nexcluded",
        "wrongly\ndeclared",
        "rightly\ndeclared",
        "seeds,\nmedian",
        "seeds of\n9 in 10",
        "fixed t test,\npower 0.8 | 0.9",
    ):
        table.add_column(heading, justify="right")
    for result in results:
        fixed = "" if result.fixed is None else " | ".join(map(str, result.fixed.values()))
        table.add_row(
            result.course,
            f"{result.excluded:.2%}",
            f"{result.wrong:.2%}",
            f"{result.right:.1%}",
            *("-" if count is None else str(count) for count in (result.median, result.most)),
            fixed,
        )
    return table


if __name__ == "__main__":
    main()
