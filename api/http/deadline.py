"""How long whoever asks waits for an answer, as the header X-Request-Timeout says in seconds.

What comes too late for that is not begun, and a node waits no longer for another one, which it tells what is left.
"""

from __future__ import annotations

import math
import time

from starlette.types import Scope

from ...engine.errors import InvalidInput, Unavailable
from ...engine.storage.numerals import number_in

TIMEOUT = b"x-request-timeout"
UNTIL = "until"  # the key of a request's scope at which the moment is kept
BEGUN = "begun"  # the same of when the request came (`perf_counter`), where its body was waited for first


def check_time(scope: Scope, begun: float) -> None:
    """Keep until when whoever asks waits, where that is said; `begun` is when the request came (`perf_counter`).

    Raises `Unavailable` ("too_late") where that is over, and `InvalidInput` ("bad_timeout") where it is no time.
    """
    said = scope["fields"].get(TIMEOUT)
    if said is None:
        return
    scope[UNTIL] = begun + seconds_of(said)
    if time.perf_counter() >= scope[UNTIL]:
        raise too_late()


def seconds_left(scope: Scope) -> float | None:
    """Return for how many seconds whoever asks still waits, None where that was not said; raises as `check_time`."""
    until = scope.get(UNTIL)
    if until is None:
        return None
    left: float = until - time.perf_counter()
    if left <= 0:
        raise too_late()
    return left


def seconds_of(said: bytes) -> float:
    """Return the seconds that a header says.

    >>> seconds_of(b"1.5")
    1.5
    """
    seconds = number_in(said.decode("latin-1"))
    if not 0 <= seconds < math.inf:
        raise InvalidInput(
            "bad_timeout",
            f"X-Request-Timeout is {said.decode('latin-1')[:40]!r}: give the seconds that you wait for, as 1.5",
        )
    return seconds


def too_late() -> Unavailable:
    """Return what is raised where nobody waits for an answer any more."""
    return Unavailable(
        "too_late",
        "the time that X-Request-Timeout gives was over before there was an answer: what was asked may still be done, "
        "so ask again with the same ids, and give more time where this comes often",
    )
