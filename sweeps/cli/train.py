"""``sweeps train``."""

from pathlib import Path
from typing import Any

import click

from sweeps.cli.options import data_dir_option, option


@click.command("train")
@click.argument("config", type=click.Path(dir_okay=False, path_type=Path))
@option("--seed", type=click.IntRange(min=0), help="The seed, in place of the file's.")
@option(
    "--device",
    metavar="DEVICE",
    help="auto, cpu, or one GPU as in cuda:0.  [default: what the file was measured on]",
)
@option(
    "--threads",
    type=click.IntRange(min=1),
    help="CPU threads.  [default: what the file was measured with]",
)
@option(
    "--save",
    "--weights",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the trained weights to FILE; repeatable. The layers are folded into plain "
    "convolutions in .safetensors and .onnx; any other is PyTorch's state dict.",
)
@option("--force", is_flag=True, help="Replace FILE if it is there.")
@data_dir_option
def command(
    config: Path,
    seed: int | None,
    device: str | None,
    threads: int | None,
    save: tuple[Path, ...],
    force: bool,
    data_dir: Path,
) -> None:
    """Train an exported configuration again.

    With the same seed on the same machine's CPU, the result equals the recorded one exactly.
    """
    from sweeps.engines.devices import available_cores, take_device
    from sweeps.errors import SweepsError
    from sweeps.export.exported import read_exported
    from sweeps.export.retrain import retrain

    for path in save:
        if path.exists() and not force:
            raise SweepsError(f"{path}: exists; name another file, or replace it with --force")
    exported = read_exported(config)
    measured_with = exported.source.environment if exported.source is not None else None
    if device is None:
        device = "cpu" if measured_with is not None and measured_with.device == "cpu" else "auto"
    if threads is None:
        threads = measured_with.threads if measured_with is not None else available_cores()
    own_loop = exported.objective is not None
    if own_loop and save:
        raise SweepsError("--save: a training loop of your own saves its weights itself")
    settings: dict[str, Any] = {
        "seed": seed,
        "device": take_device(device, threads),
        "threads": threads,
        "data_dir": data_dir.absolute(),
    }
    if own_loop:
        from sweeps.worker.own_loop import run_own_loop

        run_own_loop(exported, **settings)
    else:
        retrain(exported, save=save, **settings)
