"""Requests of one sort go one at a time: in a round of the event loop others wait for one of them, and not for all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ...engine.errors import Unavailable

BATCHES_WAITING = 10_000  # more than there may be connections: a batch that has begun is not refused


class Lane:
    """A queue of requests. Its methods belong to the event loop's thread."""

    def __init__(self, name: str, waiting: int, pause_s: float) -> None:
        self.name = name  # of the requests
        self.waiting = waiting  # at most
        self._pause_s = pause_s  # between two
        self._free = asyncio.Semaphore(1)
        self._inside = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for one's turn; raises `Unavailable` ("busy") where too many wait."""
        if self._inside > self.waiting:
            raise Unavailable("busy", f"{self.waiting} {self.name} wait already: try again in a second")
        self._inside += 1
        try:
            await self._free.acquire()
            try:
                yield
            finally:
                asyncio.get_running_loop().call_later(self._pause_s, self._free.release)
        finally:
            self._inside -= 1


class Lanes:
    """The lanes of a service."""

    def __init__(self) -> None:
        # What waits for a large request takes several rounds of the loop: read, decided, committed, answered.
        self.large = Lane("large requests", 64, 0.005)
        self.batches = Lane("pieces of batches", BATCHES_WAITING, 0.0)
        self.reports = Lane("reports", 1000, 0.0)  # a millisecond each
