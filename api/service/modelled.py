"""What a shadow is worth by a model of the rewards, corrected by those that were seen: doubly robust.

The model learns the log as it is read, and predicts each page before it learns that: so what it says of a decision
knows nothing of what came of it, and the mean is right however wrong the model is. A good one makes intervals shorter.
"""

from __future__ import annotations

import numpy as np

from ...engine.estimate import difference, sequence
from ...engine.estimate.reward_model import MeanModel, RewardModel, RidgeModel
from ...engine.estimate.sequence import SequenceState
from ...engine.vocabulary import Array, Problem
from .estimates import LEVEL, Estimate

ARMS_MAX = 20  # of a decision the probabilities of all arms are asked for
LENGTH_MAX = 64  # of contexts: a regression is solved with each page


def model_of(problem: Problem, per_call: bool) -> RewardModel | None:
    """Return the model for a problem of arms: regressions on dense contexts, else means; None where there is none."""
    if per_call or problem.n_arms > ARMS_MAX:
        return None
    if problem.context_kind == "dense" and 0 < problem.context_shape[-1] <= LENGTH_MAX:
        return RidgeModel(problem, folds=1)
    return MeanModel(problem, folds=1)


class Modelled:
    """What is known of a shadow in this way, by decisions that came after a seq."""

    def __init__(self, since: int, limits: tuple[float, float] | None, bound: float | None) -> None:
        self.since = since
        self.bound = bound  # of weights; None where none is known, and then there are no intervals
        self._limits = limits
        self._sums = np.zeros(2)  # of decisions, and of what each tells
        self._against = {whom: np.zeros(2) for whom in ("live", "control")}  # the same of differences
        self._own: SequenceState | None = None
        self._differences: dict[str, SequenceState] = {}
        if bound is not None and limits is not None:
            self._own = sequence.start(bound)
            self._differences = {whom: difference.start(bound) for whom in ("live", "control")}

    def add(self, reward: Array, weight: Array, predicted: Array, expected: Array, others: dict[str, Array]) -> None:
        """Add n decisions, float64[n] each: rewards, weights, what the model expects of the action and the policy.

        NaN is the weight for another policy that was not there.
        """
        if self._limits is not None:
            low, high = self._limits
            reward, predicted, expected = (
                np.clip((one - low) / (high - low), 0.0, 1.0) for one in (reward, predicted, expected)
            )
        self._sums += len(reward), (expected + weight * (reward - predicted)).sum()
        if self._own is not None:
            sequence.add(self._own, reward, weight, (predicted, expected))
        for whom, other in others.items():
            there = np.isfinite(other)
            some, own, model, mean, other = (one[there] for one in (reward, weight, predicted, expected, other))
            told = mean - other * model + (own - other) * (some - model)
            self._against[whom] += len(told), told.sum()
            if whom in self._differences:
                difference.add(self._differences[whom], some, own, other, (model, mean))

    @property
    def value(self) -> Estimate:
        """What the policy is worth; an interval where the range of rewards and a bound of weights are known."""
        count, total = self._sums.tolist()
        low, width = self._scale
        if not count:
            return Estimate(None, None, None)
        if self._own is None:
            return Estimate(low + width * total / count, None, None)
        _, least, most = sequence.bounds(self._own, LEVEL)
        return Estimate(low + width * total / count, low + width * least, low + width * most)

    def against(self, whom: str) -> Estimate | None:
        """Return how much more it is worth than "live" or "control"; None where nothing tells."""
        count, total = self._against[whom].tolist()
        _, width = self._scale
        if not count:
            return None
        if whom not in self._differences:
            return Estimate(width * total / count, None, None)
        _, least, most = difference.bounds(self._differences[whom], LEVEL)
        return Estimate(width * total / count, width * least, width * most)

    @property
    def _scale(self) -> tuple[float, float]:
        return (0.0, 1.0) if self._limits is None else (self._limits[0], self._limits[1] - self._limits[0])
