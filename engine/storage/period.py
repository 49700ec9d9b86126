"""A part of a log's time, and the rows whose decisions were made in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..errors import InvalidInput, counted
from ..vocabulary import DECIDE, EXTERNAL, Array
from .events import Events
from .records import Event
from .rows import Page, Rows


class Period(NamedTuple):
    """From a moment on and before another one, both in microseconds since 1970 UTC; None where it has no such end."""

    since: int | None = None
    until: int | None = None

    def has(self, time: Array) -> Array:
        """Return whether times, int64[n], lie in it, bool[n]; 0 is no time, and lies in no period.

        >>> Period(5, 9).has(np.array([0, 4, 5, 8, 9])).tolist(), Period(until=9).has(np.array([0, 4])).tolist()
        ([False, False, True, True, False], [False, True])
        """
        inside = time != 0
        if self.since is not None:
            inside &= time >= self.since
        if self.until is not None:
            inside &= time < self.until
        return inside


ALWAYS = Period()


def keep_period(rows: Rows, period: Period, name: str) -> None:
    """Leave out the decisions of a log that were not made in a period; `name` is what people call the log.

    Rewards count whenever they came. Raises `InvalidInput` ("no_times") where no decision says when it was made.
    """
    timed = untimed = 0
    for page in rows.all_pages():
        known = int((_times(page) != 0).sum())
        timed, untimed = timed + known, untimed + len(page.line) - known
    if not timed:
        raise InvalidInput(
            "no_times",
            f"{name} does not say when its decisions were made: --since and --until are for databases of a service, "
            "exports from them, and tables with a column of times in ISO 8601, which --time names",
        )
    rows.keep(lambda page: period.has(_times(page)))
    rows.notes.append(f"decisions made in the period, which count: {rows.decisions:,} of {timed + untimed:,}")
    if untimed:
        rows.notes.append(f"left out: {counted(untimed, 'decision')} of which nothing says when they were made")


def events_within(events: Events, period: Period) -> Events:
    """Return a log without the decisions that were not made in a period, and without their rewards."""

    def rows() -> Iterator[Event]:
        left_out: set[int | None] = set()
        for event in events.rows:
            if event.kind in (DECIDE, EXTERNAL) and not period.has(np.array([event.time]))[0]:
                left_out.add(event.number)
            elif event.number not in left_out:
                yield event

    return events if period == ALWAYS else replace(events, rows=rows())


def check_period(rows: Rows, period: Period, name: str) -> None:
    """Raise `InvalidInput` ("empty_period") where no decision with a reward was made in a period that was kept."""
    if period != ALWAYS and not len(rows):
        raise InvalidInput(
            "empty_period", f"{name} has no decision with a reward in the period: choose another --since or --until"
        )


def _times(page: Page) -> Array:
    return np.broadcast_to(page.columns.time, len(page.line))
