"""The bar that shows on a terminal how many arms came."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .. import console as show

SHOWN_EVERY = 0.1  # seconds


@contextmanager
def shown(wanted: bool, arms: int | None) -> Iterator[Callable[[], None]]:
    """Show how many arms came, on a terminal; yields what to call for each."""
    if not wanted:
        yield lambda: None
        return
    with show.progress("reading", arms, "arms") as advance:
        count, shown = 0, time.monotonic()

        def came() -> None:
            nonlocal count, shown
            count += 1
            if (now := time.monotonic()) - shown >= SHOWN_EVERY:
                advance(count)
                count, shown = 0, now

        yield came
        advance(count)
