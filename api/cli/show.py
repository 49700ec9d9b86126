"""How commands show things: JSON for a pipe or --json, tables and a progress bar for a person."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

console = Console()

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")


def print_json(data: Any) -> None:
    """Print data as JSON; numbers that are not finite become null."""
    click.echo(json.dumps(_finite(data)))


def print_table(title: str, columns: list[str], rows: list[list[Any]], note: str | None = None) -> None:
    """Print a table: text to the left, numbers to the right."""
    table = Table(title=title, title_justify="left", caption=note, caption_justify="left", box=SIMPLE_HEAD)
    for i, column in enumerate(columns):
        number = any(isinstance(row[i], (int, float)) for row in rows)
        table.add_column(column, justify="right" if number else "left", no_wrap=number or i == 0)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console.print(table)


@contextmanager
def progress(what: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
    """Show a bar with a rate and the time left on a terminal (none when piped); yields what takes steps done."""
    if not sys.stderr.isatty():
        yield lambda steps: None
        return
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


def rate(value: float) -> str:
    """Return a rate with three digits.

    >>> rate(12_345_678.0)
    '12.3M'
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.5g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return data
