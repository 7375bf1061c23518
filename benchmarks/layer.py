"""Speed and memory of the interpodilated convolution, held against a plain convolution.

``make bench-layer``, or ``python -m benchmarks.layer`` in the project's folder.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

# The profiler, which tells the memory, else reports its own start and a missing GPU on stderr.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")

import click
import torch

from benchmarks.candidates import DCLS_VERSIONS, Candidate, choose_candidates
from benchmarks.environment import describe_environment, format_environment
from benchmarks.goals import judge
from benchmarks.measurement import MEMORY_FORMATS, Measurement, measure
from benchmarks.options import (
    DTYPES,
    QUICK_BATCH,
    Indices,
    device_option,
    dtype_option,
    json_option,
    quick_option,
)
from benchmarks.results import describe_measurement, summarise, write_results
from benchmarks.shapes import SHAPES, Shape
from benchmarks.tables import format_report, make_console, print_plain

SLOW_EVERY = 3

SHAPES_HELP = "Shapes to measure, by index: " + ", ".join(f"{i}: {s}" for i, s in enumerate(SHAPES))


@click.command()
@device_option
@dtype_option
@click.option(
    "--memory-format",
    "memory_formats",
    type=click.Choice(list(MEMORY_FORMATS)),
    multiple=True,
    default=tuple(MEMORY_FORMATS),
    help="Give it twice for both, as is the default.",
)
@click.option("--shapes", type=Indices(SHAPES), default=SHAPES, help=SHAPES_HELP)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=9,
    show_default=True,
    help=f"Rounds after the warm-up; slow candidates take part in every {SLOW_EVERY}rd.",
)
@click.option("--algorithms", is_flag=True, help="Measure each algorithm that applies, by name.")
@click.option(
    "--dcls-version",
    type=click.Choice(DCLS_VERSIONS),
    default=DCLS_VERSIONS[0],
    show_default=True,
    help="Interpolation of DCLS; the default is the package's own.",
)
@json_option
@quick_option
def main(
    device: str,
    dtype: str,
    memory_formats: tuple[str, ...],
    shapes: tuple[Shape, ...],
    rounds: int,
    algorithms: bool,
    dcls_version: str,
    json_path: Path | None,
    quick: bool,
) -> None:
    """Compare InterpodilConv2d with nn.Conv2d, with its expanded form and with DCLS.

    All candidates of a shape are measured in turn, round after round. A ratio is the median over
    the rounds of a candidate's time over the plain convolution's in the same round.
    """
    if quick:
        rounds = 1
        shapes = tuple(replace(shape, batch=QUICK_BATCH) for shape in shapes)
    candidates, left_out = choose_candidates(algorithms, dcls_version, SLOW_EVERY)
    environment = describe_environment(torch.device(device))
    console = make_console()
    header = {
        "benchmark": "layer",
        "quick": quick,
        "dtype": dtype,
        "rounds": rounds,
        "candidates": {candidate.name: {"every": candidate.every} for candidate in candidates},
        "left_out": left_out,
        "dcls_version": dcls_version,
        "environment": environment,
    }
    for line in _notes(header, candidates):
        console.print(line, markup=False, soft_wrap=True)
    described, summaries = [], []
    for memory_format in dict.fromkeys(memory_formats):
        measurements = list(
            _measure_all(
                candidates,
                shapes,
                memory_format,
                rounds=rounds,
                device=torch.device(device),
                dtype=DTYPES[dtype],
                one_call=quick,
            )
        )
        verdicts = judge(measurements)
        console.print()
        print_plain(console, format_report(measurements, verdicts))
        described += [describe_measurement(measurement) for measurement in measurements]
        summaries.append(summarise(measurements, verdicts))
    if json_path:
        write_results(json_path, header | {"summaries": summaries, "measurements": described})


def _measure_all(
    candidates: list[Candidate], shapes: tuple[Shape, ...], memory_format: str, **settings: Any
) -> Iterator[Measurement]:
    for number, shape in enumerate(shapes, 1):
        click.echo(f"{memory_format} {number}/{len(shapes)}: {shape}", err=True)
        yield measure(candidates, shape, memory_format, **settings)


def _notes(header: dict[str, Any], candidates: list[Candidate]) -> Iterator[str]:
    """What a reader of the tables must know."""
    yield format_environment(header["environment"], header["dtype"])
    if header["quick"]:
        yield "A quick run: one sample each on two pictures. Its figures say nothing."
    slow = [candidate.name for candidate in candidates if candidate.every > 1]
    yield (
        f"rounds after a warm-up: {header['rounds']}, all candidates in turn, in every "
        f"{SLOW_EVERY}rd round also the slow ones: {', '.join(slow)}"
    )
    yield (
        "forward: as at inference. forward+backward: gradients of the weights and, unless the "
        "input is a picture (3 channels), of the input"
    )
    yield (
        "peak memory: input, parameters and what torch allocates in forward+backward; buffers "
        "inside oneDNN are not seen"
    )
    if "dcls" in header["candidates"]:
        yield f"dcls: Dcls2d, 9 weights in 7x7, version {header['dcls_version']!r}"
    for name, reason in header["left_out"].items():
        yield f"{name} left out: {reason}"


if __name__ == "__main__":
    main()
