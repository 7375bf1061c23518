"""What is said of a comparison: its arms in a table, and a sentence for each verdict."""

import math
from dataclasses import asdict
from typing import Any

from sweeps.reporting.events import json_value
from sweeps.study.comparison import ArmResult, Comparison, Pair

_MILLION = 1e6
# So many changed settings are named one by one; of more the sections are.
_MOST_CHANGES = 4
#: The answer has the intervals of so many verdicts; of more it says what they are.
_MOST_IN_DETAIL = 3


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
    verdict = pair.verdict
    if not verdict.seeds:
        return f"{pair.arm} and {pair.other}: nothing is known yet."
    sentence = (
        f"{_claim(comparison, pair)} in {comparison.spec.measured.name} after "
        f"{_counted(verdict.seeds, 'seed')}; a run of {pair.arm} beats one of {pair.other} with a "
        f"probability of {pair.probability:.2f}."
    )
    if verdict.is_settled:
        return sentence
    if verdict.seeds_needed is None:
        return f"{sentence} No number of seeds that can be had would settle it, as it looks now."
    return (
        f"{sentence} If mean and spread stay as they are, {verdict.seeds_needed:,} seeds would "
        "settle it."
    )


def _claim(comparison: Comparison, pair: Pair) -> str:
    """Say what is declared of two arms, and by how much the one is ahead, or behind."""
    verdict, is_ahead = pair.verdict, pair.verdict.mean >= 0
    low, high = (verdict.low, verdict.high) if is_ahead else (-verdict.high, -verdict.low)
    amount = f"by {abs(verdict.mean):.4f} {_interval(low, high)}"
    side = f"it is {'ahead' if is_ahead else 'behind'} {amount}"
    if verdict.declaration == "equal":
        margin = f"within the margin of {comparison.spec.margin:g}"
        return f"{pair.arm} equals {pair.other} {margin}: {side}"
    if verdict.is_settled:
        return f"{pair.arm} is {verdict.declaration} than {pair.other} {amount}"
    return f"{pair.arm} against {pair.other} is not resolved: {side}"


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
    if len(known) <= _MOST_IN_DETAIL:
        return f"In {spec.measured.name}, {'; '.join(_claim(comparison, pair) for pair in known)}."
    listed: dict[str, list[str]] = {}
    for pair in known:
        words = pair.arm if spec.reference else f"{pair.arm} against {pair.other}"
        listed.setdefault(pair.verdict.declaration, []).append(words)
    parts = []
    for declared in ("better", "worse", "equal", "not resolved"):
        if names := listed.get(declared):
            margin = f" within the margin of {spec.margin:g}" if declared == "equal" else ""
            parts.append(f"{_joined(names)} {_are(names)} {declared}{margin}")
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


def caveats(comparison: Comparison) -> list[str]:
    """List what is missing, and what a reader has to know to read the numbers rightly."""
    missing = _missing(comparison)
    state = [f"The comparison is not finished: {missing}."] if missing else []
    return [*state, *_notes(comparison)]


def _missing(comparison: Comparison) -> str:
    """Say what is missing in a comparison that is not finished; nothing of a finished one."""
    spec, arms = comparison.spec, comparison.arms.values()
    if untuned := [arm.name for arm in arms if arm.choice is None]:
        return f"{_joined(untuned)} {_are(untuned)} not tuned"
    fewest = min(len(arm.runs) for arm in arms)
    if fewest < spec.first_seeds:
        return (
            f"the first round has {spec.first_seeds} seeds of each arm, and {fewest} have ended "
            "for all"
        )
    wanted = comparison.wanted_seeds()
    if more := [arm.name for arm in arms if wanted[arm.name] > len(arm.runs)]:
        return f"resumed, it adds seeds of {_joined(more)}"
    late = [arm.name for arm in arms if len(arm.equal_time_runs) < len(arm.runs)]
    return f"runs at equal time are missing of {_joined(late)}" if spec.equal_time and late else ""


def _joined(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _notes(comparison: Comparison) -> list[str]:
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
    tree: dict[str, Any] = json_value(
        {
            "comparison": comparison.name,
            "metric": spec.measured.name,
            "direction": spec.measured.direction,
            "reference": spec.reference,
            "margin": spec.margin,
            "error": spec.error,
            "arms": [asdict(arm) for arm in comparison.arms.values()],
            "pairs": [asdict(pair) for pair in comparison.pairs],
            "equal_time": [asdict(pair) for pair in comparison.equal_time],
            "earlier": [asdict(earlier) for earlier in comparison.earlier],
        }
    )
    return tree


def _interval(low: float, high: float) -> str:
    if not math.isfinite(low):
        return "[no interval yet]"
    return f"[{low:.4f}, {high:.4f}]"
