"""The options for what runs the workers."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
from click.core import ParameterSource

from sweeps.cli.options import option

# As sweeps.engines.ENGINES; a command's help need not wait for its import.
_ENGINES = ("local", "ray", "slurm")


@dataclass(frozen=True)
class EngineChoice:
    """What was asked for.

    Attributes:
        name: of the engine.
        settings: as :func:`sweeps.engines.make_engine` takes them.
    """

    name: str
    settings: dict[str, Any]


def engine_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options, and as ``engine`` what they ask for."""

    @option(
        "--engine",
        type=click.Choice(_ENGINES),
        default="local",
        show_default=True,
        help="What runs the workers: this machine, Ray, or SLURM.",
    )
    @option(
        "--ray-address",
        metavar="ADDRESS",
        help="Ray: the cluster to join, auto or HOST:PORT.  [default: a Ray on this machine alone]",
    )
    @option(
        "--slurm-setting",
        metavar="KEY=VALUE",
        multiple=True,
        help="SLURM: a setting of the jobs, as partition=gpu, timeout_min=240; may be repeated.",
    )
    # submitit's stand-in for SLURM, which uses this machine, for trying things out.
    @option("--slurm-cluster", type=click.Choice(("slurm", "local")), default="slurm", hidden=True)
    @click.pass_context
    @functools.wraps(command)
    def with_engine(
        context: click.Context,
        *,
        engine: str,
        ray_address: str | None,
        slurm_setting: tuple[str, ...],
        slurm_cluster: str,
        **options: Any,
    ) -> None:
        for name, wanted in (("ray_address", "ray"), ("slurm_setting", "slurm")):
            typed = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
            if typed and engine != wanted:
                flag = "--" + name.replace("_", "-")
                raise click.UsageError(f"{flag} is for --engine {wanted}", context)
        settings: dict[str, Any] = {}
        if engine == "ray":
            settings = {"address": ray_address}
        elif engine == "slurm":
            from sweeps.engines import parse_settings

            settings = {"settings": parse_settings(slurm_setting), "cluster": slurm_cluster}
        command(engine=EngineChoice(engine, settings), **options)

    return with_engine
