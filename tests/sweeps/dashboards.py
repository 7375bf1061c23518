"""Real dashboards in processes, and requests as clients of all kinds send them."""

import copy
import http.client
import json
import re
import subprocess
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.sweeps.conftest import Place


class Answer:
    """What came back."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def cookie(self) -> str:
        """What a browser sends back of the cookie that was set."""
        return self.headers["Set-Cookie"].partition(";")[0]


class Dashboard:
    """A dashboard that serves the storage of a folder, on a free port.

    Args:
        place: the folder.
        arguments: further ones.
        environment: further variables.

    Attributes:
        lines: what it said at the start, and once it has ended all that it said.
        address: without a path.
    """

    def __init__(self, place: Place, *arguments: str, **environment: str) -> None:
        place = copy.copy(place)
        place.environment = place.environment | environment
        self._process: subprocess.Popen[str] = place.start("dashboard", "--port", "0", *arguments)
        assert self._process.stderr is not None
        self.lines: list[str] = []
        while not (self.lines and "Plain HTTP" in self.lines[-1]):
            self.lines.append(self._process.stderr.readline().rstrip("\n"))
            assert self.lines[-1], "\n".join(self.lines)
        found = re.search(r"http://[^/]+", self.lines[0])
        assert found, self.lines
        self.address = found[0]

    def __enter__(self) -> "Dashboard":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        _, rest = self._process.communicate(timeout=30)
        self.lines += rest.splitlines()

    def interrupt(self, number: int) -> int:
        """Send a signal and wait for the exit status."""
        self._process.send_signal(number)
        return self._process.wait(timeout=30)

    def ask(
        self,
        path: str,
        method: str = "GET",
        body: str | None = None,
        source: str = "127.0.0.1",
        **headers: str,
    ) -> Answer:
        """Send a request as it is, and follow no redirection.

        Args:
            path: sent unchanged.
            method: any.
            body: of the request.
            source: the address of this machine that it comes from.
            headers: with ``_`` for ``-``.
        """
        parts = urlsplit(self.address)
        connection = http.client.HTTPConnection(
            str(parts.hostname), parts.port, timeout=60, source_address=(source, 0)
        )
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        encoded = {name: value.encode() for name, value in names.items()}
        try:
            connection.request(
                method, path, None if body is None else body.encode(), headers=encoded
            )
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def log_in(self, token: str, wanted: str = "/dashboard", **settings: str) -> Answer:
        """Send the form of the login page, as a browser does."""
        form = urlencode({"next": wanted, "token": token})
        origin = settings.pop("Origin", self.address)
        return self.ask("/login", "POST", form, Origin=origin, **settings)
