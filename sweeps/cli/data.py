"""``sweeps data``."""

from pathlib import Path

import click

from sweeps.cli.console import results_console
from sweeps.cli.options import data_dir_option, option


@click.group("data")
def command() -> None:
    """List datasets, and import your own."""


@command.command("list")
@data_dir_option
def list_command(data_dir: Path) -> None:
    """List the datasets that are known and those on disk."""
    from sweeps.data import list_datasets
    from sweeps.reporting.formatting import print_rows
    from sweeps.spec.torchvision_sets import PREFIX, SETS

    header = ["name", "on disk", "pixels", "train", "test", "classes", "fingerprint"]
    rows = []
    for name, metas in list_datasets(data_dir.absolute()):
        if not metas:
            rows.append([name, "no", *"-----"])
            continue
        base = metas[0]
        sizes = ", ".join(str(meta.size) for meta in metas)
        counts = [f"{base.counts[split]:,}" for split in ("train", "test")]
        rows.append([name, base.source, sizes, *counts, str(len(base.classes)), base.fingerprint])
    console = results_console()
    print_rows(console, header, rows, words={*header} - {"train", "test"})
    console.print(f"Also {PREFIX}NAME, downloaded on first use: {', '.join(SETS)}", highlight=False)


@command.command("import")
@click.argument("name")
@click.argument("path", type=click.Path(path_type=Path))
@option(
    "--size",
    type=click.IntRange(min=1),
    metavar="PIXELS",
    help="Height and width to store images at; needed where they differ in size.",
)
@option("--replace", is_flag=True, help="Replace a dataset of that name.")
@data_dir_option
def import_command(name: str, path: Path, size: int | None, replace: bool, data_dir: Path) -> None:
    """Import a class-folder tree as the dataset NAME, cifar10 for instance.

    PATH is a folder, tar or zip with a folder for each class, or with folders train and test (or
    val) that hold them.
    """
    from sweeps.data import import_dataset

    result = import_dataset(name, path, data_dir.absolute(), size=size, replace=replace)
    for note in result.notes:
        click.echo(note, err=True)
    meta = result.meta
    done = "is there already" if result.already_there else "imported"
    click.echo(
        f"{name} {done}: {meta.counts['train']:,} train and {meta.counts['test']:,} test images of "
        f"{meta.size} x {meta.size} pixels, {len(meta.classes)} classes, {meta.fingerprint}"
    )
