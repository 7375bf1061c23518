"""The benchmark of verdicts."""

import json

from click.testing import CliRunner

from benchmarks.verdicts import main, t_test_seeds


def test_courses_are_followed_and_written(tmp_path):
    file = tmp_path / "verdicts.json"
    options = ["--courses", "40", "--seeds", "30", "--json", str(file)]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 0, result.output
    assert "200 runs of plain 3x3: identical" in result.output
    results = {each["course"]: each for each in json.loads(file.read_text())["results"]}
    found = results["normal, sd 0.005: 4 margins apart"]
    assert found["right"] == 1
    assert found["wrong"] == 0
    assert 5 <= found["median"] <= found["most"] <= 30


def test_fixed_t_tests():
    # Cohen 1988, table 2.3.5: 33 for an effect of 0.5 at a power of 0.8, plus one for the t.
    assert t_test_seeds(0.5, 0.8) == 34
    assert t_test_seeds(1.0, 0.8) == 10
