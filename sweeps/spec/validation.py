"""YAML text to a validated model; a mistake is told with its path and the nearest right name."""

import difflib
import re
import types
import typing
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, Tag, ValidationError
from pydantic_core import PydanticCustomError

from sweeps.errors import SweepsError

M = TypeVar("M", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses a key written twice and reads ``1e-3`` as a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | bool | None):
                raise yaml.MarkedYAMLError(
                    problem="a key must be a word", problem_mark=key_node.start_mark
                )
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key!r} stands twice", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def load_yaml(text: str, source: str) -> dict[str, Any]:
    """Parse YAML text whose top level is a mapping.

    Raises:
        SweepsError: it is not, or no YAML at all; the line is named.
    """
    try:
        tree = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SweepsError(f"{source}{mark}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # Beside its own errors PyYAML lets through those of Python's numbers and dates.
        raise SweepsError(f"{source}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(tree, dict):
        raise SweepsError(f"{source}: expected keys and values at the top, as in `name: my-sweep`")
    return tree


class _Dumper(yaml.SafeDumper):
    """Lists on one line, mappings a line a key; text is quoted where it reads as another kind."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


_Dumper.add_representer(
    list, lambda dumper, data: dumper.represent_sequence("tag:yaml.org,2002:seq", data, True)
)
# Between single quotes PyYAML loses some line breaks; between double ones it escapes them.
_Dumper.add_representer(
    str,
    lambda dumper, data: dumper.represent_scalar(
        "tag:yaml.org,2002:str", data, None if data.isprintable() else '"'
    ),
)


def dump_yaml(tree: dict[str, Any]) -> str:
    """Plain YAML, keys in the order given."""
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def validate(model: type[M], tree: Any, source: str) -> M:
    """Check a tree against a model.

    Raises:
        SweepsError: it does not fit; a line for every mistake.
    """
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        raise SweepsError(describe(error, source, model)) from None


_MISTAKE_AT = "mistake_at"


def mistake_at(name: str, message: str) -> PydanticCustomError:
    """For validators: a mistake at a name below the field that is validated."""
    return PydanticCustomError(_MISTAKE_AT, "{message}", {"name": name, "message": message})


def describe(error: ValidationError, source: str, model: type[BaseModel]) -> str:
    """The mistakes of a validation, a line each: where, what, and the remedy."""
    lines = []
    for mistake in error.errors(include_url=False):
        path, _ = _locate(model, mistake["loc"])
        kind, context = mistake["type"], mistake.get("ctx", {})
        if kind == _MISTAKE_AT:
            path.append(context["name"])
        elif kind == "union_tag_invalid":
            path.append("name")
        where = ": ".join(filter(None, (source, ".".join(path))))
        if kind == "extra_forbidden":
            _, known = _locate(model, mistake["loc"][:-1])
            lines.append(f"{where}: {unknown_name(path[-1], known)}")
        elif kind == "union_tag_invalid":
            known = [tag.strip("'") for tag in context["expected_tags"].split(", ")]
            lines.append(f"{where}: {unknown_name(context['tag'], known).replace('key', 'name')}")
        elif kind == "missing":
            lines.append(f"{where}: is missing")
        elif kind in ("model_type", "dict_type"):
            lines.append(f"{where}: expected keys and values, as in {{key: value}}")
        else:
            message = mistake["msg"].removeprefix("Value error, ")
            message = message[:1].lower() + message[1:]
            given = mistake["input"]
            shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) else ""
            lines.append(f"{where}: {message}{shown}")
    return "\n".join(dict.fromkeys(lines))


def unknown_name(name: str, known: Sequence[str]) -> str:
    """What to say of a name that is not one of the known."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if not near and "." not in name:
        # `edge` for `layer.edge`
        near = [dotted for dotted in known if dotted.rsplit(".", 1)[-1] == name][:1]
    if near:
        return f"no such key; did you mean {near[0]}?"
    return f"no such key; there are: {', '.join(known)}"


def _locate(model: type[BaseModel], loc: Sequence[int | str]) -> tuple[list[str], list[str]]:
    """The path of a mistake as a person writes it, and the keys that are known there.

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
    """The types that an annotation allows, each with its tag in a union, if it has one."""
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
    """A model's fields as a person writes them, with their types."""
    fields = getattr(annotation, "model_fields", {})
    return {field.alias or name: field.annotation for name, field in fields.items()}
