"""Laws over actions, made from scores: greedy with a share for all, inverse gap weighting, softmax.

Each kernel writes the law over the available actions, float64[k], and 0 for the others; `draw` draws from it with one
uniform. The leader is the lowest available action of the highest score. `work_of(k)` makes the arrays; a context with
fewer actions than that uses their beginning.

>>> import numpy as np
>>> law = np.zeros(3)
>>> leader = inverse_gap(np.array([-0.1, -0.2, -0.4]), np.ones(3, np.bool_), 10.0, law)
>>> (leader, [round(float(p), 6) for p in law])
(0, [0.583333, 0.25, 0.166667])
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..elementary import exp, log
from ..kernel import kernel
from ..vocabulary import Array
from .availability import count_available


class Work(NamedTuple):
    """Working space of an explorer, for a field of its state whose name begins with `scratch_`."""

    score: Array  # float64[k] of the available actions; others hold what they held before
    width: Array  # float64[k]
    law: Array  # float64[k]
    only: Array  # bool[k], all False between calls


def work_of(k: int) -> Work:
    """Return working space for up to k actions."""
    return Work(np.zeros(k), np.zeros(k), np.zeros(k), np.zeros(k, np.bool_))


@kernel
def leader_of(scores: Array, available: Array) -> int:
    """Return the lowest available action of the highest score."""
    best = -math.inf
    leader = -1
    for a in range(len(available)):
        if available[a] and scores[a] > best:
            best = scores[a]
            leader = a
    return leader


@kernel
def span_of(available: Array, law: Array) -> int:
    """Return where the available actions end, and write 0 into `law` from there on.

    A log keeps calls of 7 and of 20 actions in rows of one width. Whoever hands over arrays up to here has the bits of
    the call again: sums in four lanes have others where zeros follow.
    """
    end = len(available)
    while end > 0 and not available[end - 1]:
        end -= 1
    for a in range(end, len(law)):
        law[a] = 0.0
    return end


@kernel
def greedy(scores: Array, available: Array, epsilon: float, law: Array) -> int:
    """Write 1 - epsilon for the leader and epsilon shared by all, the leader included; return the leader."""
    leader = leader_of(scores, available)
    share = epsilon / count_available(available)
    for a in range(len(available)):
        law[a] = share if available[a] else 0.0
    law[leader] += 1.0 - epsilon
    return leader


@kernel
def inverse_gap(scores: Array, available: Array, gamma: float, law: Array) -> int:
    """Write 1 / (k + gamma (best - score)) for all but the leader, who takes the rest; return the leader.

    Source: Abe and Long 1999; Foster and Rakhlin, "Beyond UCB: optimal and efficient contextual bandits with regression
    oracles", 2020. `gamma` >= 0, in units of 1 / reward; k counts the available actions.
    """
    leader = leader_of(scores, available)
    count = float(count_available(available))
    best = scores[leader]
    for a in range(len(available)):
        gap = best - scores[a] if available[a] else 0.0  # what is not available may have any score, so any gap
        share = 1.0 / (count + gamma * gap)
        law[a] = share if available[a] else 0.0
    law[leader] = 0.0
    law[leader] = 1.0 - total_of(law, len(available))
    return leader


@kernel
def softmax(scores: Array, available: Array, sharpness: float, law: Array) -> int:
    """Write exp(sharpness score) / sum; return the leader. `sharpness` >= 0, in units of 1 / reward."""
    leader = leader_of(scores, available)
    best = scores[leader]
    for a in range(len(available)):
        gap = best - scores[a] if available[a] else 0.0
        weight = exp(-sharpness * gap)
        law[a] = weight if available[a] else 0.0
    share = 1.0 / total_of(law, len(available))
    for a in range(len(available)):
        law[a] *= share
    return leader


@kernel
def power(n: float, exponent: float) -> float:
    """Return n^exponent, n > 0."""
    return math.sqrt(n) if exponent == 0.5 else exp(exponent * log(n))


@kernel
def total_of(law: Array, k: int) -> float:
    """Return the sum of the first k numbers, in four lanes: one running sum waits four cycles for each number."""
    s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
    whole = k - k % 4
    for a in range(0, whole, 4):
        s0 += law[a]
        s1 += law[a + 1]
        s2 += law[a + 2]
        s3 += law[a + 3]
    for a in range(whole, k):
        s0 += law[a]
    return (s0 + s1) + (s2 + s3)


@kernel
def draw(law: Array, leader: int, k: int, u: float) -> int:
    """Return the action of the first k in whose share of [0, 1) u lies; the leader's share comes first.

    So most decisions need no walk. An action of probability 0 is never returned: where rounding leaves u above the sum,
    the last one of positive probability is.
    """
    if u < law[leader]:
        return leader
    u -= law[leader]
    total = 0.0
    last = leader
    for a in range(k):
        if a != leader:
            total += law[a]
            if u < total:
                return a
            if law[a] > 0.0:
                last = a
    return last
