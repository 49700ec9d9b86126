"""Progress bars of the scripts: on stderr where that is a terminal, with a rate and the time left."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text


class Rate(ProgressColumn):
    """Steps per second, in units of their own."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Any) -> Text:
        return Text(f"{task.speed or 0:,.0f} {self.unit}/s")


@contextlib.contextmanager
def progress_bar(unit: str) -> Iterator[Progress]:
    """Show bars for what is counted in this unit."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description:16}"),
        BarColumn(),
        TaskProgressColumn(),
        Rate(unit),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        yield progress
