"""The benchmark of what storing costs."""

import json

import pytest
from click.testing import CliRunner

from benchmarks.storage import main


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    arguments = ["--workers", "1", "--workers", "2", "--epochs", "3", "--epoch-seconds", "0.2"]
    # Asha notes its rungs in some epochs, which is another transaction.
    arguments += ["--pruner", "median"]
    arguments += ["--trials", "5", "--folder", str(folder), "--json", str(folder / "storage.json")]
    result = CliRunner().invoke(main, arguments)
    return result, json.loads((folder / "storage.json").read_text())


def test_an_epoch_is_one_write_transaction(quick_run):
    result, content = quick_run
    assert result.exit_code == 0, result.output
    assert [entry["workers"] for entry in content["results"]] == [1, 2]
    assert [len(entry["epochs"]) for entry in content["results"]] == [3, 6]
    for entry in content["results"]:
        assert entry["write_transactions"] == [1]
        assert all(0 < epoch["report"] < 60 for epoch in entry["epochs"])
