"""The benchmark of what the next configuration costs."""

import json

from click.testing import CliRunner

from benchmarks.asking import main


def test_every_sampler_is_asked_in_a_study_of_finished_trials(tmp_path):
    file = tmp_path / "asking.json"
    result = CliRunner().invoke(main, ["--quick", "--asks", "2", "--json", str(file)])
    assert result.exit_code == 0, result.output
    measured = json.loads(file.read_text())["results"]
    assert [entry["sampler"] for entry in measured] == ["tpe", "random", "qmc"]
    assert all(len(entry["seconds"]) == 2 for entry in measured)
    assert all(entry["sampler"] in result.stdout for entry in measured)
