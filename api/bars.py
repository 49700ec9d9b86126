"""Progress bars in a notebook: an element of the page, which goes when the work is done."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape

from .rate import rate

EVERY_S = 0.2  # between two changes of the page


def is_notebook() -> bool:
    """Whether this runs in a notebook, where a terminal's bars would not be seen."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


@contextmanager
def progress(what: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
    """Show a bar with a rate; yields what takes steps done."""
    display = importlib.import_module("IPython.display")
    handle = display.display(display.HTML(_bar(what, 0, total, unit, 0.0)), display_id=True)
    began = shown = time.monotonic()
    done = 0

    def advance(steps: int) -> None:
        nonlocal done, shown
        done += steps
        if (now := time.monotonic()) - shown >= EVERY_S:
            shown = now
            handle.update(display.HTML(_bar(what, done, total, unit, done / max(now - began, 1e-9))))

    try:
        yield advance
    finally:
        handle.update(display.HTML(""))


def _bar(what: str, done: int, total: int | None, unit: str, speed: float) -> str:
    """Return a bar as HTML.

    >>> _bar("reading", 5, 10, "rows", 0.0)
    'reading <progress value="5" max="10"></progress> 5 / 10 rows'
    """
    size = "" if total is None else f' value="{done}" max="{total}"'
    of = f"{done:,}" if total is None else f"{done:,} / {total:,}"
    told = f", {rate(speed)}/s" if speed else ""
    return f"{escape(what)} <progress{size}></progress> {of} {escape(unit)}{told}"
