"""The buckets of hours and days keep up with the logs: a part at a time, between the commits of others.

Every minute they are brought up to date, and before somebody reads them. Deciding and learning take no time for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from ...engine.errors import OnearmError
from ...engine.storage.store import Store
from ..tasks import ended
from .live import Live
from .pools import Pools
from .windows import Windows
from .writer import Writer

EVERY = 60.0  # seconds
PAUSE = 4.0  # times as long as a part took nothing is counted: the others have the rest
ARMS_MAX = 1000  # that are told apart; an experiment with more has buckets of all decisions alone


def told_apart(live: Live) -> int:
    """Return how many arms of an experiment have buckets of their own; 0 where none has."""
    return live.tally.choices if live.tally.choices <= ARMS_MAX else 0


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

    async def count(self, live: Live, seconds: float, pause: float = 0.0) -> int:
        """Bring the buckets of an experiment up to date, or as far as so many seconds allow; return up to which seq.

        Where rewards are learned at once that is up to the first decision whose window is open, as it is now.
        """
        experiment, arms, begun = live.row.key, told_apart(live), time.monotonic()
        closed = None if live.windows is None else await live.turns.take(_counts_to, live.windows, live)
        if closed is not None:
            await live.committed()  # what those came to is learned
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
                if counted.get(live.row.key) != live.seq:
                    with suppress(OnearmError):  # those who are told of it hear it: here the next minute comes
                        counted[live.row.key] = await self.count(live, EVERY, PAUSE)


async def _counts_to(windows: Windows, live: Live) -> int | None:
    """Return up to which seq decisions count, in a turn: what windows came to that are closed by then is queued."""
    return windows.counts_to(live.seq)
