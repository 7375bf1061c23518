"""``sweeps export``."""

from pathlib import Path

import click

from sweeps.cli.console import quieten_optuna
from sweeps.cli.options import option, storage_option, study_argument


@click.command("export")
@study_argument
@storage_option
@option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write to FILE; with --top, to FILE-1, FILE-2, ...  [default: stdout]",
)
@option("--top", type=click.IntRange(min=1), metavar="N", help="The N best, not the best alone.")
@option("--force", is_flag=True, help="Replace FILE even if it is no exported configuration.")
def command(
    study: str | None, storage: str, output: Path | None, top: int | None, force: bool
) -> None:
    """Write a study's best configuration as YAML.

    STUDY is the newest where it is left out.
    """
    from storage import open_storage, open_study, parse_url
    from sweeps.export import best_trials, export_trial, refuse_other_file
    from sweeps.files import write_whole

    quieten_optuna()
    opened = open_storage(storage)
    found = open_study(opened, study)
    kind = parse_url(storage).get_backend_name()
    texts = []
    for trial in best_trials(found, top or 1):
        exported = export_trial(found, trial, kind)
        head = f"# Train it again: sweeps train {output.name if output else 'FILE.yaml'}\n"
        texts.append(head + exported.to_yaml())
    if output is None:
        click.echo("---\n".join(texts), nl=False)
        return
    for number, text in enumerate(texts, start=1):
        path = output if top is None else output.with_stem(f"{output.stem}-{number}")
        if not force:
            refuse_other_file(path)
        text = text.replace(output.name, path.name, 1)
        write_whole(path, text.encode())
        click.echo(f"Wrote {path} (study {found.study_name})", err=True)
