"""The measurements behind what the layer decides by itself.

``make bench-choice``, or ``python -m benchmarks.choice`` in the project's folder.
"""

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args
from unittest import mock

import click
from torch import nn

import interpodil
from benchmarks.commands import (
    QUICK_BATCH,
    Indices,
    clock_option,
    describe_environment,
    device_option,
    dtype_option,
    format_environment,
    json_option,
    make_console,
    print_tables,
    quick_option,
    write_results,
)
from benchmarks.measurement import CLOCKS, PLAIN, Candidate, make_workloads, measure
from benchmarks.tables import describe_measurement, results_table
from interpodil.plan import Algorithm

CHOSEN = "auto"
CONTIGUOUS, CHANNELS_LAST = "contiguous", "channels_last"

_LAYERS = (interpodil.InterpodilConv1d, interpodil.InterpodilConv2d, interpodil.InterpodilConv3d)
_PLAIN_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class Case:
    """A layer with 3 taps and a padding of 1 per axis, and its input.

    Attributes:
        batch: samples a batch.
        in_channels: channels of the input.
        size: pixels of the input per axis; as many axes as the layer has.
        out_channels: channels of the output.
        memory_format: a key of ``benchmarks.measurement.MEMORY_FORMATS``.
        stride: stride on every axis.
        groups: number of groups of channels.
        bias: whether the layer has one.
        settings: other arguments of the layer, by name.
    """

    batch: int
    in_channels: int
    size: tuple[int, ...]
    out_channels: int
    memory_format: str
    stride: int = 1
    groups: int = 1
    bias: bool = False
    settings: tuple[tuple[str, Any], ...] = ()

    @property
    def input_size(self) -> tuple[int, ...]:
        """Size of the input's every axis."""
        return (self.batch, self.in_channels, *self.size)

    @property
    def is_first_layer(self) -> bool:
        """Whether the input has as few channels as images, which need no gradient."""
        return self.in_channels <= 3

    def __str__(self) -> str:
        stride = f" /{self.stride}" if self.stride > 1 else ""
        groups = [f"groups {self.groups}"] if self.groups > 1 else []
        bias = ["bias"] if self.bias else []
        settings = [f"{name} {value}" for name, value in self.settings]
        layer = f"{'x'.join(map(str, self.input_size))} -> {self.out_channels}{stride}"
        return ", ".join([layer, *groups, *bias, *settings, self.memory_format])

    def build(self, **changes: Any) -> nn.Module:
        """Build the layer, with other settings if any are given."""
        return self._build(_LAYERS, **dict(self.settings), **changes)

    def build_plain(self) -> nn.Module:
        """Build the plain convolution of the same arguments, without dilation."""
        return self._build(_PLAIN_LAYERS)

    def _build(self, layers: tuple[Callable[..., nn.Module], ...], **settings: Any) -> nn.Module:
        shared = {"stride": self.stride, "padding": 1, "groups": self.groups, "bias": self.bias}
        layer = layers[len(self.size) - 1]
        return layer(self.in_channels, self.out_channels, 3, **shared, **settings)


@dataclass(frozen=True)
class Comparison:
    """A decision of the layer, beside its alternatives.

    Attributes:
        title: what is decided.
        cases: what it is measured on.
        exchanges: by alternative, a name of the package and the value it gets instead; without
            any, the alternatives are the named algorithms that apply to a case.
    """

    title: str
    cases: tuple[Case, ...]
    exchanges: dict[str, tuple[str, Any]]

    def candidates(self, case: Case) -> list[Candidate]:
        """Return the plain convolution, the layer as it decides, and the alternatives."""
        candidates = [Candidate(PLAIN, Case.build_plain), Candidate(CHOSEN, Case.build)]
        for label, (name, value) in self.exchanges.items():
            candidates.append(Candidate(label, Case.build, setting=exchanged(name, value)))
        for algorithm in get_args(Algorithm)[1:] if not self.exchanges else ():
            build = partial(Case.build, algorithm=algorithm)
            with suppress(ValueError):  # where it does not apply
                build(case)
                candidates.append(Candidate(algorithm, build))
        return candidates


