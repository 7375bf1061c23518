"""``sweeps export``."""

import shlex
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
@option("--top", type=click.IntRange(min=1), metavar="N", help="Write the N best.")
@option("--pareto", is_flag=True, help="Write the Pareto front, to FILE-1, FILE-2, ...")
@option("--force", is_flag=True, help="Replace FILE even if it is not an exported configuration.")
def command(
    study: str | None,
    storage: str,
    output: Path | None,
    top: int | None,
    pareto: bool,
    force: bool,
) -> None:
    """Write a study's best configuration as YAML.

    STUDY defaults to the newest. With several objectives, the best is the one of the Pareto front
    that is best by the first.
    """
    from storage import CONFIGURATION, open_storage, open_study, parse_url
    from sweeps.export.best import best_trials, export_trial, pareto_trials
    from sweeps.export.exported import read_source
    from sweeps.spec.files import write_whole

    if top is not None and pareto:
        raise click.UsageError("--top and --pareto exclude each other")
    quieten_optuna()
    opened = open_storage(storage)
    found = open_study(opened, study)
    kind = parse_url(storage).get_backend_name()
    trials = pareto_trials(found) if pareto else best_trials(found, top or 1)
    texts = [export_trial(found, trial, kind).to_yaml() for trial in trials]
    if output is None:
        # As bytes: a file that the shell makes of it has to be UTF-8, whatever the terminal uses.
        click.echo("---\n".join(_with_head("FILE.yaml", t) for t in texts).encode(), nl=False)
        return
    for number, (trial, text) in enumerate(zip(trials, texts, strict=True), start=1):
        path = output if top is None and not pareto else output.with_stem(f"{output.stem}-{number}")
        old = read_source(path, force=force)
        write_whole(path, _with_head(path.name, text).encode())
        baseline = trial.user_attrs.get(CONFIGURATION)
        which = f", the baseline {baseline!r}" if baseline else ""
        words = f"Wrote {path} (study {found.study_name}, trial {trial.number}{which})"
        if old.get("study", found.study_name) != found.study_name:
            words += f", in place of study {old['study']}, trial {old.get('trial')}"
        click.echo(words, err=True)


def _with_head(name: str, text: str) -> str:
    # A comment cannot be escaped.
    name = shlex.quote(name) if name.isprintable() else "FILE.yaml"
    return f"# Train it again: sweeps train {name}\n{text}"
