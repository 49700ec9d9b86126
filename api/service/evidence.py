"""What a log says of the worth of policies: of each alone, and of one against another, whenever somebody looks.

Who decided was drawn, with shares that are known: so the reward of a decision, divided by the share of who made it, is
on average what that one is worth. What a shadow is worth is told by how likely it would have taken the logged actions,
beside how likely they were. Intervals are made of bets, and hold at every moment at once (engine/estimate/sequence.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...engine.estimate import difference, sequence
from ...engine.estimate.sequence import SequenceState
from ...engine.vocabulary import Array
from ..experiment.lineup_schemas import Guard
from .estimates import LEVEL, Estimate
from .modelled import Modelled


class Evidence:
    """What is known of one policy, by decisions that came after a moment.

    Of decisions for one unit the first one that is learned counts: who makes the later ones is not drawn anew.
    """

    def __init__(self, since: int, limits: tuple[float, float] | None, weight_max: float | None) -> None:
        self.since = since  # a seq
        self.decisions = 0  # that were made by this policy, or that it might have made
        self.seen = 0  # those that it did not make, too
        self.modelled: Modelled | None = None  # the same by a model, of a shadow
        self._limits = limits
        self._sums = np.zeros(3)  # of weights, of weighted rewards, and of squared weights
        self._own = sequence.start(weight_max)
        self._against = {whom: difference.start(weight_max) for whom in ("live", "control")}
        self._units: set[int] = set()

    def firsts(self, units: Sequence[str | None]) -> Array:
        """Tell which of n decisions count by whom they are for, bool[n]; those for nobody all do."""
        return np.array([unit is None or self._is_first(hash(unit)) for unit in units], np.bool_)

    def _is_first(self, unit: int) -> bool:
        before = len(self._units)
        self._units.add(unit)
        return len(self._units) > before

    def add(self, reward: Array, weight: Array, others: dict[str, Array]) -> None:
        """Add n decisions in the order in which their rewards came: rewards, and weights for this policy and others."""
        self.decisions += int(np.count_nonzero(weight))
        self.seen += len(weight)
        self._sums += weight.sum(), (weight * reward).sum(), (weight * weight).sum()
        if self._limits is None:
            return
        low, high = self._limits
        scaled = np.clip((reward - low) / (high - low), 0.0, 1.0)
        sequence.add(self._own, scaled, weight)
        for whom, other in others.items():
            difference.add(self._against[whom], scaled, weight, other)

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
