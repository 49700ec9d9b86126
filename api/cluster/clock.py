"""The time of the database, as one node tells it between two looks at it."""

from __future__ import annotations

import time


class DatabaseClock:
    """Goes on by the node's monotonic clock, so it matters to nobody when the node's own date is set."""

    def __init__(self) -> None:
        self._ahead = 0  # of the monotonic clock, in microseconds
        self._last = 0

    def set(self, now: int, before: float, after: float) -> None:
        """Take note of the time, in microseconds since 1970 UTC, that was read between two monotonic times (seconds).

        >>> clock = DatabaseClock()
        >>> clock.set(1_700_000_000_000_000, time.monotonic(), time.monotonic())
        >>> 0 <= clock.now() - 1_700_000_000_000_000 < 1_000_000
        True
        """
        self._ahead = now - int((before + after) / 2 * 1e6)

    def now(self) -> int:
        """Return the time in microseconds since 1970 UTC; it never goes back."""
        self._last = max(self._last, self._ahead + time.monotonic_ns() // 1000)
        return self._last
