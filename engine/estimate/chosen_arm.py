"""How sure the mean of an arm is that was chosen among many."""

from __future__ import annotations

import math

WRONG = 0.05  # chance that the interval of any arm is wrong, at any time


def interval(total: float, pulls: int, arms: int, reward_range: tuple[float, float]) -> tuple[float, float]:
    """Return an interval of the mean of an arm whose `pulls` rewards, each within a range, add up to `total`.

    It is Hoeffding's, with the chance of an error shared among both sides, all of the `arms` seen, and all numbers n of
    pulls, 1 / (n (n + 1)) each: so it holds for the best of them, and whenever one looks.

    >>> [round(end, 3) for end in interval(500.0, 1000, 1, (0.0, 1.0))]
    [0.406, 0.594]
    >>> [round(end, 3) for end in interval(500.0, 1000, 100_000, (0.0, 1.0))]
    [0.38, 0.62]
    """
    low, high = reward_range
    if pulls == 0:
        return low, high
    width = (high - low) * math.sqrt(math.log(2.0 * arms * pulls * (pulls + 1.0) / WRONG) / (2.0 * pulls))
    mean = total / pulls
    return max(mean - width, low), min(mean + width, high)
