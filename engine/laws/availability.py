"""Which arms can be chosen: counting the available ones, finding the n-th of them, and drawing a place among them.

>>> import numpy as np
>>> mask = np.array([True, False, True])
>>> (int(count_available(mask)), nth_available(mask, 1))
(2, 2)
"""

from __future__ import annotations

from ..draws import uniform
from ..kernel import kernel
from ..vocabulary import Array, Key


@kernel
def count_available(available: Array) -> int:
    """Return how many arms are available in a mask, bool[k]."""
    total = 0
    for a in range(len(available)):
        total += available[a]
    return total


@kernel
def nth_available(available: Array, place: int) -> int:
    """Return the available arm that has `place` available arms below it; -1 where there are not so many."""
    action = -1
    for a in range(len(available)):
        if available[a]:
            if place == 0:
                action = a
            place -= 1
    return action


@kernel
def even_place(count: int, key: Key) -> int:
    """Return one of the places 0 .. count - 1, each as likely, by the first draw of a key: that of an `even` policy."""
    return int(uniform(key, 0) * count)
