"""What is told of a sweep while it runs: a live table, plain lines, or JSON lines."""

from sweeps.reporting.endings import ended, no_trial_worked, why_ended
from sweeps.reporting.events import Event, NewBest, SweepEnded
from sweeps.reporting.json_log import JsonLog
from sweeps.reporting.make import make_view
from sweeps.reporting.view import EventView, View

__all__ = [
    "Event",
    "EventView",
    "JsonLog",
    "NewBest",
    "SweepEnded",
    "View",
    "ended",
    "make_view",
    "no_trial_worked",
    "why_ended",
]
