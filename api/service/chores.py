"""What can wait is done a little at a time, in the writer's thread, between the commits of others.

Logs of deleted experiments are wiped so, what lies before a base is made slim, and what is erased is blanked. What is
left of these is found again after a start, by a mark that was committed before.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from ...engine.errors import Unavailable
from ...engine.storage.store import Store
from .writer import Writer

log = logging.getLogger("onearm")

EVENTS_MAX = 2000  # of one transaction
STEP_SECONDS = 0.01  # that a transaction should take, as the others wait for it
PAUSE = 4.0  # times as long as a transaction took nothing is done: the others have the rest
READERS_TRIES = 20  # to empty the -wal file for somebody who waits
READERS_SECONDS = 0.05  # between them
RETRY_SECONDS = 1.0  # after a transaction that failed, and while somebody reads what was there before

Chore = Callable[[int], bool]  # (events) -> whether more is left: changes about so many, in one transaction


class Chores:
    """Does one chore after another. Its methods belong to the event loop's thread."""

    def __init__(self, store: Store, writer: Writer[Any]) -> None:
        self._store = store
        self._writer = writer
        self._left: list[Chore] = []
        self._awaited: dict[Chore, asyncio.Future[None]] = {}
        self._events = 100  # of the next transaction; soon as many as take their time
        self._task: asyncio.Task[None] | None = None

    @property
    def left(self) -> int:
        """How many are not done."""
        return len(self._left)

    def add(self, chores: Iterable[Chore]) -> None:
        """Do these too. What they blank or take away is gone from the files of SQLite when all are done."""
        self._left += chores
        self._begin()

    async def at_once(self, chore: Chore) -> None:
        """Do this before all others, and wait for it, and a while until nobody reads what the -wal file has of it."""
        self._left.insert(0, chore)
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
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        for done in self._awaited.values():
            done.cancel()

    async def _work(self) -> None:
        while self._left:
            chore = self._left[0]
            try:
                more, took = await self._writer.run(_step, chore, self._events)
            except Unavailable as error:
                if self._store.lost is not None:  # for good, and said where it was noticed
                    for done in self._awaited.values():
                        if not done.done():
                            done.set_exception(error)
                    self._awaited.clear()
                    return
                log.error("what was deleted, erased or compacted is not gone from the database yet: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if not more:
                self._left.remove(chore)  # another one may have come before it meanwhile
                if chore in self._awaited:
                    await self._try_to_empty_wal()
                    done = self._awaited.pop(chore)
                    if not done.done():  # whoever waited may have been ended
                        done.set_result(None)
            self._events = max(1, self._events // 2) if took > STEP_SECONDS else min(EVENTS_MAX, 2 * self._events)
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


def _step(chore: Chore, events: int) -> tuple[bool, float]:
    """Make a transaction, in the writer's thread; return whether more is left, and how many seconds it took."""
    begun = time.perf_counter()
    more = chore(events)
    return more, time.perf_counter() - begun
