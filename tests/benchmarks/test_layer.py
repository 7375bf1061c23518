"""The benchmark of the layer as a command."""

import json
import statistics

import pytest
from click.testing import CliRunner

from benchmarks.layer import LAYER, SHAPES, SMALL, check_goals, main
from benchmarks.measurement import FORWARD, MODES, PLAIN, STEP, Measurement, Peak


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory):
    path = tmp_path_factory.mktemp("results") / "layer.json"
    result = CliRunner().invoke(
        main, ["--quick", "--shapes", "0,9", "--algorithms", "--json", str(path)]
    )
    return result, json.loads(path.read_text())


def test_ends_well_and_prints_a_table_per_memory_format(quick_run):
    result, content = quick_run
    assert result.exit_code == 0
    formats = [summary["memory_format"] for summary in content["summaries"]]
    assert formats == ["channels_last", "contiguous"]
    for memory_format in formats:
        assert f"{memory_format}: goals" in result.stdout
    for name, reason in content["left_out"].items():
        assert f"{name} left out: {reason}" in result.stdout


def test_every_candidate_is_in_the_file_with_ratios_that_follow_from_its_times(quick_run):
    _, content = quick_run
    assert len(content["measurements"]) == 4
    for measurement in content["measurements"]:
        candidates = measurement["candidates"]
        assert list(candidates) == list(content["candidates"])
        for entry in candidates.values():
            for mode in MODES:
                plain = dict(
                    zip(
                        candidates["plain"][mode]["rounds"],
                        candidates["plain"][mode]["ms"],
                        strict=True,
                    )
                )
                own = zip(entry[mode]["rounds"], entry[mode]["ms"], strict=True)
                expected = statistics.median(ms / plain[number] for number, ms in own)
                assert entry[mode]["ratio"] == expected
            assert entry["memory"]["bytes_above_start"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shapes", "10"], "expected indices from 0 to 9 with commas between them, got '10'"),
        (["--shapes", "0,x"], "got '0,x'"),
        (["--json", "missing/layer.json"], "no folder 'missing'"),
        (["--rounds", "0"], "0 is not in the range"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_measured(arguments, message):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def make_measurement(shape, memory_format, over_plain):
    """A measurement with all times 10 x plain's but the layer's."""
    names = [PLAIN, *(f"{s} {a}" for s in ("7x7", "5x5", "11x11") for a in ("auto", "expanded"))]
    step = {name: {0: 10.0} for name in names} | {PLAIN: {0: 1.0}, LAYER: {0: over_plain}}
    peaks = {name: Peak(1, 1) for name in names}
    return Measurement(shape, memory_format, {FORWARD: step, STEP: step}, {}, peaks)


def test_goals_are_for_the_mean_and_the_worst_shape_and_apart_for_the_small_one():
    ratios = {SHAPES[0]: 0.8, SHAPES[1]: 1.31, SMALL: 1.9}
    goals = check_goals([make_measurement(s, "channels_last", r) for s, r in ratios.items()])
    mean, worst, small, memory, *others = goals
    assert mean.reached is True
    assert mean.measured == pytest.approx((0.8 * 1.31) ** 0.5)
    assert (worst.reached, worst.worst_shape) == (False, SHAPES[1])
    assert (small.reached, small.measured) == (True, 1.9)
    assert memory.measured == 1
    assert [goal.measured for goal in others] == [1, 1]
