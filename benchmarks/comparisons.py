"""What the package decides by itself, the alternatives, and the layers they are measured on."""

import math
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args
from unittest import mock

from torch import nn

import interpodil
from benchmarks.measurement import PLAIN, Candidate
from interpodil.algorithms import Algorithm

_LAYERS = (interpodil.InterpodilConv1d, interpodil.InterpodilConv2d, interpodil.InterpodilConv3d)
_PLAIN_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)

CONTIGUOUS, CHANNELS_LAST = "contiguous", "channels_last"

AS_IS = "as is"
COMMUTED, AUTOGRAD = "commuted", "autograd"
FILTER_FIRST, FILTER_LAST = "filter first", "filter last"
NEVER, INPUT_BACK, OUTPUT_BACK = "never", "FEW_CHANNELS 1000", "FEW_CHANNELS 0"


@dataclass(frozen=True)
class Case:
    """A layer with 3 taps and a padding of 1 per axis, without bias, and its input.

    Attributes:
        batch: samples a batch.
        in_channels: channels of the input.
        size: pixels of the input per axis; as many axes as the layer has.
        out_channels: channels of the output.
        memory_format: a key of ``benchmarks.measurement.MEMORY_FORMATS``.
        stride: stride on every axis.
        groups: blocks of channels.
        dilation: the layer's, as ``fade`` and ``growth``.
        algorithm: the layer's where the candidates do not differ in it.
    """

    batch: int
    in_channels: int
    size: tuple[int, ...]
    out_channels: int
    memory_format: str
    stride: int = 1
    groups: int = 1
    dilation: int = 2
    fade: float | None = None
    growth: int | None = None
    algorithm: str = "auto"

    @property
    def input_size(self) -> tuple[int, ...]:
        """Size of the input's every axis."""
        return (self.batch, self.in_channels, *self.size)

    @property
    def is_first_layer(self) -> bool:
        """Whether the input has as few channels as data, which need no gradient."""
        return self.in_channels <= 3

    def __str__(self) -> str:
        stride = f" /{self.stride}" if self.stride > 1 else ""
        settings = {
            "groups": self.groups if self.groups > 1 else None,
            "dilation": self.dilation if self.dilation != 2 else None,
            "fade": self.fade,
            "growth": self.growth,
        }
        given = [f"{name} {value}" for name, value in settings.items() if value is not None]
        if self.algorithm != "auto":
            given.append(self.algorithm)
        layer = f"{'x'.join(map(str, self.input_size))} -> {self.out_channels}{stride}"
        return ", ".join([layer, *given, self.memory_format])

    def build(self, **changes: Any) -> nn.Module:
        """Build the layer, with other settings if any are given."""
        names = ("dilation", "fade", "growth", "algorithm")
        settings = {name: getattr(self, name) for name in names} | changes
        return self._build(_LAYERS, **settings)

    def build_plain(self) -> nn.Module:
        """Build the plain convolution of the same arguments, without dilation."""
        return self._build(_PLAIN_LAYERS)

    def _build(self, layers: tuple[Callable[..., nn.Module], ...], **settings: Any) -> nn.Module:
        shared = {"stride": self.stride, "padding": 1, "groups": self.groups, "bias": False}
        layer = layers[len(self.size) - 1]
        return layer(self.in_channels, self.out_channels, 3, **shared, **settings)


ALGORITHM_CASES = (
    Case(16, 128, (28, 28), 128, CHANNELS_LAST, groups=128),
    Case(16, 128, (28, 28), 128, CONTIGUOUS, groups=128),
    Case(16, 128, (28, 28), 128, CHANNELS_LAST, stride=2, groups=128),
    Case(16, 128, (28, 28), 128, CHANNELS_LAST, groups=128, fade=3),
    Case(16, 128, (28, 28), 128, CHANNELS_LAST, groups=8),
    Case(16, 128, (28, 28), 4, CHANNELS_LAST),
    Case(16, 64, (28, 28), 256, CHANNELS_LAST),
    Case(16, 64, (28, 28), 64, CHANNELS_LAST, dilation=3),
    Case(16, 64, (28, 28), 64, CHANNELS_LAST, dilation=4),
    Case(16, 64, (28, 28), 64, CONTIGUOUS, dilation=4),
    Case(16, 3, (112, 112), 64, CHANNELS_LAST, dilation=3),
    Case(16, 3, (112, 112), 64, CHANNELS_LAST, growth=5),
    Case(16, 3, (112, 112), 64, CONTIGUOUS, growth=5),
    Case(16, 64, (28, 28), 64, CHANNELS_LAST, fade=0.5),
    Case(16, 64, (2000,), 64, CONTIGUOUS),
    Case(16, 64, (2000,), 64, CONTIGUOUS, growth=5),
    Case(16, 64, (2000,), 64, CONTIGUOUS, fade=3),
    Case(16, 2, (8000,), 32, CONTIGUOUS),
    Case(4, 16, (16, 24, 24), 32, CONTIGUOUS),
    Case(4, 16, (16, 24, 24), 32, CHANNELS_LAST),
    Case(4, 16, (16, 24, 24), 32, CONTIGUOUS, growth=5),
    Case(4, 1, (32, 48, 48), 16, CONTIGUOUS),
)

