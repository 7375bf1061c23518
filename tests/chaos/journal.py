"""What happens in the processes of these tests, line by line in a file that all write to."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Journal:
    """A file to which any process adds lines; each is whole, whenever its writer is killed.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, event: str, **details: Any) -> None:
        """Add a line."""
        line = {"event": event, "time": time.time(), "pid": os.getpid(), **details}
        os.write(self._file, json.dumps(line).encode() + b"\n")


def read_journal(path: Path) -> list[dict[str, Any]]:
    """All lines there are."""
    return list(_lines(path)) if path.exists() else []


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text().splitlines(keepends=True):
        # The last may be just being written.
        if line.endswith("\n"):
            yield json.loads(line)