def exchanged(name: str, value: Any) -> Callable[[], AbstractContextManager[None]]:
    """Return a factory of contexts in which a name has another value all over the package.

    Raises:
        LookupError: if no module of the package has the name.
    """
    package = interpodil.__name__
    modules = [
        module
        for path, module in list(sys.modules.items())
        if path.partition(".")[0] == package and name in vars(module)
    ]
    if not modules:
        raise LookupError(f"no module of {package} has the name {name!r}")

    @contextmanager
    def context() -> Iterator[None]:
        with ExitStack() as stack:
            for module in modules:
                stack.enter_context(mock.patch.object(module, name, value))
            yield

    return context


def _both(*shapes: tuple[int, int, int, int]) -> tuple[Case, ...]:
    """Return square cases of (batch, in, size, out) at stride 1 in both formats."""
    return tuple(
        Case(batch, inputs, (size, size), outputs, memory_format)
        for memory_format in (CHANNELS_LAST, CONTIGUOUS)
        for batch, inputs, size, outputs in shapes
    )


def _settings(**settings: Any) -> dict[str, Any]:
    return {"settings": tuple(settings.items())}


COMPARISONS = (
    Comparison(
        "algorithm",
        (
            Case(16, 128, (28, 28), 128, CHANNELS_LAST, groups=128),
            Case(16, 128, (28, 28), 128, CONTIGUOUS, groups=128),
            Case(16, 128, (28, 28), 128, CHANNELS_LAST, stride=2, groups=128),
            Case(16, 128, (28, 28), 128, CHANNELS_LAST, groups=128, **_settings(fade=3)),
            Case(16, 128, (28, 28), 128, CHANNELS_LAST, groups=8),
            Case(16, 128, (28, 28), 4, CHANNELS_LAST),
            Case(16, 64, (28, 28), 256, CHANNELS_LAST),
            Case(16, 64, (28, 28), 64, CHANNELS_LAST, **_settings(dilation=3)),
            Case(16, 64, (28, 28), 64, CHANNELS_LAST, **_settings(dilation=4)),
            Case(16, 64, (28, 28), 64, CONTIGUOUS, **_settings(dilation=4)),
            Case(16, 3, (112, 112), 64, CHANNELS_LAST, **_settings(dilation=3)),
            Case(16, 3, (112, 112), 64, CHANNELS_LAST, **_settings(growth=5)),
            Case(16, 3, (112, 112), 64, CONTIGUOUS, **_settings(growth=5)),
            Case(16, 64, (28, 28), 64, CHANNELS_LAST, **_settings(fade=0.5)),
            Case(16, 64, (2000,), 64, CONTIGUOUS),
            Case(16, 64, (2000,), 64, CONTIGUOUS, **_settings(growth=5)),
            Case(16, 64, (2000,), 64, CONTIGUOUS, **_settings(fade=3)),
            Case(16, 2, (8000,), 32, CONTIGUOUS),
            Case(4, 16, (16, 24, 24), 32, CONTIGUOUS),
            Case(4, 16, (16, 24, 24), 32, CHANNELS_LAST),
            Case(4, 16, (16, 24, 24), 32, CONTIGUOUS, **_settings(growth=5)),
            Case(4, 1, (32, 48, 48), 16, CONTIGUOUS),
        ),
        {},
    ),
    Comparison(
        "the tent before the base convolution, or after it with a backward pass of its own",
        _both((16, 128, 28, 32), (16, 128, 28, 64), (16, 128, 28, 128), (16, 64, 28, 128)),
        {"before": ("INPUTS_PER_OUTPUT", math.inf), "after": ("INPUTS_PER_OUTPUT", 0)},
    ),
    Comparison(
        "images and volumes filtered by shifted sums, or by depthwise convolutions",
        (
            *_both((128, 3, 32, 35), (8, 3, 112, 64)),
            Case(8, 3, (112, 112), 64, CHANNELS_LAST, stride=2),
            Case(8, 3, (160, 160), 32, CHANNELS_LAST, stride=4),
            Case(8, 3, (160, 160), 32, CONTIGUOUS, stride=4),
            Case(4, 16, (16, 24, 24), 32, CHANNELS_LAST),
            Case(4, 16, (16, 24, 24), 32, CONTIGUOUS),
            Case(2, 32, (8, 28, 28), 32, CHANNELS_LAST),
            Case(2, 32, (8, 28, 28), 32, CONTIGUOUS),
        ),
        {"shifted": ("_shift", lambda *_: True), "depthwise": ("_shift", lambda *_: False)},
    ),
    Comparison(
        "contiguous inputs converted to channels_last for the filter, or not",
        (
            *(
                Case(8, channels, (56, 56), 64, CONTIGUOUS, stride)
                for stride in (1, 2)
                for channels in (8, 16, 35, 64)
            ),
            Case(2, 3, (32, 32, 32), 16, CONTIGUOUS),
            Case(4, 16, (16, 24, 24), 32, CONTIGUOUS),
            Case(2, 32, (8, 28, 28), 32, CONTIGUOUS),
            Case(2, 48, (16, 16, 16), 16, CONTIGUOUS),
        ),
        {
            "converted": ("CHANNEL_BLOCK", 10**6),
            "as they are": ("_relayout", lambda *_, **__: False),
        },
    ),
    Comparison(
        "the bias's gradient summed apart, or by the dilated convolution",
        tuple(
            replace(case, bias=True)
            for case in _both((128, 3, 32, 35), (8, 3, 112, 64), (32, 35, 16, 35), (8, 64, 28, 64))
        ),
        {
            "apart": ("_sums_bias_slowly", lambda *_: True),
            "by it": ("_sums_bias_slowly", lambda *_: False),
        },
    ),
    Comparison(
        "single small images with the tent as a dense kernel, or as larger ones",
        (
            Case(1, 8, (8, 8), 8, CONTIGUOUS),
            Case(1, 8, (8, 8), 8, CONTIGUOUS, stride=2),
            Case(1, 8, (32, 32), 8, CONTIGUOUS),
        ),
        {"dense": ("TINY", math.inf), "as larger": ("TINY", 0)},
    ),
)

