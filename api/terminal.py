"""What a person sees in a terminal: tables and progress bars."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as RichTable

from .rate import rate
from .table import Column, Table

console = Console()
WIDTH_MAX = 10_000  # of a table that is measured


def print_table(
    title: str, columns: list[str], rows: list[list[Any]], note: str | None = None, spare: Sequence[str] = ()
) -> None:
    """Print a table of texts and numbers, as `show` does; `spare` are heads of columns that may be left out."""
    told = []
    for i, head in enumerate(columns):
        is_number = any(isinstance(row[i], (int, float)) for row in rows)
        told.append(Column(head, [_cell(row[i]) for row in rows], is_number))
    show(Table(title, told, note, tuple(spare)))


def show(told: Table) -> None:
    """Print a table: text to the left, numbers to the right. Nothing is cut, and what is left out is said.

    The columns that are spare are left out, from the first on, until the table is as narrow as the terminal. Where that
    is not enough texts are broken between words, and where they are narrow enough already, every row is a list.
    """
    for count in range(len(told.spare) + 1):
        table = _titled(told.title, _with_left_out(told.note, told.spare[:count]))
        shown = [(i, each) for i, each in enumerate(told.columns) if each.head not in told.spare[:count]]
        for i, each in shown:
            _add_column(table, each.head, each.cells, number=each.is_number, whole=each.is_number or i == 0)
        for row in zip(*(each.cells for _, each in shown), strict=True):
            table.add_row(*map(escape, row))
        width = console.measure(table, options=console.options.update(max_width=WIDTH_MAX))
        if width.maximum <= console.width:
            break
    if width.minimum > console.width:
        table = _as_lists(told)
    else:
        _widen(table, console.width - width.minimum)
    console.print(table)


def _widen(table: RichTable, room: int) -> None:
    """Let columns be wider than their longest word while there is `room`, those first that need least."""
    for column in sorted(table.columns, key=lambda column: (column.max_width or 0) - (column.min_width or 0)):
        least, most = column.min_width or 0, column.max_width or 0
        column.width = min(most, least + room)
        room -= column.width - least


def _titled(title: str, note: str | None) -> RichTable:
    """Return a table without columns."""
    caption = None if note is None else escape(note)
    return RichTable(
        title=escape(title), title_justify="left", caption=caption, caption_justify="left", box=SIMPLE_HEAD
    )


def _with_left_out(note: str | None, left_out: Sequence[str]) -> str | None:
    """Return a note that also says which columns are missing."""
    if not left_out:
        return note
    names = ", ".join(" ".join(name.split()) for name in left_out)
    return "\n".join([*([] if note is None else [note]), f"left out, as the terminal is narrow: {names}"])


def _add_column(table: RichTable, name: str, cells: list[str], *, number: bool, whole: bool) -> None:
    """Add a column, at least as wide as its longest word, or its longest line where that must stay `whole`."""
    lines = [line for text in (name, *cells) for line in text.splitlines()]
    words = lines if whole else [word for line in lines for word in line.split()]
    least, most = (max(map(cell_len, parts), default=1) for parts in (words, lines))
    table.add_column(name, justify="right" if number else "left", no_wrap=whole, min_width=least, max_width=most)


def _as_lists(told: Table) -> RichTable:
    """Return every row as lines of a name and a value, one row below the other."""
    table = _titled(told.title, told.note)
    table.show_header = False
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in zip(*(each.cells for each in told.columns), strict=True):
        for each, cell in zip(told.columns, row, strict=True):
            table.add_row(each.name, escape(cell))
        table.add_section()
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
    return f"{value:,}" if isinstance(value, int) else str(value)
