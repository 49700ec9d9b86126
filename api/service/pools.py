"""Threads for work that takes long: some for each sort of it, so that none waits behind another sort.

What reads a whole log must not keep a reward waiting that looks one decision up. Each pool has a bounded queue: beyond
it the answer is 503 at once, and not much later.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import ParamSpec, TypeVar

from ...engine.errors import Unavailable

Made = TypeVar("Made")
P = ParamSpec("P")

READS_WAITING = 16  # reports: some seconds each where a log is long
STATES_WAITING = 64  # each has the turn of its experiment, and takes as long as its state is large
REMAKES_WAITING = 4  # each folds a log up to its decision
CREATIONS_WAITING = 64
STEPS_WAITING = 100_000  # as many as may wait for their turns anyway
EXPORTS_MAX = 16  # that are under way; who reads slowly keeps one, and no thread
EXPORTS_EACH = 4  # of one tenant, so that none takes all
IMPORTS_WAITING = 4  # each is folded as a whole, which takes as long as its policy takes
COMPACTIONS_WAITING = 4  # as imports
ROLLBACKS_WAITING = 4  # as imports
EVALUATIONS_MAX = 8  # that are at work or wait
SCRAPES_WAITING = 4
COUNTS_WAITING = 64
LOOKUPS_WAITING = 100_000  # one for each experiment at most


class Pool:
    """Threads for one sort of work. Its methods belong to the event loop's thread."""

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self.name = name  # of what it does, in plural
        self._most = threads + waiting
        self._inside = 0  # at work or waiting
        self._free = asyncio.Semaphore(threads)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=f"onearm-{name.split()[0]}")

    async def run(self, work: Callable[P, Made], *given: P.args, **named: P.kwargs) -> Made:
        """Do work in one of the threads, behind what waits; raises `Unavailable` ("busy") where too much does."""
        async with self.turn():
            return await self.call(work, *given, **named)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until a thread is free, and keep it for one `call`."""
        if self._inside >= self._most:
            raise Unavailable("busy", f"{self._inside} {self.name} are at work or wait already: try again in a second")
        self._inside += 1
        try:
            async with self._free:
                yield
        finally:
            self._inside -= 1

    async def call(self, work: Callable[P, Made], *given: P.args, **named: P.kwargs) -> Made:
        """Do work in the thread that is kept."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: work(*given, **named))

    def close(self) -> None:
        """End the threads after what they are at."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Pools:
    """The pools of a service.

    Reads, creations and pages of exports go one at a time: two would not be done sooner, as Python runs one thread at
    a time, and the event loop would wait for two.
    """

    def __init__(self) -> None:
        self.reads = Pool("reports", 1, READS_WAITING)
        self.states = Pool("reads of states", 2, STATES_WAITING)
        self.remakes = Pool("decisions made again", 1, REMAKES_WAITING)
        self.lookups = Pool("look-ups of decisions", 4, LOOKUPS_WAITING)
        self.steps = Pool("steps of policies", 4, STEPS_WAITING)
        self.creations = Pool("creations of experiments", 1, CREATIONS_WAITING)
        self.scrapes = Pool("answers to Prometheus", 1, SCRAPES_WAITING)
        self.counts = Pool("counts of hours and days", 1, COUNTS_WAITING)
        self.exports = Pool("exports of logs", 1, EXPORTS_MAX)
        self.imports = Pool("imports of logs", 1, IMPORTS_WAITING)
        self.evaluations = Pool("evaluations of logs", 2, EVALUATIONS_MAX - 2)
        self.watches = Pool("pages of logs for shadows", 1, READS_WAITING)
        self.refolds = Pool("folds of corrected logs", 1, 0)
        self.rollbacks = Pool("rollbacks of policies", 1, ROLLBACKS_WAITING)
        self.compactions = Pool("compactions of logs", 1, COMPACTIONS_WAITING)

    def close(self) -> None:
        """End all threads."""
        for pool in vars(self).values():
            pool.close()
