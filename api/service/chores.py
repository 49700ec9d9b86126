"""What can wait is done a little at a time, in the writer's thread, between the commits of others.

What is erased is blanked so, logs of deleted experiments are wiped, and what lies before a base is made slim, or goes,
in this order: what must be gone does not wait for what only saves room. What is left of these is found again after a
start, by a mark that was committed before.
"""

from __future__ import annotations

import asyncio
import logging
import time
from bisect import insort
from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import IntEnum
from typing import Any

from ...engine.errors import Unavailable
from ...engine.storage.shards import LEASE_LOST
from ...engine.storage.store import Store
from ..tasks import ended
from .writer import Writer

log = logging.getLogger("onearm")

EVENTS_MIN = 50  # of one transaction: fewer take no less time where the commit is what takes it
EVENTS_MAX = 2000
STEP_SECONDS = 0.01  # that a transaction should take, as the others wait for it
PAUSE = 4.0  # times as long as a transaction took nothing is done: the others have the rest
READERS_TRIES = 20  # to empty the -wal file for somebody who waits
READERS_SECONDS = 0.05  # between them
RETRY_SECONDS = 1.0  # after a transaction that failed, and while somebody reads what was there before

Chore = Callable[[int], bool]  # (events) -> whether more is left: changes about so many, in one transaction


class Rank(IntEnum):
    """Which chores come first."""

    ERASURE = 0
    DELETION = 1
    SLIMMING = 2


Ranked = tuple[Rank, Chore]


class Chores:
    """Does one chore after another, by rank. Its methods belong to the event loop's thread."""

    def __init__(self, store: Store, writer: Writer[Any]) -> None:
        self._store = store
        self._writer = writer
        self._left: list[Ranked] = []  # in the order in which they are done
        self._awaited: dict[Chore, asyncio.Future[None]] = {}
        self._events = 100  # of the next transaction; soon as many as take their time
        self._task: asyncio.Task[None] | None = None

    @property
    def left(self) -> int:
        """How many are not done."""
        return len(self._left)

    def add(self, chores: Iterable[Ranked]) -> None:
        """Do these too, behind others of their rank.

        What they blank or take away is gone from the files of SQLite when all of their rank are done.
        """
        for one in chores:
            insort(self._left, one, key=_rank)
        self._begin()

    async def erase(self, chore: Chore) -> None:
        """Do an erasure, and wait for it, and a while until nobody reads what the -wal file has of it."""
        insort(self._left, (Rank.ERASURE, chore), key=_rank)
        done = self._awaited[chore] = asyncio.get_running_loop().create_future()
        self._begin()
        await done

    def _begin(self) -> None:
        if self._left and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def done(self) -> None:
        """Wait until nothing is left."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def stop(self) -> None:
        """Leave the rest for the next start."""
        await ended(self._task)
        for done in self._awaited.values():
            done.cancel()

    async def _work(self) -> None:
        while self._left:
            rank, chore = self._left[0]
            try:
                more, took = await self._writer.run(_step, chore, self._events)
            except Unavailable as error:
                if self._store.lost is not None:  # for good, and said where it was noticed
                    for done in self._awaited.values():
                        if not done.done():
                            done.set_exception(error)
                    self._awaited.clear()
                    return
                if error.code == LEASE_LOST:  # another process has the experiment, and finds the mark
                    self._left.remove((rank, chore))
                    if chore in self._awaited and not (done := self._awaited.pop(chore)).done():
                        done.set_exception(error)
                    continue
                log.error("what was deleted, erased or compacted is not gone from the database yet: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if not more:
                self._left.remove((rank, chore))  # another one may have come before it meanwhile
                if chore in self._awaited or (rank is Rank.DELETION and rank not in map(_rank, self._left)):
                    await self._try_to_empty_wal()
                if chore in self._awaited and not (done := self._awaited.pop(chore)).done():
                    done.set_result(None)  # unless whoever waited was ended
            fits = took <= STEP_SECONDS
            self._events = min(EVENTS_MAX, 2 * self._events) if fits else max(EVENTS_MIN, self._events // 2)
            await asyncio.sleep(PAUSE * took)
            if not self._left:
                await self._empty_wal()

    async def _try_to_empty_wal(self) -> None:
        with suppress(Unavailable):
            for _ in range(READERS_TRIES):
                if await self._writer.run(self._store.empty_wal):
                    return
                await asyncio.sleep(READERS_SECONDS)

    async def _empty_wal(self) -> None:
        """Empty the file that still has copies of what was taken away, once nobody reads them."""
        with suppress(Unavailable):  # the end of the service empties it as well
            while not self._left and not await self._writer.run(self._store.empty_wal):
                await asyncio.sleep(RETRY_SECONDS)


def _rank(one: Ranked) -> Rank:
    return one[0]


def _step(chore: Chore, events: int) -> tuple[bool, float]:
    """Make a transaction, in the writer's thread; return whether more is left, and how many seconds it took."""
    begun = time.perf_counter()
    more = chore(events)
    return more, time.perf_counter() - begun
