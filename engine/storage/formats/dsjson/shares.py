"""Events that were dropped before they were logged, and what that does to propensities."""

from __future__ import annotations

from ....vocabulary import Array


class Shares:
    """Which part of the events was kept, and what a propensity is multiplied by for it."""

    def __init__(self) -> None:
        self.least, self.most = 1.0, 0.0
        self._n, self._events, self._propensity_max = 0, 0.0, 0.0

    def add(self, propensity: Array, kept: Array) -> None:
        """Count rows."""
        self.least, self.most = min(self.least, float(kept.min())), max(self.most, float(kept.max()))
        self._n += len(kept)
        self._events += float((1.0 / kept).sum())
        self._propensity_max = max(self._propensity_max, float((propensity * kept).max()))

    @property
    def differ(self) -> bool:
        """Whether not all events had the same share."""
        return self.least < self.most

    @property
    def mean(self) -> float:
        """Return how many events a row stands for."""
        return self._events / self._n if self._n else 1.0

    @property
    def factor(self) -> float:
        """Return `mean`, or less where a propensity would pass 1."""
        if not self.differ:
            return 1.0 / self.least
        return min(self.mean, 1.0 / self._propensity_max)
