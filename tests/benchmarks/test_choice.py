"""The benchmark of what the layer decides by itself."""

import json

import pytest
import torch
from click.testing import CliRunner

from benchmarks.choice import CASES, CHOSEN, COMPARISONS, main
from benchmarks.measurement import MODES, PLAIN, make_workloads


def test_a_quick_run_measures_every_alternative(tmp_path):
    path = tmp_path / "choice.json"
    cases = [case for _, case in CASES]
    indices = ",".join(str(cases.index(comparison.cases[-1])) for comparison in COMPARISONS)
    result = CliRunner().invoke(main, ["--quick", "--cases", indices, "--json", str(path)])
    assert result.exit_code == 0, result.output
    content = json.loads(path.read_text())
    for comparison, entry in zip(COMPARISONS, content["comparisons"], strict=True):
        assert comparison.title[:30] in result.stdout
        (case,) = entry["cases"]
        names = [candidate.name for candidate in comparison.candidates(comparison.cases[-1])]
        assert list(case["candidates"]) == names
        assert names[:2] == [PLAIN, CHOSEN]
        assert len(names) >= 4
        assert all(case["candidates"][name][mode]["ratio"] > 0 for name in names for mode in MODES)


@pytest.mark.parametrize("comparison", COMPARISONS[1:], ids=lambda comparison: comparison.title)
def test_alternatives_compute_the_same_in_other_ways(comparison):
    """Otherwise nothing would be compared."""
    case = comparison.cases[0]
    workloads = make_workloads(
        comparison.candidates(case), case, case.memory_format, "cpu", "float32"
    )
    first = next(iter(workloads.values())).layer
    outputs, calls = [], []
    for name, workload in workloads.items():
        workload.layer.weight, workload.layer.bias = first.weight, first.bias
        with workload.setting(), torch.profiler.profile() as profiler:
            output = workload.layer(workload.input)
            output.sum().backward()
        if name not in (PLAIN, CHOSEN):
            outputs.append(output)
            calls.append([(e.key, e.count) for e in profiler.key_averages()])
    torch.testing.assert_close(*outputs, rtol=1e-3, atol=1e-4)
    assert calls[0] != calls[1]
