"""What is said of a comparison: its arms in a table, and a sentence for each verdict."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeps.reporting.formatting import make_table, print_line, print_table
from sweeps.study.comparison import ArmResult, Comparison, Pair

_MILLION = 1e6
# So many changed settings are named one by one; of more the sections are.
_MOST_CHANGES = 4
# So many letters of an arm's name stay on one line however narrow the terminal.
_FULL_NAME = 18
# Of a table that is not squeezed, in letters.
_WIDEST = 10_000
#: The answer has the intervals of so many verdicts; of more it says what they are.
_MOST_IN_DETAIL = 3


def print_comparison(console: Console, comparison: Comparison, where: str) -> None:
    """Print the arms, what is declared of them, and what a reader has to know.

    Args:
        console: where to print.
        comparison: the comparison, which may be under way.
        where: the storage, as a person knows it.
    """
    print_line(console, f"\nComparison {comparison.name} in {where}")
    measured, direction = comparison.spec.measured.name, comparison.spec.measured.direction
    better = "higher" if direction == "maximize" else "lower"
    print_line(console, f"{measured} ({better} is better), {comparison.runs} confirming runs\n")
    _print_arms(console, comparison)
    for pair in comparison.pairs:
        console.print(
            Text(verdict_sentence(comparison, pair), style="bold"),
            soft_wrap=not console.is_terminal,
        )
    if comparison.equal_time:
        print_line(console, "\nAt equal time:")
        print_line(console, equal_time_words(comparison))
        for pair in comparison.equal_time:
            print_line(console, verdict_sentence(comparison, pair))
    print_line(console, "")
    for note in (*state_words(comparison), *notes(comparison)):
        console.print(Text(note, style="dim"), soft_wrap=not console.is_terminal)


def _print_arms(console: Console, comparison: Comparison) -> None:
    """Print what arms reached and what they cost: in two tables where one would be too wide."""
    rows = arm_rows(comparison)
    whole = _arms_table([*rows[0]], rows)
    free = console.options.update(max_width=_WIDEST)
    if console.measure(whole, options=free).maximum <= console.width:
        print_table(console, whole)
        return
    quality = (comparison.spec.measured.name, "seeds", "dead")
    for names in (("arm", *quality), [name for name in rows[0] if name not in quality]):
        print_table(console, _arms_table(names, rows))


def _arms_table(names: Sequence[str], rows: list[dict[str, str]]) -> Table:
    # Nothing is cut: what does not fit goes on in the next line.
    table = make_table()
    longest = max(len(row["arm"]) for row in rows)
    table.add_column("arm", overflow="fold", min_width=min(longest, _FULL_NAME))
    for name in names[1:]:
        table.add_column(name.replace(" (", "\n("), justify="right", overflow="fold")
    for row in rows:
        table.add_row(*(row[name] for name in names))
    return table


def arm_rows(comparison: Comparison) -> list[dict[str, str]]:
    """Write what each arm reached and what it costs, by the headings of a table."""
    return [
        {
            "arm": arm.name,
            comparison.spec.measured.name: value_words(comparison, arm),
            "seeds": str(len(arm.runs)),
            "dead": str(arm.deaths),
            "parameters": "-" if arm.parameters is None else f"{arm.parameters:,}",
            "multiply-adds (M)": (
                "-" if arm.multiply_adds is None else f"{arm.multiply_adds / _MILLION:.2f}"
            ),
            "step (ms)": "-" if arm.step_ms is None else f"{arm.step_ms:.1f}",
            "memory (MiB)": ("-" if arm.peak_memory_mib is None else f"{arm.peak_memory_mib:.0f}"),
            "epochs": f"{arm.epochs:,}",
        }
        for arm in comparison.arms.values()
    ]


def value_words(comparison: Comparison, arm: ArmResult) -> str:
    """Write an arm's mean with its interval: ``0.6123 [0.6020, 0.6226]``."""
    if not arm.runs:
        return "-"
    return f"{arm.mean:.4f} {_interval(*arm.interval(comparison.spec.error))}"


