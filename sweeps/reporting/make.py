"""The choice between the views."""

from collections.abc import Sequence

from rich.console import Console

from sweeps.reporting.json_log import JsonLog, JsonView
from sweeps.reporting.live import LiveView
from sweeps.reporting.plain import PlainView
from sweeps.reporting.several import SeveralViews
from sweeps.reporting.view import View
from sweeps.study.progress import Progress


def make_view(
    console: Console, progress: Progress, log: JsonLog | None = None, others: Sequence[View] = ()
) -> View:
    """The view of a sweep.

    A live table where the console is a terminal, plain lines where it is not, JSON lines where
    there is a log for them.

    Args:
        console: where to show it.
        progress: the study before the sweep.
        log: takes the place of the console.
        others: views that learn the same.
    """
    shown: View
    if log is not None:
        shown = JsonView(log, progress)
    else:
        shown = (LiveView if console.is_terminal else PlainView)(console, progress)
    return SeveralViews(shown, others) if others else shown
