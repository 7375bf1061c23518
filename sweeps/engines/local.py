"""The local engine: a worker process on this machine for every slot."""

import logging
import time
from collections.abc import Sequence
from contextlib import suppress

from sweeps.engines.devices import Slot
from sweeps.engines.engine import WorkerExit, WorkerPlan
from sweeps.engines.forkserver import ForkServer
from sweeps.engines.process import KILL_SECONDS, WorkerProcess, block_signals
from sweeps.errors import SweepsError

_logger = logging.getLogger(__name__)


class LocalEngine:
    """Runs a worker process in every slot; an :class:`sweeps.engines.Engine`.

    Args:
        plan: what the workers are to do.
        slots: one per worker.
        server: forks the workers on CPUs; ``None`` for one that ends with this run.
    """

    restarts_workers = False

    def __init__(
        self, plan: WorkerPlan, slots: Sequence[Slot], server: ForkServer | None = None
    ) -> None:
        self._plan = plan
        self._slots = {plan.name(index): slot for index, slot in enumerate(slots)}
        self._processes: dict[str, WorkerProcess] = {}
        self._server = server or ForkServer()
        self._owns_server = server is None
        self._forks = False

    def start(self) -> None:
        # Workers on GPUs have to choose theirs before PyTorch is imported.
        if all(slot.device == "cpu" for slot in self._slots.values()):
            threads = max(slot.threads for slot in self._slots.values())
            with suppress(OSError), block_signals():
                self._server.start(self._plan.preload, threads)
                self._forks = True
        for name in self._slots:
            self.restart(name)

    def poll(self) -> list[WorkerExit]:
        exits = []
        for name, process in list(self._processes.items()):
            status = process.poll()
            if status is not None:
                exits.append(WorkerExit(name, status, process.last_line))
                del self._processes[name]
        return exits

    def restart(self, name: str) -> None:
        self._processes[name] = self._start_process(name)

    def stop(self) -> None:
        for process in self._processes.values():
            process.stop()

    def kill(self) -> None:
        for process in self._processes.values():
            process.kill()
        deadline = time.monotonic() + KILL_SECONDS
        for name, process in self._processes.items():
            # The kernel may hold a process, as one that reads from a network disk that hangs.
            if process.wait(deadline - time.monotonic()) is None:
                _logger.warning("%s: process %d was killed and does not end", name, process.pid)
        self._processes.clear()
        if self._owns_server:
            self._server.close()

    @property
    def running(self) -> int:
        return len(self._processes)

    def _start_process(self, name: str) -> WorkerProcess:
        command = self._plan.command(name, self._slots[name])
        environment = self._plan.environment()

        def show(line: str) -> None:
            _logger.info("%s: %s", name, line)

        if self._forks:
            try:
                return WorkerProcess(command, environment, show, self._server)
            except OSError as error:
                _logger.warning(
                    "The process that forks workers did not answer (%s): they start more slowly "
                    "from here on",
                    error,
                )
                self._forks = False
                self._server.close()
        try:
            return WorkerProcess(command, environment, show)
        except OSError as error:
            raise SweepsError(f"{name} cannot be started: {error}") from None
