"""A catalogue as tables, one for each kind of decision; and how tables of figures name its entries."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, get_type_hints

from ...engine.choices import IN_WORDS
from ...engine.registry import Registry
from ...engine.vocabulary import Environment, Policy
from ..console import print_json, print_table

Made = TypeVar("Made", Policy, Environment)

PARAM_MAX = 28  # characters of a param in a table of figures; JSON has all
HEADINGS = (*IN_WORDS.items(), (None, "what their params say"))  # of tables, by the kind of decision
INNER = ("ucb1", "gradient_descent")  # policies that a wrapper may take
SAMPLES: tuple[tuple[Any, Any], ...] = (  # of params without a default, by type
    (int, 1),
    (list[float], [0.5]),
    (list[list[float]], [[0.5]]),
    (list[list[float | None]], [[0.5]]),
)


def print_catalog(
    catalog: Registry[Made], about: Callable[[str, Made | None], dict[str, Any]], column: str, as_json: bool
) -> None:
    """Print every entry with its params and its first line, and what `about` tells of its name and of a made one.

    That is `decides`, a kind or a list of kinds, and further fields, of which the table of vectors has `column`; null
    where the params decide it. `default` says where it is one.
    """
    entries = [_entry(catalog, name, about) for name in catalog.names()]
    if as_json:
        print_json(entries)
    else:
        _print_tables(entries, column, catalog.package.rpartition(".")[2])


def _print_tables(entries: list[dict[str, Any]], column: str, what: str) -> None:
    for kind, words in HEADINGS:
        some = [entry for entry in entries if kind in _listed(entry["decides"])]
        fields = ["name", "params", *([column] if kind == "vector" else [])]
        rows = [[*(_text(field, entry[field]) for field in fields), _said(entry)] for entry in some]
        heads = [field.replace("_", " ") for field in fields]
        if rows:
            print_table(f"{words}: {len(rows)} {what}", [*heads, "what it does"], rows)


def named(catalog: Registry[Any], spec: dict[str, Any]) -> str:
    """Return a name, and below it the params that are not what they are if left out."""
    params = [f"  {text}" for text in catalog.differing(spec)]
    return "\n".join([spec["name"], *(f"{text[:PARAM_MAX]}{'...' * (len(text) > PARAM_MAX)}" for text in params)])


def _entry(catalog: Registry[Made], name: str, about: Callable[[str, Made | None], dict[str, Any]]) -> dict[str, Any]:
    factory = catalog.factory(name)
    params = []
    for key, parameter in inspect.signature(factory).parameters.items():
        params.append(key if parameter.default is parameter.empty else f"{key}={parameter.default!r}")
    line = (inspect.getdoc(factory) or "").split("\n")[0]
    return {"name": name, "params": params, "line": line, **about(name, _sample(catalog, name))}


def _sample(catalog: Registry[Made], name: str) -> Made | None:
    """Return one of that name, with params that are left out where they can be; None where this cannot be guessed."""
    factory = catalog.factory(name)
    for inner in INNER:
        try:
            hints, needed = get_type_hints(factory), inspect.signature(factory).parameters
            kinds = [(key, hints.get(key)) for key, found in needed.items() if found.default is found.empty]
            samples = [*SAMPLES, (Policy, inner)]
            values = {
                key: float(i + 1) if kind is float else next((value for of, value in samples if of == kind), None)
                for i, (key, kind) in enumerate(kinds)
            }
            return catalog.make(name, **values)
        except Exception:  # a function from outside may raise anything, and is listed all the same
            continue
    return None


def _said(entry: dict[str, Any]) -> str:
    line: str = entry["line"]
    return line if entry.get("default") is None else f"{line} The default {entry['default']}."


def _text(field: str, value: Any) -> str:
    return ("\n" if field == "params" else ",\n").join(_listed(value))


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
