"""Code that a spec names as ``module:name``: a network, a training loop, a sampler of your own."""

import hashlib
import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from sweeps.errors import SweepsError
from sweeps.spec.validation import Section, unknown_name


def _check_form(reference: str) -> str:
    module, _, name = reference.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), *name.split("."))):
        raise ValueError("write module:name, as in mynets:build")
    return reference


#: A field of a spec that names code. Validation checks its form and imports nothing.
Reference = Annotated[str, AfterValidator(_check_form)]


class ImportedCode(Section):
    """Code of your own, in place of a name that is known.

    Attributes:
        import: ``module:name``, a class or a function.
        options: its keyword arguments.
    """

    import_: Reference = Field(alias="import")
    options: dict[str, Any] = Field(default_factory=dict)


def kind_of(tree: Any, default: str = "") -> str:
    """Tell what a section or its tree means: the name in it, or ``import`` for your own code."""
    if isinstance(tree, Section):
        return str(getattr(tree, "name", "import"))
    if not isinstance(tree, dict):
        return default
    return "import" if "import" in tree else str(tree.get("name", default))


@dataclass(frozen=True)
class Imported:
    """An imported object.

    Attributes:
        reference: ``module:name``.
        value: the object.
        file: where it is defined.
        digest: ``sha256:`` and 16 hex digits of that file, which tell it from a changed one.
    """

    reference: str
    value: Any
    file: Path
    digest: str

    def __str__(self) -> str:
        return f"{self.reference} from {self.file}"


def import_object(reference: str, where: str) -> Imported:
    """Import ``module:name``, from the working directory before the rest of the Python path.

    Args:
        reference: what to import.
        where: the key that names it, ``model.import``, for messages.

    Raises:
        SweepsError: there is no such module or name, or importing the module fails.
    """
    module_name, _, name = reference.partition(":")
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{module_name}.".startswith(f"{missing}."):
            raise SweepsError(
                f"{where}: {reference}: there is no module {missing} in {folder} or on the "
                "Python path (PYTHONPATH)"
            ) from None
        raise SweepsError(
            f"{where}: {reference}: importing {module_name} failed: {with_place(error)}"
        ) from error
    module_file = getattr(module, "__file__", None)
    try:
        value = reduce(getattr, name.split("."), module)
    except AttributeError:
        public = [known for known in dir(module) if not known.startswith("_")]
        words = unknown_name(name, public, "name")
        raise SweepsError(f"{where}: {reference}: {module_file or module_name}: {words}") from None
    file = Path(_source_file(value) or module_file or module_name)
    content = file.read_bytes() if file.is_file() else module_name.encode()
    return Imported(reference, value, file, f"sha256:{hashlib.sha256(content).hexdigest()[:16]}")


def import_objective(reference: str) -> Callable[[Any], Any]:
    """Import a training loop.

    Raises:
        SweepsError: it cannot be imported, or is no function of one argument, the trial's context.
    """
    found = import_object(reference, "objective")
    try:
        inspect.signature(found.value).bind(None)
    except (TypeError, ValueError):
        raise SweepsError(
            f"objective: {found} is no function of one argument, a sweeps.TrialContext"
        ) from None
    function: Callable[[Any], Any] = found.value
    return function


def references(tree: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The code that a spec's tree names: the key of each, ``sampler.import``, and its reference."""
    if not isinstance(tree, dict):
        return
    for key, value in tree.items():
        if (key == "import" or (key, path) == ("objective", "")) and isinstance(value, str):
            yield f"{path}{key}", value
        else:
            yield from references(value, f"{path}{key}.")


def import_all(tree: Any) -> dict[str, Imported]:
    """Import the code that a spec's tree names; the key of each, and what it is.

    Raises:
        SweepsError: something cannot be imported.
    """
    return {where: import_object(reference, where) for where, reference in references(tree)}


def make_imported(
    reference: str, options: dict[str, Any], where: str, kind: type, *arguments: Any, **extra: Any
) -> Any:
    """Import a class or function and call it with options.

    Args:
        reference: ``module:name``.
        options: its keyword arguments.
        where: the section that names it, for messages.
        kind: what the call has to return.
        arguments: come before the options.
        extra: further arguments, for those that take them.

    Raises:
        SweepsError: it cannot be imported, does not take the options, or returns another kind.
    """
    found = import_object(reference, f"{where}.import")
    try:
        parameters = inspect.signature(found.value).parameters
    except (TypeError, ValueError):
        raise SweepsError(f"{where}.import: {found} is neither a class nor a function") from None
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    free = list(parameters)[len(arguments) :]
    unknown = [] if anything else [name for name in options if name not in free]
    if unknown:
        words = unknown_name(unknown[0], free) if free else f"{reference} takes no options"
        raise SweepsError(f"{where}.options.{unknown[0]}: {words}")
    added = {name: value for name, value in extra.items() if name in parameters}
    try:
        made = found.value(*arguments, **(added | options))
    except Exception as error:
        raise SweepsError(f"{where}.import: {reference}: {with_place(error)}") from error
    if not isinstance(made, kind):
        raise SweepsError(
            f"{where}.import: {reference} gave {type(made).__name__}, not {kind.__name__}"
        )
    return made


def _source_file(value: Any) -> str | None:
    try:
        return inspect.getsourcefile(value)
    except TypeError:
        # Neither a function nor a class: the module that names it counts.
        return None


def with_place(error: Exception) -> str:
    """The error with the place in the file that raised it."""
    if isinstance(error, SyntaxError):
        place = f"{error.filename}, line {error.lineno}"
        return f"{type(error).__name__}: {error.msg} ({place})"
    last = traceback.extract_tb(error.__traceback__)[-1]
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message} ({last.filename}, line {last.lineno})"
