"""What a tuner has seen: the costs of its arms, the running median, and what each arm alone would have cost."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from typing import Any

MEDIAN_OF = 101  # the newest costs: a mesh that is refined changes the median within a hundred rounds
_COUNTS = ("rounds", "censored", "capped", "skipped", "clipped", "fallbacks")
_TOTALS = ("spent", "learned", "fallback", "level")
_ARMS = ("played", "converged", "cost", "base", "base_since", "based", "variance")


class Course:
    """The costs of k arms so far.

    What an arm would have cost in all rounds is estimated without bias by m + (c - m) / p in the rounds in which it was
    played, at cost c and with propensity p, and m in the others; m is its mean cost before the round, and before its
    first one that of all arms. The sum of (c - m)^2 (1 - p) / p^2 over the rounds in which it was played
    estimates its variance.
    """

    def __init__(self, k: int) -> None:
        self.rounds = self.censored = self.capped = self.skipped = self.clipped = self.fallbacks = 0
        self.spent = self.learned = self.fallback = 0.0  # costs of arms, as learned, and of safe arms in their place
        self.level = 0.0  # sum of the m of an arm that was never played
        self.played = [0] * k
        self.converged = [0] * k
        self.cost = [0.0] * k  # sum of the learned costs
        self.base = [0.0] * k  # m
        self.base_since = [0] * k  # rounds before m became that
        self.based = [0.0] * k  # what the arm would have cost in those rounds
        self.variance = [0.0] * k  # of that
        self.weighed = True  # whether all propensities allow to estimate that
        self._newest: deque[float] = deque()
        self._sorted: list[float] = []

    @property
    def median(self) -> float:
        """The median of the newest costs; a solve that did not end costs more than all that did: inf."""
        return self._sorted[(len(self._sorted) - 1) // 2] if self._sorted else math.inf

    def mean(self, arm: int) -> float:
        """Return the mean cost of the rounds in which an arm was played, NaN if none."""
        return self.cost[arm] / self.played[arm] if self.played[arm] else math.nan

    def estimate(self, arm: int) -> tuple[float, float]:
        """Return what an arm would have cost in all rounds, and its standard error; NaN where that is unknown."""
        if not (self.weighed and self.played[arm]):
            return math.nan, math.nan
        rest = self.base[arm] * (self.rounds - self.base_since[arm])
        return self.based[arm] + rest, math.sqrt(self.variance[arm])

    def safe(self, default: int) -> int:
        """Return the arm of the least mean cost among those that always converged, or else that ever did."""
        played = [arm for arm, rounds in enumerate(self.played) if rounds]
        always = [arm for arm in played if self.converged[arm] == self.played[arm]]
        return min(always or [arm for arm in played if self.converged[arm]], key=self.mean, default=default)

    def add(self, arm: int, propensity: float, cost: float, learned: float, converged: bool) -> None:
        """Take in one solve: what it cost, and what of that was learned. O(log rounds)."""
        self.weighed = self.weighed and (0.0 < propensity < 1.0 or len(self.played) == 1)
        if self.weighed:
            self._weigh(arm, propensity, learned)
        self.rounds += 1
        self.spent += cost
        self.learned += learned
        self.played[arm] += 1
        self.converged[arm] += converged
        self.cost[arm] += learned
        self.base[arm] = self.mean(arm)
        self.base_since[arm] = self.rounds
        self.censored += not converged
        self.capped += converged and learned < cost
        self.note(cost if converged else math.inf)

    def _weigh(self, arm: int, propensity: float, cost: float) -> None:
        """Add this round, and those since its last one, to what the arm would have cost."""
        level = self.learned / self.rounds if self.rounds else 0.0
        if not self.played[arm]:
            self.based[arm], base = self.level, level
        else:
            base = self.base[arm]
            self.based[arm] += base * (self.rounds - self.base_since[arm])
        self.level += level
        error = cost - base
        self.based[arm] += base + error / propensity
        self.variance[arm] += error * error * (1.0 - propensity) / (propensity * propensity)

    def fall_back(self, cost: float) -> None:
        """Take in what the safe arm cost in place of another."""
        self.fallbacks += 1
        self.fallback += cost
        self.note(cost)

    def note(self, cost: float) -> None:
        """Take a cost into the median."""
        self._newest.append(cost)
        insort(self._sorted, cost)
        if len(self._newest) > MEDIAN_OF:
            del self._sorted[bisect_left(self._sorted, self._newest.popleft())]

    def to_json(self) -> dict[str, Any]:
        """Return what `restore` reads."""
        numbers = {name: getattr(self, name) for name in (*_COUNTS, *_TOTALS, "weighed")}
        arms = {name: list(getattr(self, name)) for name in _ARMS}
        return numbers | arms | {"newest": [cost if math.isfinite(cost) else None for cost in self._newest]}

    def restore(self, body: dict[str, Any]) -> None:
        """Go on from what was saved."""
        for name in (*_COUNTS, *_TOTALS, *_ARMS, "weighed"):
            setattr(self, name, body[name])
        self._newest.extend(math.inf if cost is None else cost for cost in body["newest"])
        self._sorted = sorted(self._newest)
