"""Notifications to people who are elsewhere: over apprise (Slack, mail, JSON, ...) or a command."""

import json
import logging
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from storage import CONFIGURATION
from sweeps.reporting.events import Event, NewBest, SweepEnded
from sweeps.reporting.stream import Sink
from sweeps.study.progress import Progress

#: The kinds of notification.
KINDS = ("finished", "failed", "stopped", "best")

_SECONDS_BETWEEN_BESTS = 60.0
_COMMAND_SECONDS = 30.0

_logger = logging.getLogger(__name__)


class NotDelivered(Exception):
    """A notification did not get through; the message says why."""


class Channel(ABC):
    """Carries notifications, one after the other in a thread of its own: the sweep never waits.

    The first failure is logged as a warning, later ones are not.

    Attributes:
        title: what a person knows the channel by; holds no secret.
        end_seconds: how long a sweep's end waits for notifications under way.
    """

    title: str
    end_seconds: float

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._warned = threading.Lock()
        self._given_up = False
        self._deadline = 0.0
        # A daemon: one that hangs does not keep the process alive.
        self._thread = threading.Thread(target=self._work, name="notifications", daemon=True)
        self._thread.start()

    @abstractmethod
    def send(self, event: dict[str, Any]) -> None:
        """Send an event, in the channel's thread.

        Raises:
            NotDelivered, OSError: it did not get through.
        """

    def cancel(self) -> None:
        """Give up, even what is being sent; called from another thread."""
        self._given_up = True

    def put(self, event: dict[str, Any]) -> None:
        """Have an event sent."""
        self._queue.put(event)

    def finish(self) -> None:
        """Take no more events, and start the last seconds."""
        self._queue.put(None)
        self._deadline = time.monotonic() + self.end_seconds

    def close(self) -> None:
        """Wait until the last seconds are over, then give up."""
        try:
            self._thread.join(max(self._deadline - time.monotonic(), 0))
        finally:
            if self._thread.is_alive():
                self.cancel()
        if self._given_up:
            self._warn(f"not done {self.end_seconds:.0f} seconds after the end")

    def _work(self) -> None:
        while (event := self._queue.get()) is not None and not self._given_up:
            try:
                self.send(event)
            except (NotDelivered, OSError) as error:
                if not self._given_up:
                    self._warn(str(error))

    def _warn(self, reason: str) -> None:
        # Never released: only the first warning gets it.
        if self._warned.acquire(blocking=False):
            warning = "Notification failed: %s: %s (later failures are not shown)"
            _logger.warning(warning, self.title, reason)


class Notifier(Sink):
    """Notifies of a sweep's end, and of a new best at most once a minute.

    Of several new bests within a minute, the last is sent when the minute is over; one that still
    waits at the sweep's end is sent only if the end is not. The first best of a study is not sent,
    since some trial always is the first. Nor is any best before all baselines have ended: they are
    what the search has to beat.

    Args:
        channels: carry the notifications.
        kinds: which of :data:`KINDS` are wanted. A sweep that is out of time counts as finished.
    """

    def __init__(self, channels: Sequence[Channel], kinds: Collection[str]) -> None:
        self._channels = channels
        self._kinds = kinds
        self._baselines_left = False
        self._waiting: NewBest | None = None
        self._last_best: float | None = None
        self._has_ended = False

    def update(self, progress: Progress, seconds_left: float | None) -> None:
        self._baselines_left = any(
            CONFIGURATION in trial.user_attrs and not trial.state.is_finished()
            for trial in progress.trials
        )
        self._send_best()

    def show(self, event: Event) -> None:
        if isinstance(event, NewBest) and "best" in self._kinds:
            is_sampled = event.configuration is None
            if event.previous is not None and is_sampled and not self._baselines_left:
                self._waiting = event
                self._send_best()
        elif isinstance(event, SweepEnded) and not self._has_ended:
            self._has_ended = True
            kind = "finished" if event.how == "time_is_up" else event.how
            if kind in self._kinds:
                self._send(event)
            elif self._waiting is not None:
                self._send(self._waiting)

    def close(self) -> None:
        """Wait a few seconds at most for notifications under way, then give them up."""
        for channel in self._channels:
            channel.finish()
        for channel in self._channels:
            channel.close()

    def _send_best(self) -> None:
        now = time.monotonic()
        is_due = self._last_best is None or now - self._last_best >= _SECONDS_BETWEEN_BESTS
        if self._waiting is not None and is_due:
            self._last_best = now
            self._send(self._waiting)

    def _send(self, event: Event) -> None:
        self._waiting = None
        for channel in self._channels:
            channel.put(event.as_dict())


