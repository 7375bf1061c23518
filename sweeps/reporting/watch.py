"""Watching a study that other processes work on, for ``sweeps status --watch``."""

import os
import time

from storage import (
    READY,
    HardenedStorage,
    StorageError,
    is_sqlite,
    open_storage,
    open_study,
    parse_url,
    sqlite_path,
    study_names,
)
from sweeps.errors import SweepsError, in_words
from sweeps.reporting.events import Message
from sweeps.reporting.stream import EventStream, Sink
from sweeps.study.attributes import SPEC
from sweeps.study.progress import Progress, read_progress
from sweeps.study.stages import find_comparison, stages

_SECONDS_BETWEEN_LOOKS = 1.0


class Observer:
    """Reads one study again and again, although it may not be there yet, or not for a while.

    Args:
        storage: its URL.
        study: its name; ``None`` for the newest at the first look.
    """

    def __init__(self, storage: str, study: str | None) -> None:
        self._url = parse_url(storage)
        self._study = study
        self._storage: HardenedStorage | None = None
        self._file: tuple[int, int] | None = None

    def look(self) -> Progress:
        """Read where the study stands.

        Raises:
            StorageError: it cannot be read now; the next look opens the storage again.
            SweepsError: the name is a comparison's, which is several studies.
        """
        try:
            if self._storage is not None and self._find_file() != self._file:
                # The open file was deleted or moved.
                self._close()
            if self._storage is None:
                self._storage = open_storage(self._url)
                # Report trouble at once: the next look tries again in any case.
                self._storage.patience = 0.0
                self._file = self._find_file()
            if self._study is not None:
                self._refuse_comparison(self._storage, self._study)
            study = open_study(self._storage, self._study)
            self._study = study.study_name
            # Studies that `sweeps run` did not make have neither attribute.
            if SPEC in study.user_attrs and not study.user_attrs.get(READY):
                raise StorageError(f"{self._study}: the study is just being made")
            return read_progress(self._storage, study)
        except SweepsError:
            raise
        except Exception as error:
            words = in_words(error)
            if words is None:
                raise
            self._close()
            raise StorageError(words) from None

    @staticmethod
    def _refuse_comparison(storage: HardenedStorage, name: str) -> None:
        if find_comparison(storage, name) is not None:
            newest = stages(name, study_names(storage))[-1]
            raise SweepsError(
                f"{name} is a comparison; watch one of its studies: sweeps status {newest} --watch"
            )

    def _close(self) -> None:
        if self._storage is not None:
            self._storage.engine.dispose()
            self._storage = None

    def _find_file(self) -> tuple[int, int] | None:
        if not is_sqlite(self._url):
            return None
        try:
            status = os.stat(sqlite_path(self._url))
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino


def watch(observer: Observer, sink: Sink) -> Progress:
    """Show a study again and again until it is done and no worker is left.

    A storage that is unavailable is waited for.

    Returns:
        The study at its end.
    """
    stream: EventStream | None = None
    trouble = ""
    sink.start()
    try:
        while True:
            try:
                progress = observer.look()
            except StorageError as error:
                if str(error) != trouble:
                    trouble = str(error)
                    sink.show(Message(study=None, text=f"{trouble} (trying again)"))
            else:
                trouble = ""
                if stream is None:
                    stream = EventStream(progress)
                events = stream.advance(progress, None)
                sink.update(progress, None)
                for event in events:
                    sink.show(event)
                if progress.is_done and not progress.workers:
                    sink.show(stream.ended(None))
                    return progress
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    finally:
        sink.stop()
