"""How commands show things: JSON for a pipe or --json, tables and a progress bar for a person.

What a person sees is drawn by `terminal.py`, which is imported when something is drawn: rich alone takes 80 ms.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ..engine.compiled.waiting import WAITING
from . import bars
from .table import Table


def print_json(data: Any) -> None:
    """Print data as JSON; numbers that are not finite become null."""
    print(json.dumps(finite(data)))


def print_table(
    title: str, columns: list[str], rows: list[list[Any]], note: str | None = None, spare: Sequence[str] = ()
) -> None:
    """Print a table: text to the left, numbers to the right; a narrow terminal leaves out columns that are `spare`."""
    from . import terminal

    terminal.print_table(title, columns, rows, note, spare)


def show(told: Table) -> None:
    """Print a table of texts."""
    from . import terminal

    terminal.show(told)


def progress(what: str, total: int | None, unit: str) -> AbstractContextManager[Callable[[int], None]]:
    """Show a bar with a rate on a terminal or in a notebook (none when piped); yields what takes steps done."""
    if bars.is_notebook():
        return bars.progress(what, total, unit)
    if not sys.stderr.isatty():
        return nullcontext(lambda steps: None)
    from . import terminal

    return terminal.progress(what, total, unit)


def tell_what_compiles() -> None:
    """From now on, say to a person at a terminal or in a notebook what is compiled and waited for."""
    if sys.stderr.isatty() or bars.is_notebook():
        WAITING.listener = say_what_compiles


def say_what_compiles(name: str) -> None:
    """Say what the program waits for now."""
    function, _, of = name.removesuffix(")").partition("(")
    if of:  # the others take a moment
        print(f"compiling {function} for {of}: up to ten seconds, once for this version of onearm", file=sys.stderr)


def finite(data: Any) -> Any:
    """Return data as JSON has it: numbers that are not finite become null."""
    if isinstance(data, dict):
        return {key: finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [finite(value) for value in data]
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return data
