"""Values that policies learn without a model: Q of each pair of a state and an action, of what was open there last.

Cost: O(A); O(S A) for what follows the end of a unit.
"""

from __future__ import annotations

import math

from ..kernel import kernel
from ..rewards import reward_at
from ..vocabulary import Array, Instance, RewardRange
from .counts import Visits


@kernel
def best_of(seen: Visits, q: Array, s: int) -> float:
    """Return the largest q, float64[S, A], of what is open in a state."""
    best = -math.inf
    for a in range(q.shape[1]):
        if seen.open[s, a]:
            best = max(best, q[s, a])
    return best


@kernel
def best_after(seen: Visits, q: Array, after: int) -> float:
    """Return the largest q, float64[S, A], of what is open in the next state; S: the unit has ended, and one begins.

    Then it is the mean over the states in which units began, or over all that were met where that was never told.
    """
    states = len(seen.met)
    if after < states:
        return best_of(seen, q, after)
    begun = 0
    for s in range(states):
        begun += seen.begun[s]
    total, mean = 0, 0.0
    for s in range(states):
        weight = seen.begun[s] if begun > 0 else int(seen.met[s])
        if weight > 0:
            total += weight
            mean += weight * best_of(seen, q, s)
    return mean / total


@kernel
def appraise_values(
    rewards: RewardRange, seen: Visits, q: Array, gain: float, instance: Instance, scores: Array, widths: Array
) -> None:
    """Write the gain, less what is lost by choosing an action once; NaN where it was never learned in this state.

    `gain` and q, float64[S, A], are parts of the range, and scores, float64[A], are rewards. Widths are NaN: how unsure
    a value is nobody knows.
    """
    s = int(instance.context[0])
    best = best_of(seen, q, s)
    for a in range(len(instance.available)):
        widths[a] = math.nan
        scores[a] = math.nan
        if instance.available[a] and seen.visits[s, a] > 0:
            scores[a] = reward_at(rewards, gain + q[s, a] - best)
