"""What a person sees in a terminal: tables and progress bars."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from .rate import rate

console = Console()
WIDTH_MAX = 10_000  # of a table that is measured


def print_table(
    title: str, columns: list[str], rows: list[list[Any]], note: str | None = None, spare: Sequence[str] = ()
) -> None:
    """Print a table: text to the left, numbers to the right.

    The columns named in `spare` are left out, from the first on, until the table is as narrow as the terminal.
    """
    shown = list(columns)
    for name in (None, *spare):
        shown = [column for column in shown if column != name]
        table = _table(title, shown, [[row[columns.index(column)] for column in shown] for row in rows], note)
        if console.measure(table, options=console.options.update(max_width=WIDTH_MAX)).maximum <= console.width:
            break
    console.print(table)


def _table(title: str, columns: list[str], rows: list[list[Any]], note: str | None) -> Table:
    caption = None if note is None else escape(note)
    table = Table(title=escape(title), title_justify="left", caption=caption, caption_justify="left", box=SIMPLE_HEAD)
    for i, column in enumerate(columns):
        number = any(isinstance(row[i], (int, float)) for row in rows)
        table.add_column(column, justify="right" if number else "left", no_wrap=number or i == 0)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    return table


@contextmanager
def progress(what: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
    """Show a bar with a rate and the time left, on standard error; yields what takes steps done."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total, rate="")

        def advance(steps: int) -> None:
            bar.advance(task, steps)
            speed = bar.tasks[0].speed
            bar.update(task, rate=f"{rate(speed)}/s" if speed else "")

        yield advance


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.5g}"
    return f"{value:,}" if isinstance(value, int) else escape(str(value))
