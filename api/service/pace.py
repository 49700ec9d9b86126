"""How far experiments have come while the service runs: how much comes in a second, and the way of their means.

It looks at those that moved every two seconds while somebody looks at a page, every ten otherwise, and nothing where
decisions are made. Of each it keeps less than 120 points of its way: where they are as many every second one goes, and
fewer come from then on. Their room is taken with the first one, so that a service does not grow while it runs.
"""

from __future__ import annotations

import asyncio
import math
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ..tasks import ended
from .live import Live

EVERY = 2.0  # seconds
LOOKS = 5  # of them, after which the counters are kept for rates, and which there are where nobody looks
WATCHED = 120.0  # seconds for which somebody is taken to look at a page
AT_ONCE = 100  # experiments, which take 1 ms where all of them moved
KEPT = 6  # counters: of the last minute
POINTS_MAX = 120
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
    """The way of one experiment, as numbers of 8 bytes: 7 KB of two choices."""

    def __init__(self) -> None:
        self._numbers = array("d")  # those of the first point, of the second, and so on; there is room for all
        self._each = self._count = 0  # numbers of a point; points
        self._last = -math.inf  # seconds since 1970 UTC
        self._stride = EVERY

    def due(self, time: float) -> bool:
        """Tell whether a point at a time is not too close to the last one."""
        return time - self._last >= 0.9 * self._stride

    def add(self, point: Point) -> None:
        """Add a point."""
        mean, stderr = _known(point.mean), _known(point.stderr)
        numbers = (point.time, point.decisions, point.rewards, mean, stderr, *point.taken)
        if len(numbers) != self._each:
            self._widen(len(numbers))
        first = self._count * self._each
        self._numbers[first : first + self._each] = array("d", numbers)
        self._count += 1
        self._last = point.time
        if self._count == POINTS_MAX:
            self._keep(self._rows()[::2])
            self._stride *= 2

    def points(self) -> list[Point]:
        """Return the points, the first one first."""
        return [
            Point(at, int(decisions), int(rewards), _told(mean), _told(stderr), tuple(map(int, taken)))
            for at, decisions, rewards, mean, stderr, *taken in self._rows()
        ]

    def _rows(self) -> list[Sequence[float]]:
        return [self._numbers[i * self._each : (i + 1) * self._each] for i in range(self._count)]

    def _widen(self, each: int) -> None:
        """Give all points as many numbers, as arms joined: none was taken before; or there are too many to tell."""
        rows = self._rows()
        self._each = each
        self._keep([(*row, *(0.0,) * each)[:each] for row in rows])

    def _keep(self, rows: Sequence[Sequence[float]]) -> None:
        numbers = [number for row in rows for number in row]
        self._numbers = array("d", [*numbers, *(0.0,) * (POINTS_MAX * self._each - len(numbers))])
        self._count = len(rows)


def _known(number: float | None) -> float:
    return math.nan if number is None else number


def _told(number: float) -> float | None:
    return None if math.isnan(number) else number


class Pace:
    """The ways of all experiments. Its methods belong to the event loop's thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self._clock, self._wall = clock, wall
        self._seen: deque[tuple[float, dict[int, tuple[int, int]]]] = deque(maxlen=KEPT)
        self._traces: dict[int, Trace] = {}
        self._at: dict[int, int] = {}  # the seq at which each was seen last
        self._asked = -math.inf  # when somebody looked at a page
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

    def watch(self) -> None:
        """Note that somebody looks at a page."""
        self._asked = self._clock()

    def follow(self, lives: Iterable[Live]) -> None:
        """Add a point to the way of each that moved."""
        for live in lives:
            key = live.row.key
            if live.unusable is None and self._at.get(key) != live.seq:
                trace = self._traces.setdefault(key, Trace())
                if trace.due(self._wall()):
                    trace.add(self.now(live))
                    self._at[key] = live.seq

    def forget(self, lives: Iterable[Live]) -> None:
        """Forget the ways of all but these."""
        gone = self._traces.keys() - {live.row.key for live in lives if live.unusable is None}
        for key in gone:
            del self._traces[key]
            self._at.pop(key, None)

    async def look(self, lives: Iterable[Live]) -> None:
        """Follow all, some at once."""
        some = list(lives)
        for first in range(0, len(some), AT_ONCE):
            self.follow(some[first : first + AT_ONCE])
            await asyncio.sleep(0)
        self.forget(some)

    def now(self, live: Live) -> Point:
        """Return how far an experiment is."""
        tally, all = live.tally, live.tally.all
        taken = tuple(map(tally.decided, range(tally.choices))) if tally.choices <= CHOICES_MAX else ()
        return Point(self._wall(), live.number, live.rewards, all.reward_mean, all.reward_stderr, taken)

    def way(self, live: Live) -> list[Point]:
        """Return the way of an experiment since the start of the service, up to now."""
        trace = self._traces.get(live.row.key)
        return [*(() if trace is None else trace.points()), self.now(live)]

    def of(self, live: Live) -> Rate | None:
        """Return what came in a second since it was first seen within the last minute; None where that is now."""
        for at, counters in self._seen:
            if (then := counters.get(live.row.key)) is not None and (seconds := self._clock() - at) >= 1.0:
                return Rate((live.number - then[0]) / seconds, max(live.rewards - then[1], 0) / seconds)
        return None

    async def _look(self, lives: Callable[[], Iterable[Live]]) -> None:
        looks = 0
        while True:
            seldom = looks % LOOKS == 0
            if seldom or self._clock() - self._asked < WATCHED:
                await self.look(lives())
            if seldom:
                self.see(lives())
            looks += 1
            await asyncio.sleep(EVERY)
