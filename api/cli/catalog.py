"""A catalogue as tables, one for each kind of decision; and how tables of figures name its entries."""

from __future__ import annotations

from typing import Any

from ...engine.choices import IN_WORDS
from ...engine.registry import Registry
from ..console import print_json, print_table

PARAM_MAX = 28  # characters of a param in a table of figures; JSON has all
HEADINGS = (*IN_WORDS.items(), (None, "what their params say"))  # of tables, by the kind of decision


def print_catalog(entries: list[dict[str, Any]], what: str, column: str, as_json: bool) -> None:
    """Print entries as `api/catalogue.py` lists them, `what` in plural.

    Each has `decides`, a kind or a list of kinds, null where its params decide it. The table of vectors has the field
    `column` too; `default` says where an entry is one.
    """
    if as_json:
        print_json(entries)
    else:
        _print_tables(entries, column, what)


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


def _said(entry: dict[str, Any]) -> str:
    line: str = entry["line"]
    return line if entry.get("default") is None else f"{line} The default {entry['default']}."


def _text(field: str, value: Any) -> str:
    if field == "params":
        return "\n".join(one["name"] if one["required"] else f"{one['name']}={one['default']!r}" for one in value)
    return ",\n".join(_listed(value))


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
