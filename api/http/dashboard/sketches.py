"""Small pictures that a page holds as paths and bars of SVG: they need no script, and no style of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ....engine.storage.buckets import HOUR
from ....engine.storage.records import Bucket

WIDTH, HEIGHT = 96.0, 24.0  # of a sketch, in the units of its viewBox


def hours(buckets: Sequence[Bucket], since: int, n: int) -> str | None:
    """Return the decisions of `n` hours from `since` (microseconds) on as a line; None where there were none.

    >>> hours([Bucket(1, HOUR, HOUR * 1_000_000, -1, 10, 0, 0.0, 0.0)], 0, 3)
    'M0 23.5 48 0.5 96 23.5'
    """
    counts = [0] * n
    for one in buckets:
        place = (one.begins - since) // (HOUR * 1_000_000)
        if 0 <= place < n:
            counts[place] = one.decisions
    most = max(counts)
    if not most:
        return None
    points = (
        f"{_short(WIDTH * i / (n - 1))} {_short(0.5 + (HEIGHT - 1) * (1 - c / most))}" for i, c in enumerate(counts)
    )
    return "M" + " ".join(points)


class Whisker(NamedTuple):
    """An interval and its middle on a scale from 0 to 100, and where nought is on it, if it is there."""

    low: float
    value: float
    high: float
    nought: float | None


def whiskers(intervals: Sequence[tuple[float, float, float] | None]) -> list[Whisker | None]:
    """Return (low, value, high) on one scale for all, None where there is none.

    >>> whiskers([(0.0, 1.0, 2.0), None, (1.0, 3.0, 4.0)])
    [Whisker(low=0.0, value=25.0, high=50.0, nought=0.0), None, Whisker(low=25.0, value=75.0, high=100.0, nought=0.0)]
    """
    known = [one for one in intervals if one is not None]
    if not known:
        return [None] * len(intervals)
    least, most = min(one[0] for one in known), max(one[2] for one in known)
    width = (most - least) or 1.0

    def place(value: float) -> float:
        return round(100 * (value - least) / width, 2)

    nought = place(0.0) if least <= 0.0 <= most else None
    return [None if one is None else Whisker(place(one[0]), place(one[1]), place(one[2]), nought) for one in intervals]


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
