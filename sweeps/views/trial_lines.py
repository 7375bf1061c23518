"""The lines on which trials start and end, one below the other."""

from sweeps.views.events import TrialEnded, TrialStarted


def started_line(event: TrialStarted) -> str:
    return f"trial {event.trial:>3} started{event.what()}"


def ended_line(event: TrialEnded) -> str:
    line = f"trial {event.trial:>3} {event.outcome.replace('_', ' '):<9}"
    if result := event.result():
        line += f" {result}"
    return f"{line}  ({event.configuration})" if event.configuration else line
