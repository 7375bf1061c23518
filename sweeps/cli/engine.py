"""The options of how a sweep runs: how many workers, on what, what runs them, and where."""

import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from sweeps.cli.options import (
    checkpoint_dir_option,
    checkpoint_seconds_option,
    data_dir_option,
    option,
)
from sweeps.engines import ENGINES
from sweeps.errors import SweepsError


def run_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of how a sweep runs; as ``settings`` of `sweeps.run_sweep`."""

    @option("--workers", type=click.IntRange(min=1), help="Workers in all.  [default: by device]")
    @option("--workers-per-gpu", type=click.IntRange(min=1), default=1, show_default=True)
    @option("--devices", default="auto", show_default=True, help="auto, cpu, cuda, or cuda:0,1.")
    @option(
        "--engine",
        type=click.Choice(ENGINES),
        default="local",
        show_default=True,
        help="What runs the workers: this machine, Ray, or SLURM.",
    )
    @option(
        "--ray-address",
        metavar="ADDRESS",
        help="Ray: the cluster to join, auto or HOST:PORT.  [default: RAY_ADDRESS, else auto]",
    )
    @option(
        "--slurm-setting",
        metavar="KEY=VALUE",
        multiple=True,
        help="SLURM: a setting of the jobs, as partition=gpu, timeout_min=240; may be repeated.",
    )
    # submitit's local executor runs jobs on this machine, for trying things out.
    @option("--slurm-cluster", type=click.Choice(("slurm", "local")), default="slurm", hidden=True)
    @data_dir_option
    @checkpoint_dir_option
    @checkpoint_seconds_option
    @click.pass_context
    @functools.wraps(command)
    def with_settings(
        context: click.Context,
        *,
        workers: int | None,
        workers_per_gpu: int,
        devices: str,
        engine: str,
        ray_address: str | None,
        slurm_setting: tuple[str, ...],
        slurm_cluster: str,
        data_dir: Path,
        checkpoint_dir: Path | None,
        checkpoint_seconds: float,
        **options: Any,
    ) -> None:
        for name, wanted in (("ray_address", "ray"), ("slurm_setting", "slurm")):
            typed = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
            if typed and engine != wanted:
                flag = "--" + name.replace("_", "-")
                raise click.UsageError(f"{flag} is for --engine {wanted}", context)
        engine_settings: dict[str, Any] = {}
        if engine == "ray":
            engine_settings = {"address": ray_address}
        elif engine == "slurm":
            engine_settings = {"settings": parse_settings(slurm_setting), "cluster": slurm_cluster}
        settings = {
            "workers": workers,
            "workers_per_gpu": workers_per_gpu,
            "devices": devices,
            "engine": engine,
            "engine_settings": engine_settings,
            "data_dir": data_dir,
            "checkpoint_dir": checkpoint_dir,
            "checkpoint_seconds": checkpoint_seconds,
        }
        command(settings=settings, **options)

    return with_settings


def parse_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """Parse the settings of jobs as a person types them.

    Args:
        pairs: ``KEY=VALUE``, the value a word, or JSON for numbers, lists and mappings:
            ``["partition=gpu", "mem_gb=16"]`` gives ``{"partition": "gpu", "mem_gb": 16}``.

    Raises:
        SweepsError: one has another form, or asks for more than a job of one worker has.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise SweepsError(f"--slurm-setting {pair}: write KEY=VALUE, as in partition=gpu")
        try:
            settings[name] = json.loads(value)
        except ValueError:
            settings[name] = value
    for name in ("gpus_per_node", "gpus_per_task", "nodes", "tasks_per_node"):
        if settings.get(name, 1) not in (0, 1):
            raise SweepsError(
                f"--slurm-setting {name}={settings[name]}: a job is one worker on one device; "
                "for more, --workers"
            )
    return settings
