"""A worker's sign of life, every few seconds, also while an epoch is long."""

import threading
from types import TracebackType
from typing import Self

from storage import HEARTBEAT_SECONDS, HardenedStorage, beat
from sweeps.errors import Survived

_LAST_BEAT_SECONDS = 2.0


class Heartbeat:
    """Beats from a thread of its own for as long as the block lasts.

    Args:
        storage: where the worker is registered.
        worker_id: the worker.
        seconds: between two beats.
    """

    def __init__(
        self, storage: HardenedStorage, worker_id: str, seconds: float = HEARTBEAT_SECONDS
    ) -> None:
        self._storage = storage
        self._worker_id = worker_id
        self._seconds = seconds
        self._finished = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.ensure()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._finished.set()
        if self._thread is not None:
            # A beat that is under way would bring a worker back to life that says it has ended.
            self._thread.join(timeout=_LAST_BEAT_SECONDS)

    def ensure(self) -> None:
        """Start the thread, also where it has died: a worker that works shall not be given up."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
            self._thread.start()

    def _beat(self) -> None:
        survived = Survived(__name__, "the worker's sign of life did not get through")
        while not self._finished.wait(self._seconds):
            try:
                beat(self._storage, self._worker_id)
            except Exception as error:
                # The next beat may get through; a trial is not lost for one that did not.
                survived.note(error)
            else:
                survived.note(None)
