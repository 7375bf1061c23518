"""A PostgreSQL server of the tests' own, in a folder of its own."""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import psycopg
import pytest

from tests.sweeps.waiting import wait_for

ROLE = "sweeps"
# With signs that mean something in a URL.
PASSWORD = "p@ss/w:rd%7B{}"

# The server is a child of this shell, which ends it when the tests are gone, even by SIGKILL: its
# standard input ends then.
_GUARD = '"$@" & server=$!; cat; kill -QUIT $server 2>/dev/null; wait $server'


def find_binaries() -> Path | None:
    """The folder of PostgreSQL's programs, the newest release's; ``None`` where there are none."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_release, reverse=True)
    config = shutil.which("pg_config")
    if config is not None:
        said = subprocess.run([config, "--bindir"], capture_output=True, text=True)
        folders.insert(0, Path(said.stdout.strip()))
    wanted = ("initdb", "postgres", "pg_ctl", "pg_isready")
    return next((f for f in folders if all((f / name).exists() for name in wanted)), None)


class Server:
    """A server that can be stopped and started again under its clients.

    Args:
        binaries: the folder of PostgreSQL's programs.

    Attributes:
        port: where it listens on 127.0.0.1, the same after each start.
    """

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        # The server refuses to run as root.
        self._user = _ordinary_user() if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="sweeps-postgres-"))
        self._data = self._folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        try:
            self._make()
        except BaseException:
            self.remove()
            raise

    @property
    def runs(self) -> bool:
        """Whether it was started, and not stopped since."""
        return self._process is not None

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        assert self._process is None
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", _GUARD, "sh", str(self._binaries / "postgres"), "-D", str(self._data)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                user=self._user,
                cwd="/",
                # An interrupt from the terminal is the tests' to handle.
                start_new_session=True,
            )
        wait_for(self._is_ready, "the server takes connections")

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop it: by ``immediate`` as if it had crashed."""
        assert self._process is not None
        self._run("pg_ctl", "stop", "-D", str(self._data), "-m", mode, "--silent")
        self._end_guard()

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop and start it."""
        self.stop(mode)
        self.start()

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Let it answer nobody new for the length of a block, as if its machine hung."""
        number = int((self._data / "postmaster.pid").read_text().splitlines()[0])
        os.kill(number, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(number, signal.SIGCONT)

    def remove(self) -> None:
        """End it, and remove its folder."""
        if self._process is not None:
            self._end_guard()
        shutil.rmtree(self._folder)

    def log(self) -> str:
        """What it has logged."""
        return (self._folder / "log").read_text()

    def url(self, database: str, *, role: str = ROLE, password: str = PASSWORD) -> str:
        """The URL of a database, whether there is one or not."""
        return f"postgresql://{role}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Execute a statement as the superuser, outside of a transaction."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    @contextmanager
    def database(self, template: str = "") -> Iterator[str]:
        """A database for the length of a block, a copy of another if one is named; its URL."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        try:
            yield self.url(name)
        finally:
            if not self.runs:
                self.start()
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _make(self) -> None:
        if self._user is not None:
            os.chown(self._folder, pwd.getpwnam(self._user).pw_uid, -1)
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run(
            *("initdb", "-D", str(self._data), "--auth", "scram-sha-256", "--no-sync"),
            *("--username", ROLE, "--pwfile", str(secret), "--encoding", "UTF8", "--locale", "C"),
        )
        settings = {
            "listen_addresses": "'127.0.0.1'",
            "port": self.port,
            "unix_socket_directories": "''",
            # What a crash of the machine would lose: the tests have none.
            "fsync": "off",
            "full_page_writes": "off",
            "max_connections": 60,
            "shared_buffers": "32MB",
            "logging_collector": "off",
        }
        with (self._data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"the server has ended: {self.log()}")
        command = ["pg_isready", "--quiet", "--host", "127.0.0.1", "--port", str(self.port)]
        command[0] = str(self._binaries / command[0])
        return subprocess.run(command).returncode == 0

    def _end_guard(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process = None

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._binaries / program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            user=self._user,
            cwd="/",
            text=True,
        )
        assert done.returncode == 0, f"{program}: {done.stdout}"


def _release(folder: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", folder.parent.name))


def _ordinary_user() -> str:
    names = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running_server() -> Iterator[Server]:
    """A server for the length of a block; without PostgreSQL's programs the test is skipped."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("needs PostgreSQL's programs (Debian: apt install postgresql)")
    server = Server(binaries)
    try:
        server.start()
        yield server
    finally:
        server.remove()
