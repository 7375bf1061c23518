"""``sweeps models``."""

from itertools import compress

import click

from sweeps.cli.console import results_console
from sweeps.cli.options import option

# What the whole table of a network takes, in characters.
_WIDTH = 110


@click.command("models")
@click.argument("name", required=False)
@option(
    "--where",
    default="stem",
    show_default=True,
    help="The convolutions that become the layer: stem, three_by_three, spatial, or a glob on "
    "their names.",
)
@option("--size", type=click.IntRange(min=8), default=224, show_default=True, metavar="PIXELS")
@option("--classes", type=click.IntRange(min=1), default=1000, show_default=True)
def command(name: str | None, where: str, size: int, classes: int) -> None:
    """List networks, or show which convolutions of one the layer would take.

    NAME is one of the listed, or module:function for a network of your own. Nothing is trained.
    """
    if name is None:
        _list_networks()
    else:
        _show_network(name, where, size, classes)


def _list_networks() -> None:
    from sweeps.reporting.formatting import print_rows
    from sweeps.spec.networks import TORCHVISION

    rows = [["tutorial", "", "3x3, stride 1"]]
    rows += [[name, f"{parameters:,}", stem] for name, (parameters, stem) in TORCHVISION.items()]
    header = ["name", "parameters", "stem"]
    print_rows(results_console(), header, rows, words={"name", "stem"})


def _show_network(name: str, where: str, size: int, classes: int) -> None:
    from sweeps.models.inspection import inspect_network
    from sweeps.reporting.formatting import print_line, print_rows
    from sweeps.spec.config import RunConfig
    from sweeps.spec.validation import validate

    key = "import" if ":" in name else "name"
    config = validate(RunConfig, {"model": {key: name, "where": where}}, name)
    found = inspect_network(config, size=size, num_classes=classes)
    console = results_console()
    words = ["convolution", "output", "kernel", "stride"]
    header = [*words, "parameters", "multiply-adds (M)", "receptive field"]
    rows = []
    for convolution, before in found.before.items():
        after = found.after[convolution]
        fields = [m.receptive_field for m in (before, after)]
        rows.append(
            [
                convolution or "the network",
                "x".join(map(str, after.output)),
                _change(before.kernel, after.kernel),
                _change(*(m.stride if m.kernel else "" for m in (before, after))),
                _change(*(f"{m.parameters:,}" for m in (before, after))),
                _change(*(f"{m.multiply_adds / 1e6:,.1f}" for m in (before, after))),
                _change(*("-" if field is None else field for field in fields)),
            ]
        )
    if console.width < _WIDTH:
        # A narrow terminal shows what the layer changes; a file or pipe has room for all.
        shown = [name not in ("output", "stride", "parameters") for name in header]
        header, *rows = ([*compress(row, shown)] for row in (header, *rows))
    print_rows(console, header, rows, words=words)
    print_line(
        console,
        f"{len(found.after) - 1} of {found.convolutions} convolutions of {name} become the layer, "
        f"for images of {size} x {size} pixels and {classes} classes",
    )


def _change(before: object, after: object) -> str:
    return str(after) if before == after else f"{before} -> {after}"
