"""The benchmark of what the package decides by itself."""

import json

import pytest
import torch
from click.testing import CliRunner

from benchmarks.choice import CASES, decision, main, record
from benchmarks.comparisons import (
    AS_IS,
    AUTOGRAD,
    COMMUTED,
    COMPARISONS,
    NEVER,
    Case,
    exchanged,
)
from benchmarks.measurement import (
    FORWARD,
    MODES,
    PLAIN,
    STEP,
    Measurement,
    Peak,
    make_workloads,
)
from interpodil import layout
from interpodil.algorithms import commuted

ALGORITHMS, BACKWARD, LAYOUT, SIDE = COMPARISONS
MEASURED = (
    Case(16, 128, (28, 28), 128, "channels_last", stride=2, groups=128),
    Case(4, 16, (16, 24, 24), 32, "contiguous", growth=5),
    Case(16, 128, (28, 28), 32, "contiguous", algorithm="tent_first"),
    Case(8, 3, (56, 56), 64, "contiguous", stride=2, algorithm="tent_first"),
    Case(16, 128, (28, 28), 4, "channels_last", algorithm="tent_first"),
)


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory):
    path = tmp_path_factory.mktemp("results") / "choice.json"
    cases = [case for _, case in CASES]
    indices = ",".join(str(cases.index(case)) for case in MEASURED)
    result = CliRunner().invoke(main, ["--quick", "--cases", indices, "--json", str(path)])
    return result, json.loads(path.read_text())


def make_operations(case, comparison, mode):
    """Operations of every candidate, whose layers have run before."""
    candidates = comparison.candidates(case)
    workloads = make_workloads(candidates, case, case.memory_format, "cpu", "float32")
    for workload in workloads.values():
        with workload.setting():
            workload.run(STEP)
        workload.clear()
    return {name: record(workload, mode) for name, workload in workloads.items()}


def test_ends_well_and_prints_two_tables_per_comparison(quick_run):
    result, content = quick_run
    assert result.exit_code == 0
    for comparison, entry in zip(COMPARISONS, content["comparisons"], strict=True):
        assert comparison.title.split(":")[0] in result.stdout
        assert f"{comparison.name}: what '{entry['decided']}' does" in result.stdout


def test_the_file_holds_each_candidate_that_applies_and_what_was_decided(quick_run):
    strided, cropped, backward, laid_out, side = [
        case for entry in quick_run[1]["comparisons"] for case in entry["cases"]
    ]
    named = ["expanded", "tent_first", "separable_tent", "axis_first"]
    assert list(strided["candidates"]) == ["plain", "auto", *named]
    assert list(cropped["candidates"]) == ["plain", "auto", "expanded", "axis_first"]
    assert list(backward["candidates"]) == ["plain", "as is", "autograd", "commuted"]
    assert laid_out["input_requires_grad"] is False
    assert list(side["candidates"]) == ["plain", "as is", "filter first", "filter last"]
    for case in (strided, cropped, backward, laid_out, side):
        for mode in MODES:
            made = case["decisions"][mode]
            assert {made["fastest"], *made["chosen"]} <= {*case["candidates"]} - {"plain"}
            assert made["slower"] >= 1 or not made["chosen"]
    ratio = backward["quotient"]["memory_above_start"]
    above = [
        backward["candidates"][name]["memory"]["bytes_above_start"] for name in (COMMUTED, AUTOGRAD)
    ]
    assert ratio == above[0] / above[1]


@pytest.mark.parametrize("mode", MODES)
def test_what_auto_does_is_one_of_the_named_algorithms(mode):
    case = Case(2, 4, (12, 12), 4, "contiguous", dilation=3)
    operations = make_operations(case, ALGORITHMS, mode)
    named = ALGORITHMS.alternatives(operations)
    assert sum(operations[name] == operations["auto"] for name in named) == 1


def test_both_backward_passes_are_measured_whatever_the_package_decides():
    for outputs in (1, 32):
        case = Case(2, 4, (12, 12), outputs, "contiguous", algorithm="tent_first")
        operations = make_operations(case, BACKWARD, STEP)
        assert operations[COMMUTED] != operations[AUTOGRAD]
        assert operations[AS_IS] in (operations[COMMUTED], operations[AUTOGRAD])
    assert commuted.MOST_OUTPUT_CHANNELS not in (0, float("inf"))


def test_both_sides_are_measured_whatever_the_package_decides():
    for outputs in (1, 32):
        case = Case(2, 4, (12, 12), outputs, "contiguous", algorithm="tent_first")
        operations = make_operations(case, SIDE, FORWARD)
        first, last = (operations[name] for name in SIDE.alternatives(operations))
        assert first != last
        assert operations[AS_IS] == (last if outputs == 1 else first)


def test_each_layout_is_measured_whatever_the_package_decides():
    case = Case(2, 4, (12, 12), 4, "contiguous", stride=2, algorithm="tent_first")
    operations = make_operations(case, LAYOUT, FORWARD)
    never, input_back, output_back = (operations[name] for name in LAYOUT.alternatives(operations))
    assert never != input_back
    assert never != output_back
    assert input_back != output_back


def test_exchanged_names_come_back_whatever_happens():
    before = layout.relayout
    context = exchanged("relayout", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError), context():
        layout.relayout()
    assert layout.relayout is before


def test_a_name_that_nothing_has_is_refused():
    with pytest.raises(LookupError, match="'FEW_CHANELS'"):
        exchanged("FEW_CHANELS", 0)


@pytest.mark.parametrize(
    ("done_like", "chosen", "slower"),
    [
        (["never"], ("never",), 1.5),
        (["never", "FEW_CHANNELS 0"], ("never", "FEW_CHANNELS 0"), 1.0),
        ([], (), 1.75),
    ],
)
def test_a_decision_is_held_against_the_fastest_alternative(done_like, chosen, slower):
    ms = {PLAIN: 1.0, AS_IS: 3.5, NEVER: 3.0, "FEW_CHANNELS 1000": 4.0, "FEW_CHANNELS 0": 2.0}
    times = {FORWARD: {name: {0: time} for name, time in ms.items()}}
    peaks = dict.fromkeys(ms, Peak(1, 1))
    measurement = Measurement(MEASURED[-1], "contiguous", times, {}, peaks)
    operations = {name: [("same" if name in (AS_IS, *done_like) else name, ())] for name in ms}
    made = decision(LAYOUT, measurement, FORWARD, operations)
    assert (made.fastest, made.chosen, made.slower) == ("FEW_CHANNELS 0", chosen, slower)


@pytest.mark.parametrize("case", dict.fromkeys(case for _, case in CASES), ids=str)
def test_a_case_is_the_plain_convolution_of_the_same_arguments(case):
    input = torch.empty(case.input_size, device="meta")
    layer, plain = case.build().to("meta"), case.build_plain().to("meta")
    assert layer(input).shape == plain(input).shape
    assert layer.weight.shape == plain.weight.shape


@pytest.mark.parametrize("index", [str(len(CASES)), "-1", "0,x"])
def test_wrong_cases_are_refused_before_anything_is_measured(index):
    result = CliRunner().invoke(main, ["--cases", index])
    assert result.exit_code == 2
    assert f"expected indices from 0 to {len(CASES) - 1} with commas" in result.stderr
    assert result.stdout == ""
