"""The way of what policies are worth: their values at moments of the log, with intervals that hold at all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from .estimates import Estimate
from .evidence import Earned

KEPT = 80  # moments: 30 KB for two policies
FIRST_STRIDE = 2.0  # seconds between two of them, at first


class Worth(NamedTuple):
    """What policies were worth at a moment, by their numbers."""

    time: float  # seconds since 1970 UTC
    values: Mapping[int, Estimate]


class Worths:
    """Moments of a log, the first one first. Where they are as many as are kept every second one goes."""

    def __init__(self) -> None:
        self._moments: list[Worth] = []
        self._stride = FIRST_STRIDE
        self._last = -math.inf

    def add(self, time: float, earned: Mapping[int, Earned]) -> None:
        """Add what is known at a moment, unless it is too close to the last one."""
        if time - self._last < self._stride:
            return
        self._moments.append(worth(time, earned))
        self._last = time
        if len(self._moments) >= KEPT:
            self._moments = self._moments[::2]
            self._stride = max(2.0 * self._stride, (time - self._moments[0].time) / KEPT)

    @property
    def moments(self) -> list[Worth]:
        """Return them."""
        return list(self._moments)


def worth(time: float, earned: Mapping[int, Earned]) -> Worth:
    """Return what is known at a moment."""
    return Worth(time, {number: one.value for number, one in earned.items()})
