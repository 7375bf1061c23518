"""Reports of a sweep: one stream of events, which sinks show, log and send.

A :class:`Reporter` works the events out from a study's progress and passes each to every sink: a
live table on a terminal, plain lines in a file, JSON lines, notifications.
"""

from sweeps.reporting.events import Event, NewBest, SweepEnded
from sweeps.reporting.reporter import Reporter, reporting, show_log
from sweeps.reporting.stream import EventStream, Sink, no_trial_worked

__all__ = [
    "Event",
    "EventStream",
    "NewBest",
    "Reporter",
    "Sink",
    "SweepEnded",
    "no_trial_worked",
    "reporting",
    "show_log",
]
