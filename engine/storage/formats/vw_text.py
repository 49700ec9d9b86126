"""Lines of Vowpal Wabbit's text format: what stands before the first bar, and the namespaces behind it.

    shared 'e7|user age:31 |query red shoes
    0:-1.0:0.85 |item id=a

>>> line = parse("2:-1.0:0.85 'e7|user age:31 new |item:0.5 x")
>>> line.words, line.tag, line.features
(['2:-1.0:0.85'], 'e7', {'user': {'age': 31.0, 'new': 1.0}, 'item': {'x': 0.5}})
>>> written(line.features)
'|user age:31 new |item x:0.5'

Source: the wiki of vowpal_wabbit, "Input format", and parse_example.cc of version 9.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ...errors import InvalidInput
from ..numerals import number_in

_RESERVED = re.compile(r"[\s:|]")

Spaces = dict[str, dict[str, float]]  # namespaces, "" for the one without a name, of features


class Line(NamedTuple):
    """A line that was parsed."""

    words: list[str]  # the label, without the tag
    tag: str
    features: Spaces


def parse(text: str, read: Callable[[str], float] = number_in) -> Line:
    """Return what a line says, whose numbers `read` reads. Raises `InvalidInput` where features are none."""
    head, *spaces = text.split("|")
    words, tag = head.split(), ""
    if words and (words[-1].startswith("'") or (spaces and not head[-1].isspace())):
        tag = words.pop().removeprefix("'")
    features: Spaces = {}
    for space in spaces:
        name, weight = "", 1.0
        tokens = space.split()
        if tokens and not space[0].isspace():
            name, _, times = tokens.pop(0).partition(":")
            weight = _finite(read(times), times, name) if times else 1.0
        here = features.setdefault(name, {})
        for token in tokens:
            feature, colon, value = token.partition(":")
            here[feature] = here.get(feature, 0.0) + weight * (_finite(read(value), value, feature) if colon else 1.0)
    return Line(words, tag, features)


def written(features: Mapping[str, Mapping[str, float]]) -> str:
    """Return namespaces as text; what has a meaning in it, like spaces and colons, becomes an underscore in names."""
    parts = []
    for space, named in features.items():
        body = [word(name) if value == 1.0 else f"{word(name)}:{value:.17g}" for name, value in named.items()]
        parts.append(" ".join([f"|{word(space)}", *body]))
    return " ".join(parts) or "|"


def word(text: str) -> str:
    """Return a name without what separates names."""
    return _RESERVED.sub("_", text)


def spaces_of(entries: Iterable[tuple[str, str, float]]) -> Spaces:
    """Return entries of namespace, name and value, as `features.entries_of` gives them, by their namespaces."""
    found: Spaces = {}
    for space, name, value in entries:
        here = found.setdefault(space, {})
        here[name] = here.get(name, 0.0) + value
    return found


def as_json(features: Spaces) -> dict[str, Any]:
    """Return namespaces as a JSON object of the same features; names that begin with an underscore are none there."""
    return {
        space: {name: value for name, value in named.items() if name[:1] != "_"}
        for space, named in features.items()
        if space[:1] != "_"
    }


def _finite(value: float, text: str, name: str) -> float:
    if not math.isfinite(value):
        raise InvalidInput("bad_features", f"the feature {name!r} has the value {text!r}: it must be a number")
    return value
