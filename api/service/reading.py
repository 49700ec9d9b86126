"""Other threads read a state as it is, for a digest or a large snapshot: until they are done nothing may change it."""

from __future__ import annotations

import asyncio


class Reading:
    """Who reads a state in another thread. Its methods belong to the event loop's thread."""

    def __init__(self) -> None:
        self._readers = 0
        self._nobody = asyncio.Event()
        self._nobody.set()

    @property
    def locked(self) -> bool:
        """Whether another thread reads the state."""
        return self._readers > 0

    async def unlocked(self) -> None:
        """Wait until no other thread reads the state: rewards change it."""
        while self.locked:
            await self._nobody.wait()

    def begin(self) -> None:
        """Let nothing change the state until this reader ends."""
        self._readers += 1
        self._nobody.clear()

    def end(self) -> None:
        """Be one reader fewer."""
        self._readers -= 1
        if not self._readers:
            self._nobody.set()
