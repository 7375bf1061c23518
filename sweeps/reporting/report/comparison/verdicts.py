"""The sections of a comparison's verdicts: what is declared, and how it came about."""

import math
from collections.abc import Sequence

import numpy as np

from sweeps.reporting.report.chart import GRAY, Chart, Intervals, Line, Points, shown
from sweeps.reporting.report.comparison.looks import (
    Look,
    pair_looks,
    pair_name,
    signed,
    zero_line,
)
from sweeps.reporting.report.document import Block, Table, side_by_side
from sweeps.reporting.verdicts import equal_time_words
from sweeps.study.comparison import Comparison, Pair


def verdicts(comparison: Comparison) -> list[Block]:
    """Write the section of the verdicts, with the course of each confidence sequence."""
    if not comparison.runs:
        return []
    looks = pair_looks(comparison)
    courses = [
        _course_chart(comparison, pair, looks[pair_name(comparison, pair)], index)
        for index, pair in enumerate(comparison.pairs)
        if len(pair.differences) > 1
    ]
    return [
        "Both arms of a pair were trained from the same seeds, and a verdict is about the "
        "differences, one for each seed. The interval [low, high] holds after every seed, however "
        "often one looks. P is the share of the seeds on which the arm beat the other, an estimate "
        "of the probability that a run of the one beats a run of the other.",
        _table(comparison, comparison.pairs, "Declared"),
        *side_by_side([_overview(comparison, comparison.pairs, "verdicts"), *courses]),
    ]


def equal_time(comparison: Comparison) -> list[Block]:
    """Write the section of the verdicts at equal time."""
    if not comparison.equal_time:
        return []
    return [
        "The same comparison once more, each arm with as many epochs as fit into the same seconds: "
        f"{equal_time_words(comparison)}. These verdicts have an error of their own.",
        _table(comparison, comparison.equal_time, "Declared at equal time"),
        *side_by_side([_overview(comparison, comparison.equal_time, "equal-time")]),
    ]


def _table(comparison: Comparison, pairs: Sequence[Pair], caption: str) -> Table:
    against = comparison.spec.reference
    header = ["arm", "is", "difference", "interval", "P", "seeds", "would need"]
    if against:
        caption += f" against {against}"
    else:
        header.insert(1, "against")
    rows = [[pair.arm, *([] if against else [pair.other]), *_cells(pair)] for pair in pairs]
    return Table(header, rows, numeric=5, caption=f"{caption}, in {comparison.spec.measured.name}")


def _cells(pair: Pair) -> list[str]:
    verdict = pair.verdict
    if not verdict.seeds:
        return ["not known yet", "-", "-", "-", "0", "-"]
    need = "not in reach"
    if verdict.is_settled:
        need = "-"
    elif verdict.seeds_needed is not None:
        need = f"{verdict.seeds_needed:,}"
    is_equal = verdict.declaration == "equal"
    return [
        "equal within the margin" if is_equal else verdict.declaration,
        signed(verdict.mean),
        _interval(pair) if math.isfinite(verdict.low) else "none yet",
        f"{pair.probability:.2f}",
        str(verdict.seeds),
        need,
    ]


def _interval(pair: Pair) -> str:
    return f"[{signed(pair.verdict.low)}, {signed(pair.verdict.high)}]"


def _overview(comparison: Comparison, pairs: Sequence[Pair], key: str) -> Chart | None:
    """Draw each pair's difference with its interval, where it has one yet."""
    known = {pair_name(comparison, pair): pair for pair in pairs if math.isfinite(pair.verdict.low)}
    if not known:
        return None
    spec, looks = comparison.spec, pair_looks(comparison)
    found = [pair.verdict for pair in known.values()]
    return Chart(
        key=key,
        title=f"Ahead of {spec.reference}" if spec.reference else "Differences",
        alt="; ".join(f"{n} {signed(p.verdict.mean)} {_interval(p)}" for n, p in known.items()),
        marks=[
            Intervals(
                names=[*known],
                values=[verdict.mean for verdict in found],
                low=[verdict.low for verdict in found],
                high=[verdict.high for verdict in found],
                colors=[looks[name].color for name in known],
                shapes=[looks[name].shape for name in known],
                margin=spec.margin,
            )
        ],
        x_title=f"{spec.measured.name}: difference, better to the right",
        caption=f"Shaded: the margin of {spec.margin:g}. An interval that is all to the right of 0 "
        "declares better, to the left worse, and one all in the shade equal.",
    )


def _course_chart(comparison: Comparison, pair: Pair, look: Look, index: int) -> Chart:
    """Draw a pair's mean difference and confidence sequence against the number of seeds."""
    margin, verdict = comparison.spec.margin, pair.verdict
    counts = [*range(1, len(pair.differences) + 1)]
    means = (np.cumsum(pair.differences) / counts).tolist()
    known = [n for n in counts if math.isfinite(pair.low[n - 1])]
    low, middle, high = ([side[n - 1] for n in known] for side in (pair.low, means, pair.high))
    limit = 1.5 * max(map(abs, (margin, means[-1], *low[-1:], *high[-1:])))
    points = [min(max(each, -limit), limit) for each in pair.differences]
    marks: list[Line | Points] = [
        zero_line(1, len(counts)),
        Line([1, len(counts)], [margin, margin], f"margin {margin:g}", GRAY, "dotted", 1.2),
        Line([1, len(counts)], [-margin, -margin], "", GRAY, "dotted", 1.2),
        Points(counts, points, "difference of a seed", GRAY, filled=False, size=3.5),
        Line(counts, means, "mean", look.color),
    ]
    if len(known) == 1:
        marks.append(Line(known * 2, [*low, *high], color=look.color))
    elif known:
        # The mean again, over its own band.
        marks.append(Line(known, middle, color=look.color, low=low, high=high))
    words = f"{verdict.declaration} after {verdict.seeds} seeds"
    if not verdict.is_settled and verdict.seeds_needed is not None:
        words += f"; {verdict.seeds_needed:,} would settle it if mean and spread stayed"
    return Chart(
        key=f"sequence-{index}",
        title=shown(f"{pair.arm} against {pair.other}", 60),
        alt=f"The mean difference is {signed(means[-1])} after {len(counts)} seeds: {words}.",
        marks=marks,
        x_title="seeds",
        y_title=f"ahead in {comparison.spec.measured.name}",
        caption=f"{words[0].upper()}{words[1:]}.",
        y_range=(-1.06 * limit, 1.06 * limit),
    )
