"""What the package decides by itself, and the alternatives among which it does."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import get_args

from torch import nn

from benchmarks.candidates import PLAIN, Candidate
from benchmarks.cases import ALGORITHM_CASES, BACKWARD_CASES, LAYOUT_CASES, SIDE_CASES, Case
from benchmarks.switches import exchanged
from interpodil.algorithms import Algorithm

AS_IS = "as is"
COMMUTED, AUTOGRAD = "commuted", "autograd"
FILTER_FIRST, FILTER_LAST = "filter first", "filter last"
NEVER, INPUT_BACK, OUTPUT_BACK = "never", "FEW_CHANNELS 1000", "FEW_CHANNELS 0"


@dataclass(frozen=True)
class Comparison:
    """A decision of the package, measured.

    Attributes:
        name: what files call it.
        title: what it is about, for people.
        decided: the candidate for which the package decides; the others but the plain convolution
            are the alternatives.
        cases: what it is measured on.
        candidates: the candidates of a case, the plain convolution first.
        quotient: two alternatives, the first of which is also held against the second.
    """

    name: str
    title: str
    decided: str
    cases: tuple[Case, ...]
    candidates: Callable[[Case], list[Candidate]]
    quotient: tuple[str, str] | None = None

    def alternatives(self, names: Iterable[str]) -> list[str]:
        """Those of some candidates' names among which the package decides."""
        return [name for name in names if name not in (PLAIN, self.decided)]


def _algorithms(case: Case) -> list[Candidate]:
    """Every named algorithm that applies."""

    def builder(name: str) -> Callable[[Case], nn.Module]:
        return lambda case: case.build(algorithm=name)

    candidates = [_PLAIN]
    for algorithm in get_args(Algorithm):
        try:
            case.build(algorithm=algorithm)
        except ValueError:
            continue
        candidates.append(Candidate(algorithm, builder(algorithm)))
    return candidates


def _backward_passes(case: Case) -> list[Candidate]:
    """The backward pass of its own, whatever the channels, and autograd's."""
    constant = "MOST_OUTPUT_CHANNELS"
    return [
        _PLAIN,
        Candidate(AS_IS, Case.build),
        Candidate(AUTOGRAD, Case.build, setting=exchanged(constant, 0)),
        Candidate(COMMUTED, Case.build, setting=exchanged(constant, math.inf)),
    ]


def _sides(case: Case) -> list[Candidate]:
    """The tent on the input's side and on the output's."""
    constant = "INPUTS_PER_OUTPUT"
    return [
        _PLAIN,
        Candidate(AS_IS, Case.build),
        Candidate(FILTER_FIRST, Case.build, setting=exchanged(constant, math.inf)),
        Candidate(FILTER_LAST, Case.build, setting=exchanged(constant, 0)),
    ]


def _layouts(case: Case) -> list[Candidate]:
    """No copies, a copy back of what is convolved, or one of the output."""
    return [
        _PLAIN,
        Candidate(AS_IS, Case.build),
        Candidate(NEVER, Case.build, setting=exchanged("relayout", lambda *_, **__: False)),
        Candidate(INPUT_BACK, Case.build, setting=exchanged("FEW_CHANNELS", 1000)),
        Candidate(OUTPUT_BACK, Case.build, setting=exchanged("FEW_CHANNELS", 0)),
    ]


_PLAIN = Candidate(PLAIN, Case.build_plain)

COMPARISONS = (
    Comparison("algorithm", "algorithms", "auto", ALGORITHM_CASES, _algorithms),
    Comparison(
        "backward",
        "backward pass that filters the output's gradient (commuted), or autograd's own",
        AS_IS,
        BACKWARD_CASES,
        _backward_passes,
        (COMMUTED, AUTOGRAD),
    ),
    Comparison(
        "layout",
        "contiguous input laid out anew: never, or always with the convolution's input "
        f"({INPUT_BACK}) or output ({OUTPUT_BACK}) laid back",
        AS_IS,
        LAYOUT_CASES,
        _layouts,
    ),
    Comparison(
        "side",
        "the tent before the base convolution, or after it",
        AS_IS,
        SIDE_CASES,
        _sides,
        (FILTER_LAST, FILTER_FIRST),
    ),
)
