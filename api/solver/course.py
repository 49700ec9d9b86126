"""What a tuner has seen: the costs of its arms, the running median, and what each arm alone would have cost."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from typing import Any

MEDIAN_OF = 101  # the newest costs: a mesh that is refined changes the median within a hundred rounds
_COUNTS = ("rounds", "censored", "capped", "skipped", "clipped", "fallbacks")
_TOTALS = ("spent", "learned", "fallback")
_ARMS = ("played", "converged", "cost", "estimated", "variance", "square", "odds")


class Course:
    """The costs of k arms so far.

    What an arm would have cost in all rounds is estimated without bias by m + (c - m) / p in the rounds in which it was
    played, at cost c and with propensity p, and m in the others; m is its mean cost before the round, and before its
    first one that of all arms. (What a policy's model expects would do for m too, and does worse: a fit is farthest off
    where an arm is improbable.) The variance is the sum of (c - m)^2 (1 - p) / p over all rounds. Where the arm was
    played, (c - m)^2 (1 - p) / p^2 adds up to that, without bias as well, but rarely to enough: what is improbable and
    costly has mostly not been seen. So the mean of (c - m)^2 times the sum of (1 - p) / p, whose p are known in all
    rounds, is taken where it is more.
    """

    def __init__(self, k: int) -> None:
        self.rounds = self.censored = self.capped = self.skipped = self.clipped = self.fallbacks = 0
        self.spent = self.learned = self.fallback = 0.0  # costs of arms, as learned, and of safe arms in their place
        self.played = [0] * k
        self.converged = [0] * k
        self.cost = [0.0] * k  # sum of the learned costs
        self.estimated = [0.0] * k  # what the arm would have cost
        self.variance = [0.0] * k  # sum of (c - m)^2 (1 - p) / p^2 where it was played
        self.square = [0.0] * k  # sum of (c - m)^2
        self.odds = [0.0] * k  # sum of (1 - p) / p over all rounds
        self.weighed = True  # whether the law of every round was known
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
        if not (self.weighed and self.played[arm] and math.isfinite(self.odds[arm])):
            return math.nan, math.nan
        variance = max(self.variance[arm], self.square[arm] / self.played[arm] * self.odds[arm])
        return self.estimated[arm], math.sqrt(variance)

    def safe(self, default: int) -> int:
        """Return the arm of the least mean cost among those that always converged, or else that ever did."""
        played = [arm for arm, rounds in enumerate(self.played) if rounds]
        always = [arm for arm in played if self.converged[arm] == self.played[arm]]
        return min(always or [arm for arm in played if self.converged[arm]], key=self.mean, default=default)

    def add(self, arm: int, law: list[float] | None, cost: float, learned: float, converged: bool) -> None:
        """Take in one solve: what it cost, what of that was learned, and the law it was chosen by, if known. O(k)."""
        self.weighed = self.weighed and law is not None
        if self.weighed and law is not None:
            self._weigh(arm, law, learned)
        self.rounds += 1
        self.spent += cost
        self.learned += learned
        self.played[arm] += 1
        self.converged[arm] += converged
        self.cost[arm] += learned
        self.censored += not converged
        self.capped += converged and learned < cost
        self.note(cost if converged else math.inf)

    def _means(self) -> list[float]:
        """Return the mean cost of each arm, and of all arms where it was never played."""
        of_all = self.learned / max(self.rounds, 1)
        return [cost / played if played else of_all for cost, played in zip(self.cost, self.played, strict=True)]

    def _weigh(self, arm: int, law: list[float], cost: float) -> None:
        """Add a round to what each arm would have cost, and to its variance."""
        means = self._means()
        p, error = law[arm], cost - means[arm]
        self.estimated = [total + m for total, m in zip(self.estimated, means, strict=True)]
        self.estimated[arm] += error / p
        self.variance[arm] += error * error * (1.0 - p) / (p * p)
        self.square[arm] += error * error
        self.odds = [total + (1.0 / q - 1.0 if q > 0.0 else math.inf) for total, q in zip(self.odds, law, strict=True)]

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
        arms["odds"] = [odds if math.isfinite(odds) else None for odds in self.odds]
        return numbers | arms | {"newest": [cost if math.isfinite(cost) else None for cost in self._newest]}

    def restore(self, body: dict[str, Any]) -> None:
        """Go on from what was saved."""
        for name in (*_COUNTS, *_TOTALS, *_ARMS, "weighed"):
            setattr(self, name, body[name])
        self.odds = [math.inf if odds is None else odds for odds in self.odds]
        self._newest.extend(math.inf if cost is None else cost for cost in body["newest"])
        self._sorted = sorted(self._newest)
