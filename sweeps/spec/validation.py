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
#: The last part of pydantic's location where the key of a mapping is wrong, not its value.
_KEY = "[key]"


def error_at(name: str, message: str) -> PydanticCustomError:
    """Make a validator's error at a name below the field that is validated."""
    return PydanticCustomError(_ERROR_AT, "{message}", {"name": name, "message": message})


_NEEDS_KEYS = "expected keys and values, as in {example}"
_NEEDS_WHOLE, _NEEDS_NUMBER = "has to be a whole number", "has to be a number"
_NEEDS_BOOL = "has to be true or false"
_NEEDS_LIST = "has to be a list, as in [1, 2]"

#: pydantic's errors by their types, in plain words.
_WORDS = {
    "bool_parsing": _NEEDS_BOOL,
    "bool_type": _NEEDS_BOOL,
    "dict_type": _NEEDS_KEYS,
    "finite_number": "has to be a finite number",
    "float_parsing": _NEEDS_NUMBER,
    "float_type": _NEEDS_NUMBER,
    "greater_than": "has to be above {gt}",
    "greater_than_equal": "has to be at least {ge}",
    "int_from_float": _NEEDS_WHOLE,
    "int_parsing": _NEEDS_WHOLE,
    "int_type": _NEEDS_WHOLE,
    "less_than": "has to be below {lt}",
    "less_than_equal": "has to be at most {le}",
    "list_type": _NEEDS_LIST,
    "literal_error": "has to be {expected}",
    "missing": "is missing",
    "model_type": _NEEDS_KEYS,
    "string_too_short": "is empty",
    "string_type": "has to be text; put it in quotes",
    "too_long": "takes {max_length} values, not {actual_length}",
    "too_short": "is empty",
    "tuple_type": _NEEDS_LIST,
}


def describe(error: ValidationError, source: str, model: type[BaseModel]) -> str:
    """Describe the errors of a validation, a line each: where, what, and the remedy.

    Example:
        ``spec.yaml: training.epoch: no such key; did you mean epochs?``
    """
    lines = []
    for found in error.errors(include_url=False):
        loc, kind, given = found["loc"], found["type"], found["input"]
        context = {name: _whole(value) for name, value in found.get("ctx", {}).items()}
        path, keys = _locate(model, loc)
        if kind == "extra_forbidden":
            _, known = _locate(model, loc[:-1])
            words = unknown_name(path[-1], known)
            if len(path) == 1 and (place := _place_of(path[0], model)):
                words = f"no such key; write {place}"
        elif kind == "union_tag_invalid":
            path.append("name")
            known = [tag.strip("'") for tag in context["expected_tags"].split(", ")]
            words = unknown_name(context["tag"], known, "name")
        elif kind == "missing" and isinstance(loc[-1], int):
            path.pop()
            words = "has too few values"
        elif kind == _ERROR_AT:
            path.append(context["name"])
            words = context["message"]
        else:
            message = found["msg"].removeprefix("Value error, ")
            key = next(iter(keys), "key")
            value = given if key == "name" and isinstance(given, str) else "..."
            context["example"] = f"{{{key}: {value}}}"
            words = _WORDS.get(kind, "{message}").format(
                message=message[:1].lower() + message[1:], **context
            )
            # A wrong key is in the path already.
            if loc[-1:] != (_KEY,) and isinstance(given, str | int | float | bool):
                words += f" (given: {given!r})"
        lines.append(": ".join(filter(None, (source, ".".join(path), words))))
    return "\n".join(dict.fromkeys(lines))


def _whole(number: Any) -> Any:
    return int(number) if isinstance(number, float) and number.is_integer() else number


def unknown_name(name: str, known: Sequence[str], what: str = "key") -> str:
    """Describe a name that is not one of the known, with the nearest of them.

    Example:
        ``no such key; did you mean epochs?``
    """
    section, dot, _ = name.rpartition(".")
    prefix = section + dot
    # Compared within its section: else `training.lr` looks like `training.flip`.
    if inside := [each for each in known if each.startswith(prefix)]:
        known = inside
    else:
        prefix = ""
    tails = {each.removeprefix(prefix): each for each in known}
    matches = difflib.get_close_matches(name.removeprefix(prefix), tails, n=1, cutoff=0.5)
    near = [tails[match] for match in matches]
    if not near and not dot:
        # `edge` for `layer.edge`
        near = [dotted for dotted in known if dotted.rsplit(".", 1)[-1] == name][:1]
    if near:
        return f"no such {what}; did you mean {near[0]}?"
    return f"no such {what}; there are: {', '.join(known)}"


def _place_of(name: str, model: type[BaseModel]) -> str | None:
    """Write a setting that stands at the top, `epochs` or `training.epochs`, in its section."""
    section, _, key = name.rpartition(".")
    for field, annotation in keys_of(model).items():
        if section in ("", field) and any(key in keys_of(t) for _, t in alternatives(annotation)):
            return f"{field}: {{{key}: ...}}"
    return None


def _locate(model: type[BaseModel], loc: Sequence[int | str]) -> tuple[list[str], list[str]]:
    """Return the path of an error as a person writes it, and the keys that are known there.

    pydantic's location also names which of a union's types was meant; a person writes no such key.
    """
    path: list[str] = []
    current: Any = model
    for part in loc:
        kinds = list(alternatives(current))
        tagged = [inner for tag, inner in kinds if tag == part]
        if tagged:
            current = tagged[0]
            continue
        if part == _KEY:
            break
        path.append(str(part))
        fields = {k: v for _, inner in kinds for k, v in keys_of(inner).items()}
        elements = [a for _, inner in kinds for a in typing.get_args(inner)]
        current = fields[part] if part in fields else next(reversed(elements), None)
    return path, [name for _, inner in alternatives(current) for name in keys_of(inner)]


def alternatives(annotation: Any, tag: str | None = None) -> Iterator[tuple[str | None, Any]]:
    """Yield the types that an annotation allows, each with its tag in a union, if it has one."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        tags = [m.tag for m in annotation.__metadata__ if isinstance(m, Tag)]
        yield from alternatives(arguments[0], next(iter(tags), tag))
    elif origin in (typing.Union, types.UnionType):
        for argument in arguments:
            yield from alternatives(argument, tag)
    else:
        yield tag, annotation


def keys_of(annotation: Any) -> dict[str, Any]:
    """Return a model's fields as a person writes them, with their types."""
    fields = getattr(annotation, "model_fields", {})
    return {field.alias or name: field.annotation for name, field in fields.items()}
