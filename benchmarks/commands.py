"""The commands' options, environment, console and result file.

Torch is imported only where it is needed, as the storage benchmark's workers do without it.
"""

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

QUICK_BATCH = 2
PIPE_WIDTH = 250


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
    import torch

    if value == "cuda" and not torch.cuda.is_available():
        raise click.UsageError("--device cuda: torch sees no GPU", ctx)
    return value


def _one_thread_for_cpu_time(ctx: click.Context, param: click.Parameter, value: str) -> str:
    import torch

    if value == "cpu":
        torch.set_num_threads(1)
    return value


device_option = click.option(
    "--device",
    type=click.Choice(("cpu", "cuda")),
    default="cpu",
    show_default=True,
    callback=_refuse_missing_device,
)
dtype_option = click.option(
    "--dtype", type=click.Choice(("float32", "bfloat16")), default="float32", show_default=True
)
json_option = click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    callback=_refuse_missing_folder,
    metavar="FILE",
    help="Write all results to a file, with the times of every round.",
)
clock_option = click.option(
    "--clock",
    type=click.Choice(("wall", "cpu")),
    default="wall",
    show_default=True,
    callback=_one_thread_for_cpu_time,
    help="Wall time, or the CPU time of a single thread for a busy machine.",
)
quick_option = click.option(
    "--quick",
    is_flag=True,
    help=f"Only check that it runs: {QUICK_BATCH} images, one round of single calls.",
)


def describe_environment(device: str = "cpu") -> dict[str, Any]:
    """Return device, versions, threads, commit and date for a result file."""
    import torch

    described: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": device,
        "cpu": _cpu_model(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "onednn": torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled,
    }
    if device == "cuda":
        described |= {
            "gpu": torch.cuda.get_device_name(device),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "cudnn_allow_tf32": torch.backends.cudnn.allow_tf32,
            "matmul_allow_tf32": torch.backends.cuda.matmul.allow_tf32,
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
        }
    return described


def format_environment(environment: dict[str, Any], dtype: str) -> str:
    """Return the environment in one line."""
    cpu = f"{environment['cpu']} ({environment['cpu_capability']})"
    where = f"{cpu}, {environment['threads']} threads"
    if "gpu" in environment:
        tf32 = "allowed" if environment["cudnn_allow_tf32"] else "not allowed"
        where = f"{environment['gpu']}, TF32 in cuDNN {tf32}"
    onednn = "on" if environment["onednn"] else "off"
    return f"{where}; torch {environment['torch']}, oneDNN {onednn}; {dtype}"


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


def _commit() -> str | None:
    """Return the checkout's commit, with a "+" if tracked files differ from it."""

    def git(*arguments: str) -> str:
        folder = Path(__file__).parent
        return subprocess.check_output(
            ["git", *arguments], cwd=folder, stderr=subprocess.DEVNULL, text=True
        ).strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def make_console() -> Console:
    """Return a console for stdout that neither wraps nor cuts tables."""
    console = Console(highlight=False)
    wide = console.is_terminal and console.width >= PIPE_WIDTH
    return console if wide else Console(highlight=False, width=PIPE_WIDTH)


def make_table(title: str) -> Table:
    """Return an empty table in the style of all tables."""
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")


def print_tables(console: Console, content: RenderableType) -> None:
    """Print tables after an empty line, without trailing spaces."""
    console.print()
    with console.capture() as captured:
        console.print(content)
    for line in captured.get().splitlines():
        console.out(line.rstrip(), highlight=False)


def write_results(path: Path, content: dict[str, Any]) -> None:
    """Write a result file atomically."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(json.dumps(content, indent=1) + "\n")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
