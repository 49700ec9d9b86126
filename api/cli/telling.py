"""What was found on a log, as tables for a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ...engine.storage.bad_lines import BadLines
from ..console import show
from ..experiment.worlds import in_words
from ..offline.data import looking
from ..offline.evaluation import Evaluation
from ..offline.tables import bad_lines_told, estimates_table, notes_of, tables_of
from ..rate import rate
from ..table import Table

FEW = 10_000  # rows, of which the start of a command takes most of the time


def tell_estimates(data: dict[str, Any], title: str, speed: float) -> None:
    """Print estimates, of which `data` is the JSON, as a table, and notes on standard error."""
    _show([estimates_table(data["estimates"], data["level"], title)], data["events"], speed)
    _note(notes_of(data))


def tell(found: Evaluation, data: dict[str, Any], title: str, speed: float) -> None:
    """Print what was found, of which `data` is the JSON, as tables, and what to know of it on standard error."""
    _show(tables_of(data, title), data["events"], speed)
    for label, changes in looking(found).items():
        for line in map(in_words, changes):
            click.echo(f"{label}: {line}")
    _note(notes_of(data))


def tell_bad_lines(bad: BadLines) -> None:
    """Name the lines of a log that could not be read, on standard error."""
    _note(bad_lines_told(bad.to_dict()))


def _show(tables: Sequence[Table], events: int, speed: float) -> None:
    first, *others = tables
    told = f"; {rate(speed)} rows/s, reading included" if events >= FEW else ""
    show(first._replace(note=f"{first.note}{told}"))
    for table in others:
        show(table)


def _note(texts: Sequence[str]) -> None:
    for text in texts:
        click.echo(text, err=True)