def verdict_sentence(comparison: Comparison, pair: Pair) -> str:
    """Say in a sentence what is declared of two arms."""
    spec, verdict = comparison.spec, pair.verdict
    name = spec.measured.name
    if not verdict.seeds:
        return f"{pair.arm} and {pair.other}: nothing is known yet."
    evidence = (
        f"{_amount(pair)} in {name} after {_counted(verdict.seeds, 'seed')}; a run of {pair.arm} "
        f"beats one of {pair.other} with a probability of {pair.probability:.2f}."
    )
    if verdict.declaration == "equal":
        return (
            f"{pair.arm} equals {pair.other} within the margin of {spec.margin:g}: it is "
            f"{_side(pair)} by {evidence}"
        )
    if verdict.is_settled:
        return f"{pair.arm} is {verdict.declaration} than {pair.other} by {evidence}"
    need = (
        f"If mean and spread stay as they are, {verdict.seeds_needed:,} seeds would settle it."
        if verdict.seeds_needed is not None
        else "No number of seeds that can be had would settle it, as it looks now."
    )
    return (
        f"{pair.arm} against {pair.other} is not resolved: it is {_side(pair)} by {evidence} {need}"
    )


def _side(pair: Pair) -> str:
    return "ahead" if pair.verdict.mean >= 0 else "behind"


def _amount(pair: Pair) -> str:
    """Write by how much a pair's arm is ahead, or behind where it is behind."""
    low, high = pair.verdict.low, pair.verdict.high
    ends = (low, high) if pair.verdict.mean >= 0 else (-high, -low)
    return f"{abs(pair.verdict.mean):.4f} {_interval(*ends)}"


def equal_time_words(comparison: Comparison) -> str:
    """Say how long each arm trained: ``plain 27 epochs of 4.1 s, linear-7x7 22 of 5.0 s``."""
    return ", ".join(
        f"{arm.name} {arm.equal_time_epochs} epochs of {arm.epoch_seconds:.3g} s"
        for arm in comparison.arms.values()
        if arm.equal_time_epochs is not None and arm.epoch_seconds is not None
    )


def answer(comparison: Comparison) -> str:
    """Say in one sentence what was found: of few pairs with numbers, of many what is declared."""
    spec = comparison.spec
    known = [pair for pair in comparison.pairs if pair.verdict.seeds]
    if not known:
        return "There is no answer yet: no arm is confirmed."
    margin = f"within the margin of {spec.margin:g}"
    if len(known) <= _MOST_IN_DETAIL:
        clauses = []
        for pair in known:
            declaration = pair.verdict.declaration
            if declaration == "equal":
                words = f"equals {pair.other} {margin}"
            elif declaration == "not resolved":
                words = f"against {pair.other} is not resolved: it is {_side(pair)} by "
            else:
                words = f"is {declaration} than {pair.other} by "
            numbers = "" if declaration == "equal" else _amount(pair)
            clauses.append(f"{pair.arm} {words}{numbers}")
        return f"In {spec.measured.name}, {'; '.join(clauses)}."
    listed: dict[str, list[str]] = {}
    for pair in known:
        words = pair.arm if spec.reference else f"{pair.arm} against {pair.other}"
        listed.setdefault(pair.verdict.declaration, []).append(words)
    parts = [
        f"{_joined(names)} {_are(names)} {f'equal {margin}' if declared == 'equal' else declared}"
        for declared in ("better", "worse", "equal", "not resolved")
        if (names := listed.get(declared))
    ]
    against = f" against {spec.reference}" if spec.reference else ""
    return f"In {spec.measured.name}{against}: {'; '.join(parts)}."


def winner_words(comparison: Comparison, arm: str) -> str:
    """Say what is declared of an arm, and of others that are declared better likewise."""
    pairs = comparison.pairs_of(arm)
    words = [verdict_sentence(comparison, pair) for pair in pairs]
    winners = comparison.winners()
    if arm in winners and len(winners) > 1:
        others = _joined([name for name in winners if name != arm])
        words.append(
            f"So {_are(winners[1:])} {others}; {arm} was not compared with {others}."
            f" --arm NAME writes another."
        )
    return "\n".join(words)


