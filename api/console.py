"""How commands show things: JSON for a pipe or --json, tables and a progress bar for a person.

What a person sees is drawn by `terminal.py`, which is imported when something is drawn: rich alone takes 80 ms.
"""

from __future__ import annotations

import importlib
import json
import math
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import click

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")


def print_json(data: Any) -> None:
    """Print data as JSON; numbers that are not finite become null."""
    click.echo(json.dumps(_finite(data)))


def print_table(
    title: str, columns: list[str], rows: list[list[Any]], note: str | None = None, spare: Sequence[str] = ()
) -> None:
    """Print a table: text to the left, numbers to the right; a narrow terminal leaves out columns that are `spare`."""
    importlib.import_module("onearm.api.terminal").print_table(title, columns, rows, note, spare)


def progress(what: str, total: int | None, unit: str) -> AbstractContextManager[Callable[[int], None]]:
    """Show a bar with a rate and the time left on a terminal (none when piped); yields what takes steps done."""
    if not sys.stderr.isatty():
        return nullcontext(lambda steps: None)
    bar: AbstractContextManager[Callable[[int], None]] = importlib.import_module("onearm.api.terminal").progress(
        what, total, unit
    )
    return bar


def rate(value: float) -> str:
    """Return a rate with three digits.

    >>> rate(12_345_678.0)
    '12.3M'
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return data
