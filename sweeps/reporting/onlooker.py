"""Reading a study again and again, also one that is not there yet or not for a while."""

import os

from storage import (
    READY,
    HardenedStorage,
    StorageError,
    is_sqlite,
    open_storage,
    open_study,
    parse_url,
    sqlite_path,
)
from sweeps.errors import in_words
from sweeps.study.attributes import SPEC
from sweeps.study.progress import Progress, read_progress


class Onlooker:
    """Looks at one study.

    Args:
        storage: its URL.
        study: its name; ``None`` for the one that is the newest at the first look.
    """

    def __init__(self, storage: str, study: str | None) -> None:
        self._url = parse_url(storage)
        self._study = study
        self._storage: HardenedStorage | None = None
        self._file: tuple[int, int] | None = None

    def look(self) -> Progress:
        """Where the study stands.

        Raises:
            StorageError: it cannot be seen now; the next look opens its storage again.
        """
        try:
            if self._storage is not None and self._find_file() != self._file:
                # What is open is another file, which was deleted or moved away.
                self._close()
            if self._storage is None:
                self._storage = open_storage(self._url)
                # What is wrong is told now; the next look tries again in any case.
                self._storage.patience = 0.0
                self._file = self._find_file()
            study = open_study(self._storage, self._study)
            self._study = study.study_name
            # One that was not made by `sweeps run` has neither.
            if SPEC in study.user_attrs and not study.user_attrs.get(READY):
                raise StorageError(f"{self._study}: the study is just being made")
            return read_progress(self._storage, study)
        except Exception as error:
            words = in_words(error)
            if words is None:
                raise
            self._close()
            raise StorageError(words) from None

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
