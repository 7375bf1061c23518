"""The channels of notifications: apprise (Slack, mail, JSON, ...) and a command of one's own."""

import json
import logging
import os
import signal
import subprocess
import tempfile
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from sweeps.reporting.notifications import Channel, NotDelivered

_COMMAND_SECONDS = 30.0
#: Apprise's types of message, which decide on colors and icons, by how a sweep ended.
_TYPES = {
    "finished": "success",
    "time_is_up": "success",
    "stopped": "warning",
    "failed": "failure",
}
#: Leaves out what apprise puts around a JSON message.
_NO_ENVELOPE = dict.fromkeys(("version", "title", "message", "attachments", "type"), "")


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


class Command(Channel):
    """Runs a shell command for each notification.

    The command gets the event as JSON on its standard input and in ``SWEEPS_EVENT``,
    ``SWEEPS_STUDY``, ``SWEEPS_TEXT``, ``SWEEPS_HOW``, ``SWEEPS_TRIAL`` and ``SWEEPS_VALUE`` what
    the event has of these. Its output is shown only if it fails.
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


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
