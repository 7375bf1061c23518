"""What `sweeps run` shows: a live table on a terminal, plain lines elsewhere."""

import io
import logging
import re
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console

from sweeps.reporting import Reporter, show_log
from sweeps.reporting.lines import Lines
from sweeps.reporting.live import LiveTable


@pytest.mark.parametrize("width", [80, 120])
def test_the_live_table_fits_the_terminal(study, report, width):
    """Also with more workers than the terminal has lines."""
    for number in range(30):
        worker = study.start_worker(f"worker-{number}")
    study.end(study.start(worker), "interrupted")
    study.run(0.5)
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=width, height=24, color_system=None)
    report(lambda: study.end(study.start(), "pruned"), sinks=[LiveTable(console)], seconds_left=754)
    lines = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", file.getvalue()).splitlines()
    table = lines[max(n for n, line in enumerate(lines) if line.startswith(" worker ")) :]
    assert len(table) < 24
    assert max(map(len, table)) <= width
    text = "\n".join(table)
    assert re.search(r"worker-0 +cpu +- +- +-", text)
    assert re.search(r"and 1\d more", text)
    assert "2/4 trials · 0:00 elapsed · at most 12:34 left" in text
    assert "best 0.5000 in trial 1 · 1 completed, 1 pruned (1 interrupted, retried)" in text


def test_a_notebooks_cell_keeps_what_was_drawn_last(study, report, monkeypatch):
    drawn = []
    handle = SimpleNamespace(update=drawn.append)
    display = SimpleNamespace(display=lambda shown, display_id: handle)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(display=display))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    file = io.StringIO()
    table = LiveTable(Console(file=file), in_notebook=True)
    report(lambda: study.end(study.start(), "pruned"), sinks=[table])
    html = drawn[-1]._repr_mimebundle_((), ())["text/html"]
    assert "1/4 trials" in html
    assert file.getvalue().startswith("trial   0 pruned")


def test_plain_lines_continue_where_the_study_was(study):
    """What the project logs is shown too, as it is."""
    study.run(0.5)
    study.start()
    file = io.StringIO()
    reporter = Reporter(None, [Lines(Console(file=file, width=80))])
    with show_log(reporter.say), reporter.running(study.progress()):
        study.end(1, "out_of_memory", reason="too large")
        reporter.update(study.progress(), None)
        reporter.say("[b]as it is[/b]")
        logging.getLogger("sweeps.engines.local").info("worker-0: %s", "hello")
    lines = [line.split(maxsplit=1)[1] for line in file.getvalue().splitlines()]
    assert lines == [
        "trial   1 out of memory: too large  [1/4 trials, best 0.5000 in trial 0]",
        "[b]as it is[/b]",
        "worker-0: hello",
    ]
