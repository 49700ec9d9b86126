"""Laws of the next state as they were counted, and one visit more that led to any state alike.

Of a pair that was learned n times each of S states counts 1 / S more, and all of it n + 1. What was imagined is not
listed: a mean of values is a sum over the states that came, and once a sweep the mean of all values. The end of a unit
is no state that is imagined. So any state can be reached from any other, and a plan has one gain.
Cost: O(successors) an outlook, O(S) a sweep.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kernel import kernel, register
from ..vocabulary import Array
from .counts import Experience
from .transitions import Transitions, append, clear, mean_after, transitions


class Smoothed(NamedTuple):
    """One law a pair."""

    came: Transitions  # what was counted, as parts of n + 1 visits: they add up to less than 1
    imagined: Array  # float64[S, A] 1 / (n + 1), which all states share
    scratch_mean: Array  # float64[1] of the values of a sweep


def smoothed(states: int, n_arms: int) -> Smoothed:
    """Return the laws of pairs that were never learned: any state alike."""
    return Smoothed(transitions(states, n_arms), np.ones((states, n_arms)), np.zeros(1))


@kernel
def write_smoothed(laws: Smoothed, seen: Experience, s: int, a: int) -> None:
    """Write the law of a pair by what came so far."""
    visits = seen.visits[s, a] + 1.0
    laws.imagined[s, a] = 1.0 / visits
    clear(laws.came, s, a)
    for i in range(seen.successors[s, a]):
        after = seen.successor[s, a, i]
        append(laws.came, s, a, after, seen.following[s, a, after] / visits)


@kernel
def _arrange(laws: Smoothed, value: Array) -> int:
    total = 0.0
    for s in range(len(value) - 1):
        total += value[s]
    laws.scratch_mean[0] = total / (len(value) - 1)
    return len(value)


@kernel
def _outlook(laws: Smoothed, s: int, a: int, value: Array) -> float:
    return mean_after(laws.came, s, a, value) + laws.imagined[s, a] * laws.scratch_mean[0]


@kernel
def _effort(laws: Smoothed, s: int, a: int) -> int:
    return laws.came.successors[s, a] + 1


register(Smoothed, arrange=_arrange, outlook=_outlook, effort=_effort)