class Service(Channel):
    """Sends notifications over apprise.

    A person gets the event's sentence. A JSON service (``json://``, ``jsons://``, or a plain
    ``http(s)://`` URL that belongs to no other service) gets the event's fields by POST.

    Args:
        url: one of apprise's URLs, as ``slack://...`` or ``mailto://...``, or a plain URL.

    Raises:
        ValueError: apprise does not know the URL.

    Example:
        >>> Service("https://example.org/hooks/SECRET").title
        'https://example.org'
    """

    end_seconds = 5.0

    def __init__(self, url: str) -> None:
        # Imported here, since it takes a second and most sweeps do without.
        import apprise
        from apprise.plugins.custom_json import NotifyJSON

        asset = apprise.AppriseAsset(
            app_id="sweeps",
            default_service_retry=2,
            default_service_wait=1.0,
            # A POST that is redirected becomes a GET without the event, and seems to succeed.
            http_redirects=False,
            # With a limit of its own, apprise uses threads that delay the process's end.
            service_timeout=0,
        )
        self._captured = partial(apprise.LogCapture, level=logging.WARNING, fmt="%(message)s")
        with self._captured() as log:
            service = apprise.Apprise.instantiate(url, asset=asset)
            if service is None and url.startswith(("http://", "https://")):
                service = apprise.Apprise.instantiate(_json_service(url), asset=asset)
            if service is None:
                raise ValueError(
                    f"{_last_line(log.getvalue())}; write one of apprise's URLs, as "
                    "slack://TOKEN or mailto://USER:PASSWORD@HOST, or an https:// URL"
                )
        self._apprise = apprise.Apprise(service, asset=asset)
        self._json = service if isinstance(service, NotifyJSON) else None
        self._extras = {} if self._json is None else self._json.payload_extras
        self.title = str(service.service_name)
        if self._json is not None:
            # Without the path, which is often a secret.
            parts = urlsplit(url)
            self.title = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        super().__init__()

    def send(self, event: dict[str, Any]) -> None:
        if self._json is not None:
            self._json.payload_extras = {**_NO_ENVELOPE, **event, **self._extras}
        with self._captured() as log:
            sent = self._apprise.notify(
                title=f"Sweep {event['study']}" if event["study"] else "Sweep",
                body=event["text"],
                body_format="text",
                notify_type=_TYPES.get(event.get("how", ""), "info"),
            )
            if not sent:
                raise NotDelivered(_last_line(log.getvalue()) or "apprise gives no reason")


#: Apprise's types of message, which decide on colors and icons.
_TYPES = {
    "finished": "success",
    "time_is_up": "success",
    "stopped": "warning",
    "failed": "failure",
}
#: Leaves out what apprise puts around a JSON message.
_NO_ENVELOPE = dict.fromkeys(("version", "title", "message", "attachments", "type"), "")


def _json_service(url: str) -> dict[str, Any]:
    """Describe a plain URL to apprise as that of a JSON service.

    Raises:
        ValueError: it is no URL, or names no host.
    """
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError("it names no host")
    return {
        "schema": "jsons" if parts.scheme == "https" else "json",
        "host": f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname,
        "port": parts.port,
        "user": parts.username,
        "password": parts.password,
        "fullpath": parts.path + (f"?{parts.query}" if parts.query else ""),
    }


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


class Command(Channel):
    """Runs a shell command for each notification.

    The command gets the event as JSON on its standard input and in ``SWEEPS_EVENT``,
    ``SWEEPS_STUDY``, ``SWEEPS_TEXT``, ``SWEEPS_HOW``, ``SWEEPS_TRIAL`` and ``SWEEPS_VALUE`` what
    the event has of these. Its output is shown only if it fails.

    Args:
        command: as for ``sh -c``.
    """

    title = "the notify command"
    end_seconds = 10.0

    def __init__(self, command: str) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        super().__init__()

    def send(self, event: dict[str, Any]) -> None:
        # Files, not pipes: a child that the command leaves behind would keep those open.
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as output:
            stdin.write(json.dumps(event).encode() + b"\n")
            stdin.seek(0)
            process = self._process = subprocess.Popen(
                self._command,
                shell=True,
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **_variables(event)},
                # Ctrl-C is not for the command, and its children can be killed with it.
                process_group=0,
            )
            if self._given_up:
                _kill_group(process)
            try:
                status = process.wait(_COMMAND_SECONDS)
            except subprocess.TimeoutExpired:
                _kill_group(process)
                process.wait()
                raise NotDelivered(f"it took more than {_COMMAND_SECONDS:.0f} seconds") from None
            if status != 0:
                output.seek(0)
                last = _last_line(output.read(65536).decode(errors="replace"))
                ended = f"ended with status {status}" if status > 0 else f"died of signal {-status}"
                raise NotDelivered(f"it {ended}" + (f": {last}" if last else ""))

    def cancel(self) -> None:
        super().cancel()
        if self._process is not None and self._process.poll() is None:
            _kill_group(self._process)


def _variables(event: dict[str, Any]) -> dict[str, str]:
    names = ("event", "study", "text", "how", "trial", "value")
    # A variable cannot hold a null character.
    return {
        f"SWEEPS_{name.upper()}": str(event[name]).replace("\0", " ")
        for name in names
        if event.get(name) is not None
    }


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
