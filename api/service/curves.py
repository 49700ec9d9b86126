"""The buckets of hours and days keep up with the logs: a part at a time, between the commits of others.

Every minute they are brought up to date, and before somebody reads them. Deciding and learning take no time for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, NamedTuple

from ...engine.errors import OnearmError
from ...engine.storage.store import Store
from ..tasks import ended
from .live import Live
from .pools import Pools
from .writer import Writer

EVERY = 60.0  # seconds
PAUSE = 4.0  # times as long as a part took nothing is counted: the others have the rest
ARMS_MAX = 1000  # that are told apart; an experiment with more has buckets of all decisions alone


def told_apart(live: Live) -> int:
    """Return how many arms of an experiment have buckets of their own; 0 where none has."""
    return live.tally.choices if live.tally.choices <= ARMS_MAX else 0


class Counted(NamedTuple):
    """How far an experiment is counted."""

    until: int  # the seq up to which it is
    last: int  # the seq up to which decisions counted when that began
    n_open: int | None  # how many windows were open then; None where decisions have none


class Curves:
    """Counts logs into buckets. Its methods belong to the event loop's thread."""

    def __init__(self, store: Store, writer: Writer[Any], pools: Pools) -> None:
        self._store, self._writer, self._pools = store, writer, pools
        self._one = asyncio.Lock()  # of two parts of a log that are counted at once one is in vain
        self._task: asyncio.Task[None] | None = None

    def start(self, lives: Callable[[], Iterable[Live]]) -> None:
        """Begin to keep up with all that `lives` returns."""
        self._task = asyncio.get_running_loop().create_task(self._keep_up(lives))

    async def stop(self) -> None:
        """Leave the rest for the next start."""
        await ended(self._task)

    async def count(self, live: Live, seconds: float) -> Counted:
        """Bring the buckets of an experiment up to date, or as far as so many seconds allow.

        Where rewards are learned at once that is up to the first decision whose window is open, as it is now.
        """
        closed, last, n_open = None, live.queued, None
        if live.windows is not None:
            closed, last, n_open = await live.turns.take(_moment, live)
        await live.committed()  # what windows came to that are closed is learned
        return Counted(await self._count(live, closed, seconds), last, n_open)

    async def _count(self, live: Live, closed: int | None, seconds: float, pause: float = 0.0) -> int:
        """Count up to the seq `closed`, or all with None; return up to which it is counted."""
        experiment, arms, begun = live.row.key, told_apart(live), time.monotonic()
        while True:
            async with self._one:  # for a part, and not for the pause after it: others come in between
                at = time.monotonic()
                part = await self._pools.counts.run(self._store.next_part, experiment, arms, closed)
                if part.until == part.after:
                    return part.until
                await self._writer.run(self._store.put_part, experiment, part)
                now = time.monotonic()
            if now - begun > seconds:
                return part.until
            await asyncio.sleep(pause * (now - at))

    async def _keep_up(self, lives: Callable[[], Iterable[Live]]) -> None:
        counted: dict[int, int] = {}
        while True:
            await asyncio.sleep(EVERY)
            for live in [*lives()]:
                if counted.get(live.row.key) != live.seq and not _waits(live):
                    with suppress(OnearmError):  # those who are told of it hear it: here the next minute comes
                        counted[live.row.key] = await self._keep_up_with(live)

    async def _keep_up_with(self, live: Live) -> int:
        closed = None
        if _takes_turn(live):
            closed, _, _ = await live.turns.take(_moment, live)
            await live.committed()
        return await self._count(live, closed, EVERY, PAUSE)


def _takes_turn(live: Live) -> bool:
    """Tell whether not all decisions count: up to which they do is known in a turn."""
    return live.windows is not None and live.windows.window.learns_at_once


def _waits(live: Live) -> bool:
    """Tell whether others would wait behind whoever has the turn of this one: then it is counted a minute later."""
    return _takes_turn(live) and live.turns.taken


async def _moment(live: Live) -> tuple[int | None, int, int]:
    """Return what `counts_to` says, up to which seq decisions count, and how many windows are open.

    In a turn: what windows came to that are closed by then is queued.
    """
    windows = live.windows
    assert windows is not None
    closed = windows.counts_to(live.seq)
    return closed, live.seq if closed is None else closed, windows.n_open(live.number)
