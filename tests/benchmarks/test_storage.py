"""The benchmark of what storing costs."""

import json

import click
import pytest
from click.testing import CliRunner

from benchmarks.commands import make_console
from benchmarks.storage import Epoch, Result, Task, main, measure, results_table


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


def test_it_says_when_it_waits_for_the_disk(quick_run):
    result, _ = quick_run
    assert "synchronous=NORMAL" in result.stdout
    assert "not waited for" in result.stdout


def test_a_share_over_the_goal_is_missed():
    console = make_console()
    for report, word, share in ((0.004, "reached", "0.50%"), (0.019, "missed", "2.00%")):
        epochs = [Epoch(report=report, prune=0.001, cpu=0.004, writes=1)] * 4
        with console.capture() as captured:
            console.print(results_table([Result(1, 1.0, epochs)]))
        assert word in captured.get()
        assert share in captured.get()


def test_a_worker_that_fails_ends_the_measurement(tmp_path, capfd):
    task = Task(f"sqlite:///{tmp_path}/missing.db", 1, 0.1, "normal", "median")
    with pytest.raises(click.ClickException, match="ended before it was done"):
        measure(task, 2)
    assert "Traceback" in capfd.readouterr().err
