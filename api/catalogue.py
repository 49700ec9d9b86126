"""What policies and environments there are, as commands print them and the service answers: one list for all."""

from __future__ import annotations

import inspect
import math
import types
from collections.abc import Callable
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ..engine.problem import Span, noting_spans
from ..engine.registry import Registry
from ..engine.vocabulary import Environment, Policy
from ..policies import catalog as policies
from .kinds.table import KINDS

Made = TypeVar("Made", Policy, Environment)

INNER = ("ucb1", "gradient_descent")  # policies that a wrapper may take
SAMPLES: tuple[tuple[Any, Any], ...] = (  # of params without a default, by type
    (int, 1),
    (list[float], [0.5]),
    (list[float] | None, [0.5]),
    (list[list[float]], [[0.5]]),
    (list[list[float | None]], [[0.5]]),
)
WORDS = {float: "number", int: "integer", bool: "boolean", str: "text", type(None): "null", dict: "object"}


def entries_of(catalog: Registry[Made], about: Callable[[str, Made | None], dict[str, Any]]) -> list[dict[str, Any]]:
    """Return every entry, by name: `name`, `params`, its first `line`, and what `about` tells of it.

    `about` gets its name and one that was made, None where its params decide it. A param has a `name`, a `type` in
    words, whether it is `required`, its `default`, and where numbers must lie: `low`, `high`, null where there is no
    end, and whether the end itself is left out (`low_open`, `high_open`). The first call makes one of each: 1 s.
    """
    return [_entry(catalog, name, about) for name in catalog.names()]


def listed_policies() -> list[dict[str, Any]]:
    """Return the policies, with what they decide and learn from, and where they are the default."""
    return entries_of(policies, _about_policy)


def _about_policy(name: str, policy: Policy | None) -> dict[str, Any]:
    default = next((kind.defaults[name] for kind in KINDS if name in kind.defaults), None)
    if policy is None:
        return {"decides": None, "learns_from": None, "default": default}
    return {"decides": list(policy.actions), "learns_from": list(policy.feedbacks), "default": default}


def _entry(catalog: Registry[Made], name: str, about: Callable[[str, Made | None], dict[str, Any]]) -> dict[str, Any]:
    factory = catalog.factory(name)
    made, spans = _sample(catalog, name)
    params = [_param(catalog, name, given, spans) for given in inspect.signature(factory).parameters.values()]
    line = (inspect.getdoc(factory) or "").split("\n")[0]
    return {"name": name, "params": params, "line": line, **about(name, made)}


def _param(catalog: Registry[Any], name: str, given: inspect.Parameter, spans: dict[str, Span]) -> dict[str, Any]:
    required = given.default is given.empty
    span = spans.get(given.name)
    said = {
        "name": given.name,
        "type": _in_words(_hints(catalog, name).get(given.name)),
        "required": required,
        "default": None if required else given.default,
        "low": None,
        "high": None,
        "low_open": False,
        "high_open": False,
    }
    if span is not None:
        said |= {
            "low": _end(span.low),
            "high": _end(span.high),
            "low_open": span.low_open and math.isfinite(span.low),
            "high_open": span.high_open and math.isfinite(span.high),
        }
    return said


def _end(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _hints(catalog: Registry[Any], name: str) -> dict[str, Any]:
    try:
        return get_type_hints(catalog.factory(name))
    except Exception:  # a function from outside may have hints that cannot be read
        return {}


def _in_words(hint: Any) -> str | None:
    """Return a type as people and programs read it; None where there is none.

    >>> [_in_words(hint) for hint in (float, int | None, list[list[float]], Literal["a", "b"], Policy)]
    ['number', 'integer or null', 'list of lists of numbers', '"a" or "b"', 'policy']
    """
    if hint in (None, Any):
        return None
    if hint in WORDS:
        return WORDS[hint]
    of, inside = get_origin(hint), get_args(hint)
    if of is Literal:
        return " or ".join(f'"{value}"' for value in inside)
    if of in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(words for one in inside if (words := _in_words(one)) is not None)) or None
    if of is dict:
        return "object"
    if of is not None and inside:
        words = _in_words(inside[0])
        if words is None:
            return "list"
        return f"list of {'lists' + words[4:] if words.startswith('list') else words + 's'}"
    return "policy" if hint is Policy else "environment" if hint is Environment else None


def _sample(catalog: Registry[Made], name: str) -> tuple[Made | None, dict[str, Span]]:
    """Return one of that name, with params that are left out where they can be, and where its params must lie.

    None where such params cannot be guessed.
    """
    parameters = inspect.signature(catalog.factory(name)).parameters
    hints = _hints(catalog, name)
    for inner in INNER:
        kinds = [(key, hints.get(key)) for key, found in parameters.items() if found.default is found.empty]
        samples = [*SAMPLES, (Policy, inner)]
        values = {
            key: float(i + 1) if kind is float else next((value for of, value in samples if of == kind), None)
            for i, (key, kind) in enumerate(kinds)
        }
        made, spans = _made(catalog, name, values)
        if made is not None:
            for key, found in parameters.items():  # those that are checked where they are given
                if found.default is None and key not in spans:
                    given = _made(catalog, name, {**values, key: 1})[1]
                    spans |= {key: given[key]} if key in given else {}
            return made, spans
    return None, {}


def _made(catalog: Registry[Made], name: str, values: dict[str, Any]) -> tuple[Made | None, dict[str, Span]]:
    with noting_spans() as spans:
        try:
            return catalog.make(name, **values), spans
        except Exception:  # a function from outside may raise anything, and is listed all the same
            return None, spans
