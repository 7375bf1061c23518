"""Text and YAML files: read with clear errors, written whole or not at all."""

import io
import os
import tempfile
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.representer import SafeRepresenter

from sweeps.errors import SweepsError
from sweeps.spec import shipped_names
from sweeps.spec.validation import unknown_name


def read_text(path: Path, *, if_missing: str = "") -> str:
    """Read a UTF-8 file.

    Args:
        path: the file.
        if_missing: the remedy to name where it does not exist.

    Raises:
        SweepsError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        remedy = f"; {if_missing}" if if_missing else ""
        raise SweepsError(f"{path}: no such file{remedy}") from None
    except OSError as error:
        raise SweepsError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SweepsError(f"{path}: cannot be read: it is not UTF-8 text") from None


def check_writable(path: Path) -> None:
    """Check that :func:`write_whole` can write a file, before the work that makes it.

    Raises:
        SweepsError: it cannot.
    """
    folder = path.absolute().parent
    if path.exists() and not path.is_file():
        raise SweepsError(f"{path}: is not a regular file; name another")
    if not folder.is_dir():
        raise SweepsError(f"{path}: the folder {folder} does not exist; create it first")
    if not os.access(folder, os.W_OK):
        raise SweepsError(f"{path}: the folder {folder} is read-only; choose another")


def check_replaceable(path: Path, kind: str, marks: Iterable[str]) -> None:
    """Check that a file which is about to be replaced is one of a kind, if it exists.

    Args:
        path: the file.
        kind: what it should be, for a person.
        marks: texts of which such a file holds one.

    Raises:
        SweepsError: it is something else.
    """
    if not path.exists():
        return
    text = path.read_text("utf-8", errors="replace")
    if not any(mark in text for mark in marks):
        raise SweepsError(
            f"{path}: exists and is no {kind}; name another, or replace it with --force"
        )


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place, then rename it: readers see the old content or the new.

    Args:
        path: the file; one that exists is replaced.
        content: all of its bytes.

    Raises:
        SweepsError: it cannot be written; what was there before is still there.
    """
    check_writable(path)
    try:
        handle, beside = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(beside, 0o666 & ~_umask())
            os.replace(beside, path)
        except BaseException:
            os.unlink(beside)
            raise
    except OSError as error:
        raise SweepsError(f"{path}: cannot be written: {error.strerror or error}") from None


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def load_yaml(text: str, source: str) -> dict[str, Any]:
    """Parse YAML 1.2 whose top level is a mapping; a key written twice is refused.

    Raises:
        SweepsError: it is not, or no YAML at all; the line is named.

    Example:
        >>> load_yaml("rate: 1e-3\nflip: no", "spec.yaml")
        {'rate': 0.001, 'flip': 'no'}
    """
    try:
        tree = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SweepsError(f"{source}{line}: not valid YAML: {error.problem}") from None
    except (YAMLError, ValueError, RecursionError) as error:
        # Besides its own errors, ruamel.yaml lets through those of Python's numbers and dates.
        raise SweepsError(f"{source}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(tree, dict):
        raise SweepsError(f"{source}: expected keys and values at the top, as in `name: my-sweep`")
    return tree


def load_named(name_or_path: str, folder: str, kind: str) -> tuple[dict[str, Any], str]:
    """Read a preset by its name, or a YAML file by its path.

    Args:
        name_or_path: which.
        folder: where the presets are in this package.
        kind: what the file is, as ``spec``, for a person.

    Returns:
        What it holds, and how messages name it.

    Raises:
        SweepsError: there is none, or it is no YAML.
    """
    presets = shipped_names(folder)
    if name_or_path in presets:
        file = resources.files("sweeps.spec") / folder / f"{name_or_path}.yaml"
        return load_yaml(file.read_text("utf-8"), name_or_path), name_or_path
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml") and not path.exists():
        words = unknown_name(name_or_path, presets, "preset")
        raise SweepsError(f"{name_or_path}: {words} (a {kind} of your own is a .yaml file)")
    return load_yaml(read_text(path), str(path)), str(path)


class _Representer(SafeRepresenter):
    """Lists on one line, mappings a line a key."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_list(representer: SafeRepresenter, data: list[Any]) -> Any:
    return representer.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)


def _represent_str(representer: SafeRepresenter, data: str) -> Any:
    # Only double quotes escape what is not printed; in a list ruamel.yaml leaves `? a` bare.
    style = None if data.isprintable() and data[:1] != "?" else '"'
    return representer.represent_scalar("tag:yaml.org,2002:str", data, style)


_Representer.add_representer(list, _represent_list)
_Representer.add_representer(str, _represent_str)


def dump_yaml(tree: dict[str, Any]) -> str:
    """Write plain YAML, keys in the order given; :func:`load_yaml` reads it back as it was."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 100
    text = io.StringIO()
    yaml.dump(tree, text)
    return text.getvalue()
