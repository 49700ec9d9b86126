"""What pages show is made once for all who look at it within the same moment: fifty open pages cost as much as one."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

KEPT_MAX = 256


class Glances:
    """Values that are made again once they are so old. Its methods belong to the event loop's thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._made: OrderedDict[Hashable, tuple[float, asyncio.Future[Any]]] = OrderedDict()

    async def get(self, key: Hashable, seconds: float, make: Callable[[], Awaitable[Any]]) -> Any:
        """Return what `make` made for this key within so many seconds, or make it; an error is not kept."""
        now = self._clock()
        known = self._made.get(key)
        if known is None or now >= known[0]:
            future: asyncio.Future[Any] = asyncio.ensure_future(make())
            future.add_done_callback(lambda done: self._forget_failed(key, done))
            known = self._made[key] = (now + seconds, future)
            self._made.move_to_end(key)
            while len(self._made) > KEPT_MAX:
                self._made.popitem(last=False)
        return await asyncio.shield(known[1])

    def clear(self) -> None:
        """Let all be made again: somebody changed what they show, and looks at it."""
        self._made.clear()

    def _forget_failed(self, key: Hashable, done: asyncio.Future[Any]) -> None:
        if done.cancelled() or done.exception() is not None:
            known = self._made.get(key)
            if known is not None and known[1] is done:
                del self._made[key]