CASES = tuple((comparison, case) for comparison in COMPARISONS for case in comparison.cases)
CASES_HELP = "Cases to measure, by index: " + "; ".join(
    f"{index}: {case}" for index, (_, case) in enumerate(CASES)
)


@click.command()
@device_option
@dtype_option
@click.option("--cases", type=Indices(CASES), default=CASES, show_default="all", help=CASES_HELP)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=7,
    show_default=True,
    help="Rounds after the warm-up.",
)
@clock_option
@json_option
@quick_option
def main(
    device: str,
    dtype: str,
    cases: tuple[tuple[Comparison, Case], ...],
    rounds: int,
    clock: str,
    json_path: Path | None,
    quick: bool,
) -> None:
    """Measure the layer as it decides ("auto") beside the alternatives.

    All candidates of a case are measured in turn, round after round. A ratio is the median over
    the rounds of a candidate's time over the plain convolution's in the same round.
    """
    rounds = 1 if quick else rounds
    environment = describe_environment(device)
    console = make_console()
    for line in (
        format_environment(environment, dtype),
        f"{clock} time; rounds after a warm-up: {rounds}, all candidates in turn",
        "forward: as at inference. forward+backward: gradients of the weights and, with more than "
        "3 channels, of the input",
    ):
        console.print(line, markup=False, soft_wrap=True)
    if quick:
        console.print("A quick run: one sample each on a small batch. Its figures say nothing.")
    described = []
    for comparison in COMPARISONS:
        chosen = [case for other, case in cases if other is comparison]
        measurements = []
        for number, case in enumerate(chosen, 1):
            click.echo(f"{comparison.title} {number}/{len(chosen)}: {case}", err=True)
            case = replace(case, batch=min(case.batch, QUICK_BATCH)) if quick else case
            candidates = comparison.candidates(case)
            workloads = make_workloads(candidates, case, case.memory_format, device, dtype)
            measurements.append(
                measure(workloads, case, case.memory_format, rounds, quick, CLOCKS[clock])
            )
        if measurements:
            title = f"{comparison.title}: times and memory over plain's"
            print_tables(console, results_table(measurements, title, PLAIN, with_means=False))
            entries = [{"case": str(m.shape)} | describe_measurement(m) for m in measurements]
            described.append({"comparison": comparison.title, "cases": entries})
    if json_path:
        header = {"benchmark": "choice", "quick": quick, "dtype": dtype, "rounds": rounds}
        header["clock"] = clock
        write_results(json_path, header | {"environment": environment, "comparisons": described})


if __name__ == "__main__":
    main()
