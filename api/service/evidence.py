"""What a log says of the worth of policies: of each alone, and of one against another, whenever somebody looks.

Who decided was drawn, with shares that are known: so the reward of a decision, divided by the share of who made it, is
on average what that one is worth. What a shadow is worth is told by how likely it would have taken the logged actions,
beside how likely they were. Intervals are made of bets, and hold at every moment at once (engine/estimate/sequence.py).
The value of a policy goes on from part to part; it is compared with others by what was decided since both had theirs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...engine.estimate import difference, sequence
from ...engine.estimate.sequence import SequenceState
from ...engine.storage.windows import Learned
from ...engine.vocabulary import Array
from ..experiment.lineup_schemas import Guard
from .estimates import LEVEL, Estimate
from .modelled import Modelled


class Counted:
    """Which decisions count: those that came after a moment, and of those for one unit the first that is learned.

    Who makes the later ones is not drawn anew.
    """

    def __init__(self, since: int) -> None:
        self.since = since  # a seq
        self._units: set[int] = set()

    def kept(self, rows: Sequence[Learned], weight: Array) -> Array:
        """Return the places of those among n decisions whose weight is known that count, int64[m]."""
        known = np.flatnonzero((np.array([row.seq for row in rows], np.int64) > self.since) & np.isfinite(weight))
        counts = [
            unit is None or self._is_first(hash(unit)) for unit in (rows[place].unit_id for place in known.tolist())
        ]
        return known[np.array(counts, np.bool_)]

    def _is_first(self, unit: int) -> bool:
        before = len(self._units)
        self._units.add(unit)
        return len(self._units) > before


class Earned(Counted):
    """What a policy earned, or would have, in all its parts; of an apprentice, since it is one."""

    def __init__(self, since: int, limits: tuple[float, float] | None, weight_max: float | None) -> None:
        super().__init__(since)
        self.decisions = 0  # that were made by this policy, or that it might have made
        self.units = 0  # of these, those that were for a unit
        self.seen = 0  # those that it did not make, too
        self._limits = limits
        self._sums = np.zeros(3)  # of weights, of weighted rewards, and of squared weights
        self._own = sequence.start(weight_max)

    def allow(self, weight_max: float | None) -> None:
        """Go on with weights up to a bound, or with any: bets that need a smaller one are given up."""
        if self._own.weight_max < (math.inf if weight_max is None else weight_max):
            self._own = sequence.without_bound(self._own)

    def add(self, rows: Sequence[Learned], weight: Array) -> None:
        """Add those of n decisions that count, in the order in which their rewards came; NaN: it has no weight."""
        kept = self.kept(rows, weight)
        reward, weight = np.array([rows[place].reward for place in kept.tolist()]), weight[kept]
        taken = kept[weight != 0.0].tolist()
        self.decisions += len(taken)
        self.units += sum(rows[place].unit_id is not None for place in taken)
        self.seen += len(kept)
        self._sums += weight.sum(), (weight * reward).sum(), (weight * weight).sum()
        if self._limits is not None:
            sequence.add(self._own, scaled(reward, self._limits), weight)

    @property
    def value(self) -> Estimate:
        """What the policy is worth: a mean weighted by itself; an interval where the range of rewards is known."""
        weights, weighted, _ = self._sums.tolist()
        mean = weighted / weights if weights else None
        if self._limits is None or not self.decisions:
            return Estimate(mean, None, None)
        low, high = self._limits
        _, least, most = sequence.bounds(self._own, LEVEL)
        return Estimate(mean, low + (high - low) * least, low + (high - low) * most)

    @property
    def agreement(self) -> float | None:
        """Of an apprentice: how likely it would have done what was done, on average."""
        return float(self._sums[0]) / self.seen if self.seen else None

    @property
    def effective(self) -> float | None:
        """How many decisions of its own would tell as much of its worth (Kish 1965)."""
        weights, _, squares = self._sums.tolist()
        return weights * weights / squares if squares else None


class Evidence(Counted):
    """How much more one policy is worth than others, by decisions that came since it got its part."""

    def __init__(self, since: int, limits: tuple[float, float] | None, weight_max: float | None) -> None:
        super().__init__(since)
        self.decisions = 0  # that were made by this policy, or that it might have made
        self.modelled: Modelled | None = None  # the same, and its value, by a model, of a shadow
        self._limits = limits
        self._against = {whom: difference.start(weight_max) for whom in ("live", "control")}

    def add(self, reward: Array, weight: Array, others: dict[str, Array]) -> None:
        """Add n decisions in the order in which their rewards came: rewards, and weights for this policy and others.

        NaN is the weight for one that was not there.
        """
        self.decisions += int(np.count_nonzero(weight))
        if self._limits is None:
            return
        reward = scaled(reward, self._limits)
        for whom, other in others.items():
            there = np.isfinite(other)
            difference.add(self._against[whom], reward[there], weight[there], other[there])

    def moved(self, guard: Guard) -> str | None:
        """Return what a guard says, "promoted" or "demoted"; None as long as nothing is sure."""
        if self._limits is None:
            return None
        state, width = self._against[guard.against], self._limits[1] - self._limits[0]
        level = 1.0 - guard.alpha
        if guard.promote_above is not None and difference.is_above(state, guard.promote_above / width, level):
            return "promoted"
        if guard.demote_below is not None and difference.is_below(state, guard.demote_below / width, level):
            return "demoted"
        return None

    def against(self, whom: str, level: float = LEVEL) -> Estimate | None:
        """Return how much more it is worth than "live" or "control"; None where nothing tells."""
        state: SequenceState = self._against[whom]
        if self._limits is None or not state.total[0]:
            return None
        width = self._limits[1] - self._limits[0]
        value, low, high = difference.bounds(state, level)
        return None if math.isnan(value) else Estimate(width * value, width * low, width * high)


def scaled(reward: Array, limits: tuple[float, float]) -> Array:
    """Return rewards as parts of the range that they lie in, float64[n]; what lies outside is at its end."""
    low, high = limits
    return np.asarray(np.clip((reward - low) / (high - low), 0.0, 1.0))
