"""Who gets the next seeds."""

from collections.abc import Mapping

from sweeps.verdicts.declaration import Verdict

#: A round adds so many seeds to a comparison, or this part of those it has: each round waits for
#: its last run.
_FEWEST_ADDED, _PART_ADDED = 2, 4


def next_seeds(
    verdicts: Mapping[tuple[str, str], Verdict],
    seeds: Mapping[str, int],
    *,
    most_seeds: int,
    runs_left: int | None = None,
) -> dict[str, int]:
    """Choose how many seeds each arm shall have after the next round.

    The comparisons that are not settled get more, first those that come closest to being settled by
    a run: by the seeds that they still need. Arms whose comparisons are all settled keep theirs.
    Verdicts stay true whatever is chosen here, because the sequences hold at every seed.

    Args:
        verdicts: of each comparison, by the names of its two arms.
        seeds: that each arm has.
        most_seeds: an arm gets no more.
        runs_left: all arms together get no more; ``None`` for no limit.

    Returns:
        The seeds of each arm, none fewer than before; the same as before where nothing is left to
        do or to spend.

    Example:
        >>> open_one = Verdict("not resolved", 0.01, -0.01, 0.03, 8, 20)
        >>> settled = Verdict("better", 0.05, 0.03, 0.07, 8, 8)
        >>> seeds = {"plain": 8, "a": 8, "b": 8}
        >>> next_seeds({("a", "plain"): open_one, ("b", "plain"): settled}, seeds, most_seeds=30)
        {'plain': 10, 'a': 10, 'b': 8}
    """
    wanted = dict(seeds)
    pending = [(pair, verdict) for pair, verdict in verdicts.items() if not verdict.is_settled]
    for pair, verdict in sorted(pending, key=lambda item: item[1].seeds_needed or float("inf")):
        added = max(_FEWEST_ADDED, verdict.seeds // _PART_ADDED)
        if verdict.seeds_needed is not None:
            added = min(added, max(verdict.seeds_needed - verdict.seeds, 1))
        count = min(verdict.seeds + added, most_seeds)
        while runs_left is not None and count > verdict.seeds:
            if sum(max(count - wanted[arm], 0) for arm in pair) <= runs_left:
                break
            count -= 1
        for arm in pair:
            more = max(count - wanted[arm], 0)
            wanted[arm] += more
            if runs_left is not None:
                runs_left -= more
    return wanted
