"""Progress of training on a terminal: a bar for each run, with its worst case now, its rate and when it will end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..rate import rate


@contextmanager
def bars(totals: dict[str, int]) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Show bars for runs and their iterations; yields what takes news of runs and of scoring."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[end]}"),
        TextColumn("{task.fields[worst]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks: dict[str, Any] = {}

        def report(news: dict[str, Any]) -> None:
            run = news["run"]
            done, total = (news["iteration"], totals[run]) if "iteration" in news else (news["done"], news["of"])
            if run not in tasks:
                tasks[run] = progress.add_task(run, total=total, completed=done, rate="", end="", worst="")
            progress.update(tasks[run], completed=done, worst=_worst(news))
            shown = next(task for task in progress.tasks if task.id == tasks[run])
            speed, left = shown.speed, shown.time_remaining
            end = (
                ""
                if left is None or shown.finished
                else f"ends {time.strftime('%H:%M', time.localtime(time.time() + left))}"
            )
            progress.update(tasks[run], rate=f"{rate(speed)}/s" if speed else "", end=end)

        yield report


def _worst(news: dict[str, Any]) -> str:
    return "worst " + " ".join(f"{loss:.3f}" for loss in news["worst"]) if "worst" in news else ""
