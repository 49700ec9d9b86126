"""What can wait is done a little at a time, in the writer's thread, between the commits of others.

Logs of deleted experiments are wiped so, and what lies before a base is made slim. What is left of either is found
again after a start, by a mark that was committed before.
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
RETRY_SECONDS = 1.0  # after a transaction that failed, and while somebody reads what was there before

Chore = Callable[[int], bool]  # (events) -> whether more is left: changes about so many, in one transaction


class Chores:
    """Does one chore after another. Its methods belong to the event loop's thread."""

    def __init__(self, store: Store, writer: Writer[Any]) -> None:
        self._store = store
        self._writer = writer
        self._left: list[Chore] = []
        self._events = 100  # of the next transaction; soon as many as take their time
        self._task: asyncio.Task[None] | None = None

    @property
    def left(self) -> int:
        """How many are not done."""
        return len(self._left)

    def add(self, chores: Iterable[Chore]) -> None:
        """Do these too. What they blank or take away is gone from the files of SQLite when all are done."""
        self._left += chores
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

    async def _work(self) -> None:
        while self._left:
            try:
                more, took = await self._writer.run(_step, self._left[0], self._events)
            except Unavailable as error:
                if self._store.lost is not None:  # for good, and said where it was noticed
                    return
                log.error("what was deleted or compacted is not gone from the database yet: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if not more:
                self._left.pop(0)
            self._events = max(1, self._events // 2) if took > STEP_SECONDS else min(EVENTS_MAX, 2 * self._events)
            await asyncio.sleep(PAUSE * took)
            if not self._left:
                await self._empty_wal()

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
