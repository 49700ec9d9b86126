"""How late the event loop is: what a request waits for others, beyond its own work."""

from __future__ import annotations

import asyncio
from collections import deque

TICK_S = 0.05
WINDOW_S = 60.0


class Lag:
    """Measures the event loop by a sleep that should end on time. Its methods belong to the event loop's thread."""

    def __init__(self) -> None:
        self._late: deque[float] = deque(maxlen=int(WINDOW_S / TICK_S))
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to measure."""
        self._task = asyncio.get_running_loop().create_task(self._measure())

    def stop(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()

    @property
    def worst_ms(self) -> float:
        """The latest that the loop was within about the last minute, in milliseconds."""
        return 1000.0 * max(self._late, default=0.0)

    async def _measure(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due = clock() + TICK_S
            await asyncio.sleep(TICK_S)
            self._late.append(max(0.0, clock() - due))
