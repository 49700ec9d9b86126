"""Requests that keep the event loop for long in one piece go one at a time, with a pause for others between two."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ...engine.errors import Unavailable

WAITING = 64
PAUSE_S = 0.005  # what is waiting meanwhile takes several rounds of the loop: read, decided, committed, answered


class Large:
    """The queue of large requests. Its methods belong to the event loop's thread."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(1)
        self._inside = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for one's turn; raises `Unavailable` ("busy") where too many wait."""
        if self._inside > WAITING:
            raise Unavailable("busy", f"{WAITING} large requests wait already: try again, or send smaller ones")
        self._inside += 1
        try:
            await self._free.acquire()
            try:
                yield
            finally:
                asyncio.get_running_loop().call_later(PAUSE_S, self._free.release)
        finally:
            self._inside -= 1
