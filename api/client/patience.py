"""How long, and how often, a call is tried: until its deadline, with waits that grow and are drawn."""

from __future__ import annotations

import random
import time

import httpx

from ...engine.errors import OnearmError, Unavailable
from .bodies import refusal

AGAIN = frozenset({408, 429, 502, 503, 504})  # statuses after which the same call may succeed
HOPELESS = frozenset({"cannot_open", "database_lost"})  # codes of 503 that last until somebody mends the service
FIRST_S, LONGEST_S = 0.05, 2.0  # how long the first wait is at most, and any
UNKNOWN = frozenset({408, 502, 504})  # of these nobody knows what was done: not the service, nor a proxy that says them
UNSURE = frozenset({"node_unreachable"})  # codes of 503 that do not know either
UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)  # losses before anything was sent


class Patience:
    """One call that is tried again; to be told of each failure."""

    def __init__(self, seconds: float, *, once: bool = False) -> None:
        self.seconds = seconds
        self.until = time.monotonic() + seconds
        self._once = once  # whether what may have been done already is not tried again
        self._longest = FIRST_S

    def left(self) -> float:
        """Return how many seconds are left, at least a hundredth."""
        return max(self.until - time.monotonic(), 0.01)

    def after_loss(self, error: httpx.TransportError) -> float:
        """Return how long to wait after a connection failed or was lost; raises `Unavailable` at the deadline."""
        said = str(error) or type(error).__name__
        if self._once and not isinstance(error, UNSENT):
            raise _unknown(said)
        lost = Unavailable("no_service", f"no service answers ({said}): see that it runs at that address")
        return self._wait(lost, 0.0)

    def after_answer(self, answer: httpx.Response) -> float:
        """Return how long to wait after an answer that says so; raises what it says where that is for good."""
        refused = refusal(answer.status_code, answer.content)
        if answer.status_code not in AGAIN or refused.code in HOPELESS:
            raise refused
        if self._once and (answer.status_code in UNKNOWN or refused.code in UNSURE):
            raise _unknown(str(refused))
        try:
            at_least = float(answer.headers.get("retry-after", 0))
        except ValueError:  # a date, which our service does not send
            at_least = 1.0
        return self._wait(refused, at_least)

    def _wait(self, refused: OnearmError, at_least: float) -> float:
        """Return a wait that is drawn, so that clients that failed together do not come back together."""
        wait = at_least + random.uniform(0.0, self._longest)
        self._longest = min(2.0 * self._longest, LONGEST_S)
        if time.monotonic() + wait >= self.until:
            raise refused
        return wait


def _unknown(said: str) -> Unavailable:
    return Unavailable(
        "unknown_outcome",
        f"the answer was lost ({said}), and this call does something more where it is sent again: see whether it was "
        "done, and send it again if it was not",
    )
