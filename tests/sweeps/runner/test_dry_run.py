"""`sweeps run --dry-run`: what a sweep would do, with nothing started."""

import io

import pytest
from rich.console import Console

from sweeps.cli.dry_run import print_dry_run
from sweeps.runner.dry_run import DryRun
from sweeps.spec.files import dump_yaml
from sweeps.spec.spec import parse_spec


@pytest.fixture
def look(cli, tmp_path, data_dir):
    """Write a spec and look at it dry."""

    def call(tree, *arguments):
        (tmp_path / "spec.yaml").write_text(dump_yaml(tree))
        return cli("run", "spec.yaml", "--dry-run", "--data-dir", str(data_dir), *arguments)

    return call


def test_it_shows_the_space_the_baselines_the_workers_and_the_time(look, small, tmp_path):
    status, out, _ = look(small, "--workers", "3", "--devices", "cpu")
    assert status == 0
    text = " ".join(out.split())
    assert "small-patterns: 6 trials, new" in text
    assert "300 to train on, 200 to validate on" in text
    assert "Workers 3 on cpu" in text
    assert "layer.growth 5, 7" in text
    assert "layer.fade 0.25 to 4.0 layer.growth is 7" in text
    assert "layer.init_scale 0.25 to 4.0, log" in text
    assert "plain 3x3 layer.dilation 1, layer.growth 3" in text
    assert "Time about " in text
    assert [path.name for path in tmp_path.iterdir()] == ["spec.yaml"]


@pytest.mark.parametrize(("workers", "rounds"), [(1, 6), (4, 2), (6, 1)])
def test_the_time_follows_from_trials_epochs_and_workers(look, small, workers, rounds):
    small["training"]["epochs"] = 50
    _, out, _ = look(small, "--workers", str(workers), "--devices", "cpu")
    minutes = float(out.split("Time      about ")[1].split()[0])
    epoch_seconds = float(out.split(" s an epoch")[0].rsplit("(", 1)[1])
    # Both are rounded, the minutes to two digits.
    assert minutes == pytest.approx(rounds * 50 * epoch_seconds / 60, rel=0.06)


@pytest.mark.parametrize(
    ("minutes", "words"), [(0.5, "about 0.5 min"), (99.7, "about 100 min"), (1730.0, "about 29 h")]
)
def test_long_times_are_plain_numbers(small, minutes, words):
    console = Console(file=io.StringIO())
    found = DryRun("study", None, None, None, None, 1234.0, minutes)
    print_dry_run(console, parse_spec(small, "test"), [], found)
    text = console.file.getvalue()
    assert f"{words} for all trials" in text
    assert "(1230 s an epoch" in text


def test_a_run_of_one_step_is_timed_too(look, small):
    small["data"] |= {"train_limit": 50, "validation_limit": 50}
    small["training"]["epochs"] = 1
    status, out, _ = look(small)
    assert status == 0
    assert " s an epoch" in out


def test_it_downloads_nothing(look, small):
    small["data"], small["fallback"] = {"name": "cifar10"}, "patterns"
    status, out, _ = look(small)
    assert status == 0
    assert "cifar10, not on disk: the sweep downloads it first; where that fails, patterns" in out
    assert "not known before the images are there" in out


def test_what_the_sweep_would_refuse_is_refused(look, small):
    small["training"]["batch_size"] = 4096
    status, _, err = look(small)
    assert status == 1
    assert "batch_size" in err
