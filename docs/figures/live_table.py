"""Draw what ``sweeps status --watch`` shows of a sweep that is running.

``python -m docs.figures.live_table STORAGE FILE.svg``
"""

import io
import sys
from dataclasses import replace

from rich.console import Console

from storage import open_storage, open_study
from sweeps.reporting.live import LiveTable
from sweeps.reporting.stream import EventStream
from sweeps.study.progress import read_progress


def main() -> None:
    location, file = sys.argv[1:]
    storage = open_storage(location)
    progress = read_progress(storage, open_study(storage))
    console = Console(record=True, force_terminal=True, width=84, file=io.StringIO())
    table = LiveTable(console, watching=storage.location)
    before = replace(progress, trials=[], workers=[])
    for event in EventStream(before).advance(progress, None):
        table.show(event)
    console.print(table.render(progress, None))
    console.save_svg(file, title="sweeps status --watch")


if __name__ == "__main__":
    main()
