"""Options that the benchmarks share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import torch

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
QUICK_BATCH = 2


class Indices(click.ParamType):
    """Indices into a sequence, with commas between them."""

    name = "indices"

    def __init__(self, items: Sequence[Any]) -> None:
        self.items = items

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Any, ...]:
        """Return the chosen items, in the order given."""
        if isinstance(value, tuple):
            return value
        try:
            indices = [int(index) for index in value.split(",")]
        except ValueError:
            indices = [-1]
        if not all(0 <= index < len(self.items) for index in indices):
            rule = f"expected indices from 0 to {len(self.items) - 1} with commas between them"
            self.fail(f"{rule}, got {value!r}", param, ctx)
        return tuple(self.items[index] for index in dict.fromkeys(indices))


def _refuse_missing_folder(
    ctx: click.Context, param: click.Parameter, value: Path | None
) -> Path | None:
    if value is not None and not value.absolute().parent.is_dir():
        raise click.BadParameter(f"no folder {str(value.parent)!r}", ctx, param)
    return value


def _refuse_missing_device(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if value == "cuda" and not torch.cuda.is_available():
        raise click.UsageError("--device cuda: torch sees no GPU", ctx)
    return value


device_option = click.option(
    "--device",
    type=click.Choice(("cpu", "cuda")),
    default="cpu",
    show_default=True,
    callback=_refuse_missing_device,
)
dtype_option = click.option(
    "--dtype", type=click.Choice(list(DTYPES)), default="float32", show_default=True
)
json_option = click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    callback=_refuse_missing_folder,
    metavar="FILE",
    help="Write everything, each round's times too.",
)
quick_option = click.option(
    "--quick",
    is_flag=True,
    help=f"See whether it runs: {QUICK_BATCH} pictures, one round of single calls.",
)
