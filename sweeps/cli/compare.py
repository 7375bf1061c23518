"""``sweeps compare``."""

from typing import TYPE_CHECKING, Any

import click

from sweeps.cli.console import quieten_optuna, show_comparison
from sweeps.cli.engine import run_options
from sweeps.cli.options import option, presets_line, storage_option
from sweeps.cli.reporter import report_options

if TYPE_CHECKING:
    from sweeps.reporting import Reporter


@click.command("compare", epilog=presets_line("comparisons"))
@click.argument("spec")
@option("--study", metavar="NAME", help="Name of the comparison.  [default: from spec and dataset]")
@storage_option
@run_options
@option(
    "--most-seeds",
    type=click.IntRange(min=2),
    metavar="N",
    help="Seeds of each arm at most, in place of the spec's.",
)
@option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MINUTES",
    help="Start no run after so long, in place of the spec's budget.minutes.",
)
@option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@report_options
def command(
    spec: str,
    study: str | None,
    storage: str,
    most_seeds: int | None,
    timeout: float | None,
    as_json: bool,
    settings: dict[str, Any],
    reporter: "Reporter",
) -> None:
    """Compare arms: tune each alike, confirm on fresh seeds, and declare what holds.

    SPEC is the name of a preset or a YAML file. A comparison that exists is resumed; finished
    stages are kept, and more seeds may be given at any time.
    """
    from storage import parse_url, show_url
    from sweeps.runner.comparison import run_comparison
    from sweeps.spec.comparison import load_comparison, parse_comparison

    quieten_optuna()
    loaded = load_comparison(spec)
    changes = {"most_seeds": most_seeds, "minutes": timeout}
    if changes := {key: value for key, value in changes.items() if value is not None}:
        tree = loaded.model_dump(mode="json")
        loaded = parse_comparison(tree | {"budget": tree["budget"] | changes}, spec)
    comparison = run_comparison(
        loaded,
        storage=storage,
        study=study,
        reporter=reporter,
        **settings,
    )
    show_comparison(comparison, show_url(parse_url(storage)), as_json)
