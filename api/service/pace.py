"""How far experiments have come while the service runs: how much comes in a second, and the way of their means.

Every two seconds it looks at those that moved, which costs 1 us each, and nothing where decisions are made. Of each it
keeps at most 240 points of its way: where they are as many every second one goes, and fewer come from then on.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ..tasks import ended
from .live import Live

EVERY = 2.0  # seconds
LOOKS = 5  # of them, after which the counters are kept for rates
KEPT = 6  # counters: of the last minute
POINTS_MAX = 240
CHOICES_MAX = 12  # that are told apart on the way


class Rate(NamedTuple):
    """What comes in a second."""

    decisions: float
    rewards: float


class Point(NamedTuple):
    """How far an experiment was at a time."""

    time: float  # seconds since 1970 UTC
    decisions: int
    rewards: int
    mean: float | None  # of the rewards so far
    stderr: float | None
    taken: tuple[int, ...]  # decisions that took each choice; empty where there are too many of them


class Trace:
    """The way of one experiment."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self._stride = EVERY

    def add(self, point: Point) -> None:
        """Add a point, unless the last one is close."""
        if self.points and point.time - self.points[-1].time < 0.9 * self._stride:
            return
        self.points.append(point)
        if len(self.points) >= POINTS_MAX:
            self.points = self.points[::2]
            self._stride *= 2


class Pace:
    """The ways of all experiments. Its methods belong to the event loop's thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self._clock, self._wall = clock, wall
        self._seen: deque[tuple[float, dict[int, tuple[int, int]]]] = deque(maxlen=KEPT)
        self._traces: dict[int, Trace] = {}
        self._at: dict[int, int] = {}  # the seq at which each was seen last
        self._task: asyncio.Task[None] | None = None

    def start(self, lives: Callable[[], Iterable[Live]]) -> None:
        """Begin to look at all that `lives` returns."""
        self._task = asyncio.get_running_loop().create_task(self._look(lives))

    async def stop(self) -> None:
        """Look no more."""
        await ended(self._task)

    def see(self, lives: Iterable[Live]) -> None:
        """Note the counters of all; of what is recovered later none is known, as its log would count as new."""
        counters = {live.row.key: (live.number, live.rewards) for live in lives if live.unusable is None}
        self._seen.append((self._clock(), counters))

    def follow(self, lives: Iterable[Live]) -> None:
        """Add a point to the way of each that moved; of those that are gone the way is forgotten."""
        at: dict[int, int] = {}
        for live in lives:
            if live.unusable is None:
                key = live.row.key
                at[key] = live.seq
                if self._at.get(key) != live.seq:
                    self._traces.setdefault(key, Trace()).add(self.now(live))
        self._at = at
        for key in self._traces.keys() - at.keys():
            del self._traces[key]

    def now(self, live: Live) -> Point:
        """Return how far an experiment is."""
        tally, all = live.tally, live.tally.all
        taken = tuple(map(tally.decided, range(tally.choices))) if tally.choices <= CHOICES_MAX else ()
        return Point(self._wall(), live.number, live.rewards, all.reward_mean, all.reward_stderr, taken)

    def way(self, live: Live) -> list[Point]:
        """Return the way of an experiment since the start of the service, up to now."""
        trace = self._traces.get(live.row.key)
        return [*(() if trace is None else trace.points), self.now(live)]

    def of(self, live: Live) -> Rate | None:
        """Return what came in a second since it was first seen within the last minute; None where that is now."""
        for at, counters in self._seen:
            if (then := counters.get(live.row.key)) is not None and (seconds := self._clock() - at) >= 1.0:
                return Rate((live.number - then[0]) / seconds, max(live.rewards - then[1], 0) / seconds)
        return None

    async def _look(self, lives: Callable[[], Iterable[Live]]) -> None:
        looks = 0
        while True:
            self.follow(lives())
            if looks % LOOKS == 0:
                self.see(lives())
            looks += 1
            await asyncio.sleep(EVERY)
