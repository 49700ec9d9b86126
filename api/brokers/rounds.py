"""Rounds of work with a broker: one after another, and after a failure again, later each time."""

from __future__ import annotations

import time
from collections.abc import Callable

from ...engine.errors import Unavailable

PAUSES = (0.5, 1, 2, 5, 10, 30)  # seconds after so many failures in a row, the last one from then on


def work(
    one: Callable[[], int],
    failed: Callable[[Unavailable, float], None],
    pause: float,
    stop: Callable[[], bool],
    *,
    once: bool = False,
) -> None:
    """Do `one` round after another until `stop`; with `once` until a round did nothing.

    A round returns how much it did; after nothing it is waited for `pause` seconds. Where it raises `Unavailable`,
    `failed` is told of that, and of the seconds until it is tried again; whatever else it raises ends the work.
    """
    in_a_row = 0
    while not stop():
        try:
            done = one()
        except Unavailable as error:
            wait = PAUSES[min(in_a_row, len(PAUSES) - 1)]
            in_a_row += 1
            failed(error, wait)
            pause_for(wait, stop)
            continue
        in_a_row = 0
        if done:
            continue
        if once:
            break
        pause_for(pause, stop)


def pause_for(seconds: float, stop: Callable[[], bool]) -> None:
    """Wait, no longer than until `stop`."""
    until = time.monotonic() + seconds
    while not stop() and (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))
