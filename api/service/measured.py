"""What the service counts of its own work, for those who watch it: requests, how long they took, and commits.

All belong to the event loop's thread. To count a request takes half a microsecond.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
EVENTS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)


class Histogram:
    """How many values lie up to each bound, and their sum.

    >>> told = Histogram((1.0, 10.0))
    >>> for value in (0.5, 1.0, 3.0, 70.0):
    ...     told.add(value)
    >>> told.up_to(), told.sum
    ([('1.0', 2), ('10.0', 3), ('+Inf', 4)], 74.5)
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.sum = 0.0
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def up_to(self) -> list[tuple[str, int]]:
        """Return each bound as text, and how many values are at most that; the last bound is +Inf."""
        told, total = [], 0
        for bound, count in zip([*map(str, self._bounds), "+Inf"], self._counts, strict=True):
            total += count
            told.append((bound, total))
        return told


class Route(NamedTuple):
    """What a request was for: a line of the table of routes."""

    method: str
    path: str


NO_ROUTE = Route("", "")


class Requests:
    """How many requests each route answered with which status, and how long that took."""

    def __init__(self) -> None:
        self.answered: Counter[tuple[Route, int]] = Counter()
        self.seconds: dict[Route, Histogram] = {}
        self.unread: Counter[str] = Counter()  # connections that were refused before a request was whole, by code

    def add(self, route: Route, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self.answered[route, status] += 1
        if (histogram := self.seconds.get(route)) is None:
            histogram = self.seconds[route] = Histogram(SECONDS)
        histogram.add(seconds)

    def refuse(self, status: int) -> None:
        """Count a request that came to no route: who asks was refused, or there is no such path."""
        self.answered[NO_ROUTE, status] += 1
