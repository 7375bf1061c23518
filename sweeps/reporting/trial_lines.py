"""The lines on which trials start and end, one below the other."""

from sweeps.reporting.events import TrialEnded, TrialStarted


def started_line(event: TrialStarted) -> str:
    return f"trial {event.trial:>3} started{event.what()}"


def ended_line(event: TrialEnded) -> str:
    outcome, result = event.outcome.replace("_", " "), event.result()
    if event.outcome in ("completed", "pruned"):
        # The results stand in a column.
        line = f"trial {event.trial:>3} {outcome:<9} {result}".rstrip()
    else:
        line = f"trial {event.trial:>3} {outcome}" + (f": {result}" if result else "")
    return f"{line}  ({event.configuration})" if event.configuration else line
