"""What tells the service the time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

CLOSE_AFTER_START = 60.0  # seconds in which rewards come that could not before


def microseconds() -> int:
    """Return the clock: microseconds since 1970 UTC."""
    return time.time_ns() // 1000


class Clocks(NamedTuple):
    """The clocks that experiments go by."""

    wall: Callable[[], int] = microseconds  # since 1970 UTC; somebody may set it
    monotonic: Callable[[], float] = time.monotonic  # seconds since any moment
    grace: float = CLOSE_AFTER_START  # seconds after a start, in which no window closes that was open before


CLOCKS = Clocks()
