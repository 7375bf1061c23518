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
@option("--arm", metavar="NAME", help="Write an arm of a comparison, whatever is declared of it.")
@option("--force", is_flag=True, help="Replace FILE even if it is not an exported configuration.")
def command(
    study: str | None,
    storage: str,
    output: Path | None,
    top: int | None,
    pareto: bool,
    arm: str | None,
    force: bool,
) -> None:
    """Write a study's best configuration as YAML, or the confirmed winner of a comparison.

    STUDY is the name of either, and defaults to the newest. With several objectives, the best is
    the one of the Pareto front that is best by the first. The winner of a comparison is the arm
    that is declared better than all that it is compared with; the YAML says so.
    """
    from storage import open_storage, open_study, parse_url
    from sweeps.export.best import best_trials, export_arm, export_trial, pareto_trials, pick_arm
    from sweeps.export.exported import read_source
    from sweeps.spec.files import write_whole
    from sweeps.study.stages import find_comparison

    if top is not None and pareto:
        raise click.UsageError("--top and --pareto exclude each other")
    quieten_optuna()
    opened = open_storage(storage)
    kind = parse_url(storage).get_backend_name()
    name = find_comparison(opened, study)
    if name is None:
        if arm is not None:
            raise click.UsageError("--arm is for comparisons")
        found = open_study(opened, study)
        trials = pareto_trials(found) if pareto else best_trials(found, top or 1)
        exported = [export_trial(found, trial, kind) for trial in trials]
    else:
        from sweeps.reporting.verdicts import winner_words
        from sweeps.study.comparison_reading import read_comparison

        if top is not None or pareto:
            raise click.UsageError(f"{name} is a comparison: --arm NAME writes one of its arms")
        comparison = read_comparison(opened, name)
        chosen = pick_arm(comparison, arm)
        exported = [export_arm(opened, comparison, chosen, kind)]
        click.echo(winner_words(comparison, chosen), err=True)
    if output is None:
        # As bytes: a file that the shell makes of it has to be UTF-8, whatever the terminal uses.
        texts = [_with_head("FILE.yaml", each.to_yaml()) for each in exported]
        click.echo("---\n".join(texts).encode(), nl=False)
        return
    for number, each in enumerate(exported, start=1):
        path = output if top is None and not pareto else output.with_stem(f"{output.stem}-{number}")
        old = read_source(path, force=force)
        write_whole(path, _with_head(path.name, each.to_yaml()).encode())
        source = each.source
        assert source is not None
        which = f", the baseline {source.baseline!r}" if source.baseline else ""
        words = f"Wrote {path} (study {source.study}, trial {source.trial}{which})"
        if old.get("study", source.study) != source.study:
            words += f", in place of study {old['study']}, trial {old.get('trial')}"
        click.echo(words, err=True)


def _with_head(name: str, text: str) -> str:
    # A comment cannot be escaped.
    name = shlex.quote(name) if name.isprintable() else "FILE.yaml"
    return f"# Train it again: sweeps train {name}\n{text}"
