"""The values that a field of a body may have: an error of msgspec names the wrong one alone."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Any

from msgspec import inspect

_WRONG = re.compile(r"Invalid (?:enum )?value .*?(?: - at `\$([^`]*)`)?", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[[^\]]*\]")  # to a field, or to an item
_type_of = functools.cache(inspect.type_info)


def with_values(error: str, body: Any) -> str:
    """Return what msgspec says of a body of some type, and where a value is none of those that there are, these.

    >>> from typing import Literal
    >>> with_values("Invalid enum value '/' - at `$[0]`", list[Literal["+", "-"]])
    "Invalid enum value '/' - at `$[0]`: it must be one of '+', '-'"
    """
    wrong = _WRONG.fullmatch(error)
    if wrong is None or not (values := _values(body, wrong[1] or "")):
        return error
    return f"{error}: it must be {'one of ' if len(values) > 1 else ''}{', '.join(map(repr, values))}"


def _values(body: Any, path: str) -> list[Any]:
    """Return the values at a place of a body, each once."""
    found = _flat([_type_of(body)])
    for step in _STEP.finditer(path):
        found = _flat(inner for kind in found for inner in _inside(kind, step[1]))
    values: list[Any] = []
    for kind in found:
        if isinstance(kind, inspect.LiteralType):
            values += kind.values
        elif isinstance(kind, inspect.EnumType):
            values += [each.value for each in kind.cls]
    return list(dict.fromkeys(values))


def _inside(kind: inspect.Type, field: str | None) -> list[inspect.Type]:
    """Return what a field of a type may be, or an item of it where none is named."""
    match kind:
        case inspect.StructType() if field is not None:
            tag = [inspect.LiteralType((kind.tag,))] if field == kind.tag_field and kind.tag is not None else []
            return [*tag, *(each.type for each in kind.fields if each.encode_name == field)]
        case inspect.ListType() | inspect.VarTupleType() | inspect.SetType() if field is None:
            return [kind.item_type]
        case inspect.DictType() if field is None:
            return [kind.value_type]
        case inspect.TupleType() if field is None:
            return list(kind.item_types)
    return []


def _flat(kinds: Iterable[inspect.Type]) -> list[inspect.Type]:
    """Return types without unions and what is said of a type beside it."""
    found: list[inspect.Type] = []
    for kind in kinds:
        match kind:
            case inspect.UnionType():
                found += _flat(kind.types)
            case inspect.Metadata():
                found += _flat([kind.type])
            case _:
                found.append(kind)
    return found
