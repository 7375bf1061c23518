"""A headless Chromium, steered through the DevTools protocol on a pipe."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.sweeps.waiting import wait_for

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
    "--disable-component-update",
    "--window-size=1400,1000",
    "--remote-debugging-pipe",
)


class PageLeft(Exception):
    """The page a command was meant for gave way to another one before it answered."""


# What the browser calls that: nothing but the words tells it from other errors.
_LEFT = ("navigated or closed", "context was destroyed", "Cannot find context")


class Browser:
    """One page in a browser of its own.

    Args:
        folder: for its profile and what it downloads.

    Attributes:
        complaints: what the page wrote into the console as a warning or error: violated policies,
            exceptions, requests that failed.
    """

    def __init__(self, folder: Path) -> None:
        assert CHROMIUM is not None
        self.complaints: list[str] = []
        self._number = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._buffer = b""
        self._session: str | None = None
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # The browser reads commands from descriptor 3 and answers on 4.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]

        def place_ends() -> None:
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        self._process = subprocess.Popen(
            [CHROMIUM, *_FLAGS, f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            preexec_fn=place_ends,
            pass_fds=(3, 4),
        )
        for end in (theirs_in, theirs_out, *ends):
            os.close(end)
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        # It ends by itself when nobody steers it any more.
        os.close(self._out)
        os.close(self._in)
        try:
            self._process.wait(timeout=30)
        finally:
            self._process.kill()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give a command and wait for its result.

        Raises:
            PageLeft: the browser went on to another page meanwhile.
        """
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + 120
        while self._number not in self._answers:
            self._read(deadline - time.monotonic())
        answer = self._answers.pop(self._number)
        if any(words in answer.get("error", {}).get("message", "") for words in _LEFT):
            raise PageLeft(answer)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def visit(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def prefer(self, scheme: str) -> None:
        """Have the person prefer ``light`` or ``dark`` pages."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page, or what it promises."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, expression: str, seconds: float = 60) -> Any:
        """Wait until a JavaScript expression is true, on this page or on one that follows."""

        def is_true() -> bool:
            try:
                return bool(self.evaluate(f"!!({expression})"))
            except PageLeft:
                return False

        return wait_for(is_true, expression, seconds)

    def type(self, text: str) -> None:
        """Type into the field that has the focus."""
        self.call("Input.insertText", text=text)

    def press_enter(self) -> None:
        key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
        self.call("Input.dispatchKeyEvent", type="keyDown", **key)
        self.call("Input.dispatchKeyEvent", type="keyUp", **key)

    def take_picture(self, path: Path) -> None:
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def _read(self, seconds: float) -> None:
        ready, _, _ = select.select([self._in], [], [], max(seconds, 0))
        assert ready, "the browser does not answer"
        data = os.read(self._in, 1 << 16)
        assert data, "the browser is gone"
        *messages, self._buffer = (self._buffer + data).split(b"\0")
        for message in messages:
            self._take(json.loads(message))

    def _take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self._answers[message["id"]] = message
            return
        parameters = message.get("params", {})
        if message["method"] == "Log.entryAdded":
            entry = parameters["entry"]
            if entry["level"] in ("warning", "error"):
                self.complaints.append(f"{entry['text']} ({entry.get('url')})")
        elif message["method"] == "Runtime.exceptionThrown":
            self.complaints.append(str(parameters["exceptionDetails"]))
        elif message["method"] == "Runtime.consoleAPICalled" and parameters["type"] in (
            "warning",
            "error",
        ):
            self.complaints.append(str(parameters["args"]))