def state_words(comparison: Comparison) -> list[str]:
    """Say what is missing in a comparison that is not finished; nothing of a finished one."""
    spec, arms = comparison.spec, comparison.arms.values()
    untuned = [arm.name for arm in arms if arm.choice is None]
    if untuned:
        return [f"The comparison is not finished: {_joined(untuned)} {_are(untuned)} not tuned."]
    fewest = min(len(arm.runs) for arm in arms)
    if fewest < spec.first_seeds:
        return [
            f"The comparison is not finished: the first round has {spec.first_seeds} seeds of each "
            f"arm, and {fewest} have ended for all."
        ]
    wanted = comparison.wanted_seeds()
    if more := [arm.name for arm in arms if wanted[arm.name] > len(arm.runs)]:
        return [f"The comparison is not finished: resumed, it adds seeds of {_joined(more)}."]
    late = [arm.name for arm in arms if len(arm.equal_time_runs) < len(arm.runs)]
    if spec.equal_time and late:
        return [
            f"The comparison is not finished: runs at equal time are missing of {_joined(late)}."
        ]
    return []


def _joined(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def notes(comparison: Comparison) -> list[str]:
    """List what a reader has to know to read the numbers rightly."""
    spec = comparison.spec
    many = len(spec.pairs)
    verdicts = "the verdict is" if many == 1 else f"one of the {many} verdicts or more is"
    found = [
        "[low, high] is a confidence sequence: it may be looked at after every seed. That "
        f"{verdicts} wrong at any look has a probability of at most {spec.error:g}, if the "
        "differences are near enough to normal; an arm's own interval misses its mean with "
        f"{spec.error:g}.",
        "Each arm is tuned alone, by the validation part and with the same number of trials: "
        f"{f'{spec.budget.explore} quasi-random and ' if spec.budget.explore else ''}"
        f"{spec.budget.tune} by the sampler.",
    ]
    for arm in comparison.arms.values():
        extra = [name for name in arm.tuned if name not in spec.search]
        if extra:
            found.append(f"{arm.name} also tuned {', '.join(extra)}, in the same number of trials.")
        if arm.fixed:
            found.append(f"{arm.name} sets {', '.join(arm.fixed)}, which the others tuned.")
        if arm.deaths:
            deaths = sorted({run.death for run in arm.runs if run.death})
            found.append(
                f"{arm.name}: {_counted(arm.deaths, 'run')} died, counted as such ({deaths[0]})."
            )
        own = None if arm.choice is None else arm.choice.values.get("training.micro_batches")
        retried = [run for run in arm.runs if run.micro_batches not in (None, own)]
        if retried:
            most = max(run.micro_batches or 1 for run in retried)
            found.append(
                f"{arm.name}: {_counted(len(retried), 'run')} ran out of memory at first, then "
                f"computed each batch in up to {most} parts (training.micro_batches), which "
                "changes step and memory."
            )
    for earlier in comparison.earlier:
        changed = earlier.changed
        if len(changed) > _MOST_CHANGES:
            changed = [*dict.fromkeys(name.split(".")[0] for name in changed)]
        what = f"with other {', '.join(changed)}" if changed else "of the same arms"
        found.append(
            f"There was an earlier comparison on these images, {what}: {earlier.name}. Its results "
            "were known when this one began; the error does not cover that."
        )
    return found


def comparison_tree(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as a plain tree for JSON, without numbers that are not finite."""
    spec = comparison.spec
    return {
        "comparison": comparison.name,
        "metric": spec.measured.name,
        "direction": spec.measured.direction,
        "reference": spec.reference,
        "margin": spec.margin,
        "error": spec.error,
        "arms": [_finite(asdict(arm)) for arm in comparison.arms.values()],
        "pairs": [_finite(asdict(pair)) for pair in comparison.pairs],
        "equal_time": [_finite(asdict(pair)) for pair in comparison.equal_time],
        "earlier": [asdict(earlier) for earlier in comparison.earlier],
    }


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _interval(low: float, high: float) -> str:
    if not math.isfinite(low):
        return "[no interval yet]"
    return f"[{low:.4f}, {high:.4f}]"
