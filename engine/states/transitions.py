"""Laws of the next state: lists of the states that may come after each pair of a state and an action.

There are S states, and one place more: S says that the unit has ended. From there it goes on, in no time, in the state
in which a unit begins; so what S is worth is the mean over these, and values are float64[S + 1].

A plan (`planning.py`) asks for the largest mean of values that is believed possible of a pair, its `outlook`. Here is
one law a pair; sets of laws, L1 balls, boxes and KL balls, are in `balls.py`. Each function finds the kernel of the
class, as `engine/protocol.py` does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..kernel import KERNELS, generic, kernel, register
from ..vocabulary import Array


@generic
def arrange(laws: Any, value: Array) -> int:
    """Get ready for a sweep over all pairs by these values, float64[S + 1]. Return the multiply-adds that took."""
    return KERNELS[type(laws)]["arrange"](laws, value)


@generic
def outlook(laws: Any, s: int, a: int, value: Array) -> float:
    """Return the largest mean of `value`, float64[S + 1], over the laws of the next state after action a in state s."""
    return KERNELS[type(laws)]["outlook"](laws, s, a, value)


@generic
def effort(laws: Any, s: int, a: int) -> int:
    """Return about how many multiply-adds an outlook takes."""
    return KERNELS[type(laws)]["effort"](laws, s, a)


class Transitions(NamedTuple):
    """One law a pair: the states that may come, in ascending order, and how likely each is."""

    successors: Array  # int64[S, A] how many may come
    successor: Array  # int32[S, A, S + 1] which, in the first places
    chance: Array  # float64[S, A, S + 1] how likely each of them is


def transitions(states: int, n_arms: int) -> Transitions:
    """Return laws without any successor, to be written pair by pair."""
    shape = (states, n_arms, states + 1)
    return Transitions(np.zeros(shape[:2], np.int64), np.zeros(shape, np.int32), np.zeros(shape))


def transitions_of(table: Array) -> Transitions:
    """Return the laws of a table float64[S, A, S], or [S, A, S + 1] where units end; what is 0 takes no place."""
    states, n_arms, _ = table.shape
    laws = transitions(states, n_arms)
    for s in range(states):
        for a in range(n_arms):
            for after in np.flatnonzero(table[s, a]):
                append(laws, s, a, int(after), float(table[s, a, after]))
    return laws


@kernel
def clear(laws: Transitions, s: int, a: int) -> None:
    """Take all successors of a pair away."""
    laws.successors[s, a] = 0


@kernel
def append(laws: Transitions, s: int, a: int, after: int, chance: float) -> None:
    """Add a successor to those of a pair; they are added in ascending order."""
    slot = laws.successors[s, a]
    laws.successor[s, a, slot] = after
    laws.chance[s, a, slot] = chance
    laws.successors[s, a] = slot + 1


@kernel
def mean_after(laws: Transitions, s: int, a: int, value: Array) -> float:
    """Return the mean of `value` over the next state."""
    total = 0.0
    for i in range(laws.successors[s, a]):
        total += laws.chance[s, a, i] * value[laws.successor[s, a, i]]
    return total


@kernel
def _arrange_nothing(laws: Transitions, value: Array) -> int:
    return 0


@kernel
def _successors(laws: Transitions, s: int, a: int) -> int:
    return laws.successors[s, a]


register(Transitions, arrange=_arrange_nothing, outlook=mean_after, effort=_successors)
