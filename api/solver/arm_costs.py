"""What a tuner has seen: the costs of its arms, the running median, and what each arm alone would have cost."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from typing import Any

from .. import saving

MEDIAN_OF = 101  # the newest costs: a mesh that is refined changes the median within a hundred rounds
_COUNTS = ("rounds", "censored", "capped", "skipped", "clipped", "fallbacks", "compared")
_TOTALS = ("spent", "learned", "fallback", "compared_cost", "level")
_ARM_COUNTS = ("played", "converged", "certain", "since")
_ARM_TOTALS = ("cost", "variance", "square", "odds")


class Median:
    """The median of the newest costs; a solve that did not end costs more than all that did: inf.

    >>> median = Median()
    >>> for cost in (30.0, math.inf, 50.0, 10.0):
    ...     median.add(cost)
    >>> median.value
    30.0
    """

    def __init__(self) -> None:
        self.newest: deque[float] = deque()
        self._sorted: list[float] = []

    @property
    def value(self) -> float:
        """The median, the lower one of two; inf where nothing was added."""
        return self._sorted[(len(self._sorted) - 1) // 2] if self._sorted else math.inf

    def add(self, cost: float) -> None:
        """Take a cost in, and forget the oldest where there are too many."""
        self.newest.append(cost)
        insort(self._sorted, cost)
        if len(self.newest) > MEDIAN_OF:
            del self._sorted[bisect_left(self._sorted, self.newest.popleft())]


class ArmCosts:
    """The costs of k arms so far.

    What an arm would have cost in all rounds but the first is estimated without bias by m + (c - m) / p in the rounds
    in which it was played, at cost c and with propensity p, and m in the others; m is its mean cost before the round,
    and before its first one that of all arms. (What a policy's model expects would do for m too, and does worse: a fit
    is farthest off where an arm is improbable.) The first round has no m before it.

    The variance is the sum of (c - m)^2 (1 - p) / p over all those rounds. Where the arm was played,
    (c - m)^2 (1 - p) / p^2 adds up to that, without bias as well, but rarely to enough: what is improbable and costly
    has mostly not been seen. So the mean of (c - m)^2 times the sum of (1 - p) / p is taken where it is more. That sum
    needs no law of the policy, which may cost K times a decision: (1 - p) / p is how many rounds one waits for an arm,
    so the rounds since the arm was last played stand for it, round by round.

    An arm that another one was preferred to with certainty, as by a policy that does not draw, has no estimate.
    """

    def __init__(self, k: int) -> None:
        self.rounds = self.censored = self.capped = self.skipped = self.clipped = self.fallbacks = 0
        self.spent = self.learned = self.fallback = 0.0  # costs of arms, as learned, and of safe arms in their place
        self.played = [0] * k
        self.converged = [0] * k
        self.cost = [0.0] * k  # sum of the learned costs
        self.weighed = True  # whether all propensities were known: what follows is for estimates, and of no use else
        self.compared = 0  # rounds but the first
        self.compared_cost = 0.0  # what was learned in these
        self.level = 0.0  # sum over these of the mean cost of all arms before the round
        self.certain = [0] * k  # those of all rounds in which the arm was played with certainty
        self.since = [0] * k  # `compared` when the arm was last played: the sums below are up to there
        self.estimated = [0.0] * k  # what the arm would have cost
        self.variance = [0.0] * k  # sum of (c - m)^2 (1 - p) / p^2
        self.square = [0.0] * k  # sum of (c - m)^2
        self.odds = [0.0] * k  # sum over the rounds of how many passed since the arm was played
        self._newest = Median()

    @property
    def median(self) -> float:
        """The median of the newest costs, inf where there are none."""
        return self._newest.value

    def mean(self, arm: int) -> float:
        """Return the mean cost of the rounds in which an arm was played, NaN if none."""
        return self.cost[arm] / self.played[arm] if self.played[arm] else math.nan

    def total(self, arm: int) -> float:
        """Return what an arm would have cost in all rounds but the first."""
        if not self.played[arm]:
            return self.level
        return self.estimated[arm] + (self.compared - self.since[arm]) * self.mean(arm)

    def estimate(self, arm: int) -> tuple[float, float]:
        """Return that and its standard error; NaN where it is unknown."""
        if not (self.weighed and self.played[arm] and self.compared and sum(self.certain) == self.certain[arm]):
            return math.nan, math.nan
        waited = self.compared - self.since[arm]
        odds = self.odds[arm] + waited * (waited - 1) / 2
        variance = max(self.variance[arm], self.square[arm] / self.played[arm] * odds)
        return self.total(arm), math.sqrt(variance)

    def safe(self, default: int) -> int:
        """Return the arm of the least mean cost among those that always converged, or else that ever did."""
        played = [arm for arm, rounds in enumerate(self.played) if rounds]
        always = [arm for arm in played if self.converged[arm] == self.played[arm]]
        return min(always or [arm for arm in played if self.converged[arm]], key=self.mean, default=default)

    def add(self, arm: int, propensity: float | None, cost: float, learned: float, converged: bool) -> None:
        """Take in one solve: what it cost, what of that was learned, and the propensity of its arm, if known."""
        self.weighed = self.weighed and propensity is not None
        if propensity is not None and self.weighed:
            self._weigh(arm, propensity, learned)
        self.rounds += 1
        self.spent += cost
        self.learned += learned
        self.played[arm] += 1
        self.converged[arm] += converged
        self.cost[arm] += learned
        self.censored += not converged
        self.capped += converged and learned < cost
        self.note(cost if converged else math.inf)

    def _weigh(self, arm: int, p: float, cost: float) -> None:
        """Add a round to what its arm would have cost. O(1): the sums of the others wait until they are played."""
        self.certain[arm] += p >= 1.0
        if not self.rounds:
            return
        of_all, waited = self.learned / self.rounds, self.compared - self.since[arm]
        m = self.mean(arm) if self.played[arm] else of_all
        error = cost - m
        self.estimated[arm] = self.total(arm) + m + error / p
        self.variance[arm] += error * error * (1.0 - p) / (p * p)
        self.square[arm] += error * error
        self.odds[arm] += waited * (waited + 1) / 2
        self.compared += 1
        self.compared_cost += cost
        self.level += of_all
        self.since[arm] = self.compared

    def fall_back(self, cost: float) -> None:
        """Take in what the safe arm cost in place of another."""
        self.fallbacks += 1
        self.fallback += cost
        self.note(cost)

    def note(self, cost: float) -> None:
        """Take a cost into the median."""
        self._newest.add(cost)

    def to_json(self) -> dict[str, Any]:
        """Return what `restore` reads."""
        numbers = {name: getattr(self, name) for name in (*_COUNTS, *_TOTALS, "weighed")}
        arms = {name: list(getattr(self, name)) for name in (*_ARM_COUNTS, *_ARM_TOTALS, "estimated")}
        newest = [cost if math.isfinite(cost) else None for cost in self._newest.newest]
        return numbers | arms | {"newest": newest}

    def restore(self, saved: Any) -> None:
        """Go on from what was saved; raise `Damaged` where that cannot be what `to_json` returned."""
        body, k = saving.checked_table("course", saved), len(self.played)
        for name in _COUNTS:
            setattr(self, name, saving.checked_whole(name, body.get(name)))
        for name in _TOTALS:
            setattr(self, name, saving.checked_number(name, body.get(name), low=0.0))
        for name in _ARM_COUNTS:
            setattr(self, name, [saving.checked_whole(name, n) for n in saving.checked_list(name, body.get(name), k)])
        for name in _ARM_TOTALS:
            counts = saving.checked_list(name, body.get(name), k)
            setattr(self, name, [saving.checked_number(name, n, low=0.0) for n in counts])
        estimated = saving.checked_list("estimated", body.get("estimated"), k)
        self.estimated = [saving.checked_number("estimated", n) for n in estimated]
        self.weighed = saving.checked_truth("weighed", body.get("weighed"))
        for cost in saving.checked_list("newest", body.get("newest"), MEDIAN_OF, at_most=True):
            self.note(math.inf if cost is None else saving.checked_number("newest", cost, low=0.0))
