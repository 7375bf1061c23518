"""The benchmark of the layer as a command."""

import json
import statistics

import pytest
from click.testing import CliRunner

from benchmarks.layer import main
from benchmarks.measurement import MODES


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory):
    path = tmp_path_factory.mktemp("results") / "layer.json"
    result = CliRunner().invoke(
        main, ["--quick", "--shapes", "0", "--algorithms", "--json", str(path)]
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
    assert len(content["measurements"]) == 2
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


def test_each_named_algorithm_is_measured_where_it_applies(quick_run):
    names = list(quick_run[1]["candidates"])
    assert [name for name in names if name.startswith("7x7")] == [
        "7x7 auto",
        "7x7 expanded",
        "7x7 tent_first",
        "7x7 separable_tent",
        "7x7 axis_first",
    ]
    assert "5x5 axis_first" in names
    assert "11x11 axis_first" in names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shapes", "9"], "expected indices from 0 to 8 with commas between them, got '9'"),
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
