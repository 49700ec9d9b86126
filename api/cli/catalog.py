"""A catalogue as a table."""

from __future__ import annotations

import inspect
from typing import Any

from onearm.api.cli.show import print_json, print_table
from onearm.engine.registry import Registry


def print_catalog(catalog: Registry[Any], as_json: bool) -> None:
    """Print every entry of a catalogue with its params and its first line."""
    entries = [_entry(catalog, name) for name in catalog.names()]
    if as_json:
        print_json(entries)
        return
    rows = [[entry["name"], ", ".join(entry["params"]), entry["line"]] for entry in entries]
    print_table(f"{len(rows)} entries", ["name", "params", "what it does"], rows)


def _entry(catalog: Registry[Any], name: str) -> dict[str, Any]:
    factory = catalog.factory(name)
    params = []
    for key, parameter in inspect.signature(factory).parameters.items():
        params.append(key if parameter.default is parameter.empty else f"{key}={parameter.default!r}")
    line = (inspect.getdoc(factory) or "").split("\n")[0]
    return {"name": name, "params": params, "line": line}
