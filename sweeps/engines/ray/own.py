"""A Ray for one run alone."""

import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import ray
from ray._private import ray_constants
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

from sweeps.engines.devices import Slot, visible_as
from sweeps.engines.engine import STORAGE_VARIABLE
from sweeps.engines.ray.cluster import QUIET, environment, join, leave
from sweeps.engines.ray.protocol import AT_ONCE, END_SECONDS, TOLD
from sweeps.errors import SweepsError

_LOOPBACK = "127.0.0.1"
_LONGEST_TEMP = 24
_START_SECONDS = 120.0


class OwnRay:
    """A Ray on this machine, on the loopback interface, with room for some slots.

    It belongs to a process of its own, :mod:`sweeps.engines.ray.host`, which ends it where this
    process is gone. It is started at once, and there is something to join once :meth:`is_ready`.

    Raises:
        SweepsError: it cannot be started.
    """

    def __init__(self, slots: Sequence[Slot]) -> None:
        # Keeps others on this machine from giving it work. Ray makes a token by itself otherwise,
        # and leaves it in the home folder.
        self._access = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        self._deadline = time.monotonic() + _START_SECONDS
        self._read = b""
        self._address: str | None = None
        try:
            self._folder = _make_folder()
            self._errors = Path(self._folder) / "host.err"
            self._host = self._start_host(slots)
        except OSError as error:
            raise _refusal(str(error)) from None

    def is_ready(self) -> bool:
        """Whether it has started; does not wait.

        Raises:
            SweepsError: it cannot start.
        """
        if self._address is None:
            self._read_address()
        return self._address is not None

    def join(self) -> None:
        """Connect this process to it.

        Raises:
            SweepsError: that fails, or it cannot be held to the loopback interface.
        """
        assert self._address is not None
        try:
            with environment(self._access), _loopback():
                _read_environment()
                join(self._address, _node_ip_address=_LOOPBACK)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise _refusal(str(error)) from None
        if ray.util.get_node_ip_address() != _LOOPBACK:
            raise SweepsError(
                f"--engine ray: Ray {ray.__version__} cannot be held to the loopback interface; "
                "start one yourself and name it by --ray-address"
            )

    @property
    def has_ended(self) -> bool:
        """Whether it is gone, as where somebody has killed it."""
        return self._host.poll() is not None

    def end(self) -> None:
        """Let go of it and end it, with all that it has started."""
        leave()
        with suppress(subprocess.TimeoutExpired):
            self._host.communicate(AT_ONCE.encode(), timeout=END_SECONDS + 0.5)
        if self._host.returncode != 0:
            with suppress(ProcessLookupError):
                os.killpg(self._host.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                self._host.communicate(timeout=0.5)
        shutil.rmtree(self._folder, ignore_errors=True)
        _read_environment()

    def _start_host(self, slots: Sequence[Slot]) -> subprocess.Popen[bytes]:
        devices = {slot.device for slot in slots if slot.gpu_share}
        settings = {
            "cpus": sum(slot.threads for slot in slots),
            "gpus": len(devices),
            "ip_address": _LOOPBACK,
        }
        changes = {
            **QUIET,
            **self._access,
            "CUDA_VISIBLE_DEVICES": visible_as(sorted(devices), os.environ),
            ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR: "0",
            # Workers put their trials away when their actor goes; the host ends them after that.
            "RAY_kill_child_processes_on_worker_exit": "false",
            # Only workers have it.
            STORAGE_VARIABLE: None,
        }
        with environment(changes), self._errors.open("w") as errors:
            return subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "sweeps.engines.ray.host",
                    json.dumps(settings),
                    self._folder,
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                # Out of reach of a terminal's Ctrl-C.
                start_new_session=True,
            )

    def _read_address(self) -> None:
        assert self._host.stdout is not None
        while select.select([self._host.stdout], [], [], 0)[0]:
            some = os.read(self._host.stdout.fileno(), 4096)
            if not some:
                lines = self._errors.read_text(errors="replace").strip().splitlines()
                raise _refusal(lines[-1] if lines else "its process has ended without a word")
            self._read += some
        for line in self._read.decode(errors="replace").splitlines(keepends=True):
            if line.startswith(TOLD) and line.endswith("\n"):
                told = json.loads(line.removeprefix(TOLD))
                if "error" in told:
                    raise _refusal(told["error"])
                self._address = told["address"]
        if self._address is None and time.monotonic() > self._deadline:
            raise _refusal(f"no word of it within {_START_SECONDS:.0f} s")


def _read_environment() -> None:
    """Have Ray see the environment as it is now.

    It has read it when it was imported, and a token when it first needed one. It would show the
    token of one cluster to the next, and wait for ever where it is refused.
    """
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def _refusal(reason: str) -> SweepsError:
    first_line = next(iter(reason.strip().splitlines()), "no reason told")
    return SweepsError(f"--engine ray: Ray does not start here: {first_line}")


def _make_folder() -> str:
    """A folder for what Ray writes, its sockets too, whose paths may have 107 characters."""
    folder = tempfile.gettempdir()
    return tempfile.mkdtemp(prefix="ray-", dir=folder if len(folder) <= _LONGEST_TEMP else "/tmp")


@contextmanager
def _loopback() -> Iterator[None]:
    """Let Ray listen on the loopback interface alone, and not on all, as it does on Linux.

    It does so by itself where it makes no clusters, as on macOS; whether it does is read from the
    environment when it is imported, which is over, so the constant is set that holds the answer.
    """
    name = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        with environment({name: "0"}):
            yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
