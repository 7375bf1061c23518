"""What the command line refuses before it starts anything elsewhere."""

import pytest


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--ray-address", "auto"], 2, "--ray-address is for --engine ray"),
        (["--slurm-setting", "partition=gpu"], 2, "--slurm-setting is for --engine slurm"),
        (["--engine", "dask"], 2, "'dask' is not one of 'local', 'ray', 'slurm'"),
        (["--engine", "slurm", "--slurm-setting", "gpu"], 1, "--slurm-setting gpu: write KEY="),
        (
            ["--engine", "slurm", "--workers", "2"],
            1,
            "--engine slurm: workers on several hosts cannot share a SQLite file; use --storage",
        ),
        (
            ["--engine", "slurm", "--slurm-cluster", "local"],
            1,
            "--engine slurm: say how many jobs with --workers",
        ),
    ],
)
def test_refusals(cli, tmp_path, arguments, status, message):
    left, out, err = cli("run", "quick", *arguments)
    assert (left, out) == (status, "")
    assert message in err
    assert not list(tmp_path.iterdir())


def test_an_address_in_the_environment_is_for_ray_alone(cli, monkeypatch):
    monkeypatch.setenv("SWEEPS_RAY_ADDRESS", "auto")
    left, _, err = cli("run", "quick", "--devices", "nonsense")
    assert (left, "ray" in err) == (1, False)