BACKWARD_CASES = tuple(
    Case(16, inputs, (28, 28), outputs, memory_format, algorithm="tent_first")
    for memory_format in (CHANNELS_LAST, CONTIGUOUS)
    for inputs, outputs in ((128, 32), (128, 64), (128, 128), (64, 128), (64, 256))
)

LAYOUT_CASES = tuple(
    Case(8, channels, (56, 56), 64, CONTIGUOUS, stride, growth=growth, algorithm=algorithm)
    for algorithm, stride, growth in (
        ("tent_first", 1, None),
        ("tent_first", 2, None),
        ("axis_first", 1, 5),
    )
    for channels in (3, 8, 16, 64)
)

SIDE_CASES = tuple(
    Case(batch, inputs, (size, size), outputs, memory_format, algorithm="tent_first")
    for memory_format in (CHANNELS_LAST, CONTIGUOUS)
    for batch, inputs, size, outputs in (
        (16, 128, 28, 4),
        (16, 256, 28, 64),
        (16, 128, 28, 64),
        (16, 128, 28, 128),
        (4, 128, 112, 32),
    )
)


def exchanged(name: str, value: Any) -> Callable[[], AbstractContextManager[None]]:
    """Return what makes contexts in which a name means something else all over the package.

    Raises:
        LookupError: if no module of the package knows the name, so that nothing would change.
    """
    package = interpodil.__name__
    modules = [
        module
        for path, module in list(sys.modules.items())
        if path.partition(".")[0] == package and name in vars(module)
    ]
    if not modules:
        raise LookupError(f"no module of {package} has the name {name!r} that is to be exchanged")

    @contextmanager
    def context() -> Iterator[None]:
        with ExitStack() as stack:
            for module in modules:
                stack.enter_context(mock.patch.object(module, name, value))
            yield

    return context


@dataclass(frozen=True)
class Comparison:
    """A decision of the package, measured.

    Attributes:
        name: what files call it.
        title: what it is about, for people.
        decided: the candidate for which the package decides; the others but the plain convolution
            are the alternatives.
        cases: what it is measured on.
        exchanges: by alternative, the name of the package that is exchanged and its value; without
            any, the alternatives are the named algorithms that apply to a case.
        quotient: two alternatives, the first of which is also held against the second.
    """

    name: str
    title: str
    decided: str
    cases: tuple[Case, ...]
    exchanges: dict[str, tuple[str, Any]]
    quotient: tuple[str, str] | None = None

    def candidates(self, case: Case) -> list[Candidate]:
        """Return the candidates of a case, the plain convolution first."""
        candidates = [Candidate(PLAIN, Case.build_plain)]
        if self.exchanges:
            candidates.append(Candidate(self.decided, Case.build))
            for label, (name, value) in self.exchanges.items():
                candidates.append(Candidate(label, Case.build, setting=exchanged(name, value)))
            return candidates
        for algorithm in get_args(Algorithm):
            build = partial(Case.build, algorithm=algorithm)
            with suppress(ValueError):  # where it does not apply
                build(case)
                candidates.append(Candidate(algorithm, build))
        return candidates

    def alternatives(self, names: Iterable[str]) -> list[str]:
        """Return those of some candidates' names among which the package decides."""
        return [name for name in names if name not in (PLAIN, self.decided)]


COMPARISONS = (
    Comparison("algorithm", "algorithms", "auto", ALGORITHM_CASES, {}),
    Comparison(
        "backward",
        "backward pass that filters the output's gradient (commuted), or autograd's own",
        AS_IS,
        BACKWARD_CASES,
        {AUTOGRAD: ("MOST_OUTPUT_CHANNELS", 0), COMMUTED: ("MOST_OUTPUT_CHANNELS", math.inf)},
        quotient=(COMMUTED, AUTOGRAD),
    ),
    Comparison(
        "layout",
        "contiguous input laid out anew: never, or always with the convolution's input "
        f"({INPUT_BACK}) or output ({OUTPUT_BACK}) laid back",
        AS_IS,
        LAYOUT_CASES,
        {
            NEVER: ("relayout", lambda *_, **__: False),
            INPUT_BACK: ("FEW_CHANNELS", 1000),
            OUTPUT_BACK: ("FEW_CHANNELS", 0),
        },
    ),
    Comparison(
        "side",
        "the tent before the base convolution, or after it",
        AS_IS,
        SIDE_CASES,
        {FILTER_FIRST: ("INPUTS_PER_OUTPUT", math.inf), FILTER_LAST: ("INPUTS_PER_OUTPUT", 0)},
        quotient=(FILTER_LAST, FILTER_FIRST),
    ),
)
