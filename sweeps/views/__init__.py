"""What is told of a sweep while it runs: a live table, plain lines, or JSON lines."""

from sweeps.views.endings import ended, no_trial_worked, why_ended
from sweeps.views.events import Event, NewBest, SweepEnded
from sweeps.views.json_log import JsonLog
from sweeps.views.make import make_view
from sweeps.views.view import EventView, View

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
