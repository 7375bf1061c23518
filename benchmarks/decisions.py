"""What the package decided for a case, and what that cost against the best alternative."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.comparisons import Comparison
from benchmarks.measurement import Measurement
from benchmarks.operations import Operations


@dataclass(frozen=True)
class Decision:
    """What was decided in one mode.

    Attributes:
        fastest: the fastest alternative.
        chosen: the alternatives that do just what the package decided to do: several where they
            come to the same, none where the package has a way of its own.
        slower: the chosen alternative's time over the fastest one's, at least 1 where one was
            chosen; else what the package decided over the fastest.
    """

    fastest: str
    chosen: tuple[str, ...]
    slower: float


def decision(
    comparison: Comparison,
    measurement: Measurement,
    mode: str,
    operations: Mapping[str, Operations],
) -> Decision:
    """Tell which alternative the package chose in a mode.

    An alternative was chosen if torch was asked for the same operations, so nothing needs to be
    known of how the package chooses, and the time is that alternative's own: what else the
    candidate that decides by itself took is noise.

    Args:
        comparison: tells the candidate for which the package decides from the alternatives.
        measurement: times of all of them.
        mode: forward pass or step.
        operations: every candidate's operations in that mode.
    """
    alternatives = comparison.alternatives(measurement.peaks)
    ratios = {name: measurement.time_ratio(mode, name) for name in alternatives}
    fastest = min(ratios, key=lambda name: ratios[name])
    done = operations[comparison.decided]
    chosen = tuple(name for name in alternatives if operations[name] == done)
    if fastest in chosen:
        return Decision(fastest, chosen, 1.0)
    taken = ratios[chosen[0]] if chosen else measurement.time_ratio(mode, comparison.decided)
    return Decision(fastest, chosen, taken / ratios[fastest])
