"""Validation of what people write: a line for each error, with its path and the nearest name."""

import difflib
import types
import typing
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Tag, ValidationError
from pydantic_core import PydanticCustomError

from sweeps.errors import SweepsError

M = TypeVar("M", bound=BaseModel)


class Section(BaseModel):
    """Base of all sections: immutable, and unknown keys are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, serialize_by_alias=True
    )


def validate(model: type[M], tree: Any, source: str) -> M:
    """Check a tree against a model.

    Raises:
        SweepsError: it does not fit; the message has a line for every error.
    """
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        raise SweepsError(describe(error, source, model)) from None


_ERROR_AT = "error_at"


def error_at(name: str, message: str) -> PydanticCustomError:
    """Make a validator's error at a name below the field that is validated."""
    return PydanticCustomError(_ERROR_AT, "{message}", {"name": name, "message": message})


def describe(error: ValidationError, source: str, model: type[BaseModel]) -> str:
    """Describe the errors of a validation, a line each: where, what, and the remedy.

    Example:
        ``spec.yaml: training.epoch: no such key; did you mean epochs?``
    """
    lines = []
    for found in error.errors(include_url=False):
        path, _ = _locate(model, found["loc"])
        kind, context = found["type"], found.get("ctx", {})
        if kind == _ERROR_AT:
            path.append(context["name"])
        elif kind == "union_tag_invalid":
            path.append("name")
        where = ": ".join(filter(None, (source, ".".join(path))))
        if kind == "extra_forbidden":
            _, known = _locate(model, found["loc"][:-1])
            lines.append(f"{where}: {unknown_name(path[-1], known)}")
        elif kind == "union_tag_invalid":
            known = [tag.strip("'") for tag in context["expected_tags"].split(", ")]
            lines.append(f"{where}: {unknown_name(context['tag'], known).replace('key', 'name')}")
        elif kind == "missing":
            lines.append(f"{where}: is missing")
        elif kind in ("model_type", "dict_type"):
            lines.append(f"{where}: expected keys and values, as in {{key: value}}")
        else:
            message = found["msg"].removeprefix("Value error, ")
            message = message[:1].lower() + message[1:]
            given = found["input"]
            shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) else ""
            lines.append(f"{where}: {message}{shown}")
    return "\n".join(dict.fromkeys(lines))


def unknown_name(name: str, known: Sequence[str]) -> str:
    """Describe a name that is not one of the known, with the nearest of them."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if not near and "." not in name:
        # `edge` for `layer.edge`
        near = [dotted for dotted in known if dotted.rsplit(".", 1)[-1] == name][:1]
    if near:
        return f"no such key; did you mean {near[0]}?"
    return f"no such key; there are: {', '.join(known)}"


def _locate(model: type[BaseModel], loc: Sequence[int | str]) -> tuple[list[str], list[str]]:
    """Return the path of an error as a person writes it, and the keys that are known there.

    pydantic's location also names which of a union's types was meant; a person writes no such key.
    """
    path: list[str] = []
    current: Any = model
    for part in loc:
        alternatives = list(_alternatives(current))
        tagged = [inner for tag, inner in alternatives if tag == part]
        if tagged:
            current = tagged[0]
            continue
        path.append(str(part))
        fields = {k: v for _, inner in alternatives for k, v in _fields(inner).items()}
        elements = [a for _, inner in alternatives for a in typing.get_args(inner)]
        current = fields[part] if part in fields else next(reversed(elements), None)
    return path, [name for _, inner in _alternatives(current) for name in _fields(inner)]


def _alternatives(annotation: Any, tag: str | None = None) -> Iterator[tuple[str | None, Any]]:
    """Yield the types that an annotation allows, each with its tag in a union, if it has one."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        tags = [m.tag for m in annotation.__metadata__ if isinstance(m, Tag)]
        yield from _alternatives(arguments[0], next(iter(tags), tag))
    elif origin in (typing.Union, types.UnionType):
        for argument in arguments:
            yield from _alternatives(argument, tag)
    else:
        yield tag, annotation


def _fields(annotation: Any) -> dict[str, Any]:
    """Return a model's fields as a person writes them, with their types."""
    fields = getattr(annotation, "model_fields", {})
    return {field.alias or name: field.annotation for name, field in fields.items()}
