"""A study whose trials a test moves by hand, and what a reporter reports of it."""

import contextlib
import io
import json
import re

import pytest

from sweeps.errors import Stopped, SweepsError
from sweeps.reporting import Reporter
from sweeps.reporting.json_log import JsonLog
from tests.sweeps.browser import Browser
from tests.sweeps.handmade import HandmadeStudy

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def parse_log(text):
    """Parse a JSON log; every line has the fields that all events have, and no NaN."""

    def refuse(constant):
        pytest.fail(f"{constant} is no JSON")

    events = [json.loads(line, parse_constant=refuse) for line in text.splitlines()]
    assert events
    for event in events:
        assert list(event)[:3] == ["time", "event", "study"]
        assert TIME.fullmatch(event["time"])
        assert event["text"]
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)
    return events


def named(events, name):
    return [event for event in events if event["event"] == name]


def look_at_widths(path, profile):
    """Show a page in a browser at several widths, at which nothing scrolls sideways."""
    with Browser(profile) as browser:
        for width in (360, 768, 1280):
            metrics = {"height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
            browser.call("Emulation.setDeviceMetricsOverride", width=width, **metrics)
            browser.visit(path.as_uri())
            browser.wait_for("document.querySelector('footer')")
            assert browser.evaluate("document.documentElement.scrollWidth") <= width
            yield browser
        assert browser.complaints == []


@pytest.fixture
def study(tmp_path):
    return HandmadeStudy(tmp_path)


@pytest.fixture
def report(study):
    """Call each step and look at the study after it, then end the sweep; returns the JSON log."""

    def run(*steps, sinks=(), error=None, seconds_left=None):
        log = io.StringIO()
        reporter = Reporter(None, [JsonLog(log), *sinks])
        with contextlib.suppress(SweepsError, Stopped), reporter.running(study.progress()):
            for step in steps:
                step()
                reporter.update(study.progress(), seconds_left)
            if error is not None:
                raise error
        return parse_log(log.getvalue())

    return run
