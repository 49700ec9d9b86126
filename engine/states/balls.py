"""Sets of laws of the next state, around one that was counted: L1 balls, boxes and KL balls.

The most that a mean of values can be over such a set is what optimism believes (extended value iteration). Each inner
problem is solved to 1e-8 or better, and by its structure, not by a solver:

- L1 (Jaksch, Ortner, Auer 2010): half of the radius goes to the best state, and is taken from the worst ones;
- box (Fruit, Pirotta, Lazaric 2020): every state gets its least share, and what is left goes to the best ones in turn;
- KL (Filippi, Cappe, Garivier 2010): p_k is proportional to q_k / (nu - v_k), with the one nu that the radius allows.

Of a pair that was never tried, whose law lists no successor, everything is believed: it leads to the best state.
Cost: O(S + successors) an L1 ball or a box, some 10 times the successors and as many logarithms a KL ball, at most
O(S^2) to sort the values of a sweep, and O(S) where the order of the last sweep still holds.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..elementary import exp, log
from ..kernel import kernel, register
from ..vocabulary import Array
from .transitions import Transitions, transitions

_KL_STEPS = 100  # of Newton's or of bisection; some 8 are taken
_KL_EFFORT = 56  # multiply-adds a successor and evaluation: what a logarithm and two divisions take


class L1Balls(NamedTuple):
    """All laws p with sum |p - centre| <= radius."""

    centre: Transitions
    radius: Array  # float64[S, A]
    scratch_order: Array  # int64[S + 1] states, the best first; of equal ones the lower first
    scratch_share: Array  # float64[S + 1] all 0 between calls


class Boxes(NamedTuple):
    """All laws p with |p - centre| <= width in each state; the centre is 0 in states that are no successors."""

    centre: Transitions
    width: Array  # float64[S, A, S + 1] of each successor, in its place
    width_else: Array  # float64[S, A] of each other state
    ends: Array  # bool[1] whether units end at all: else S is no state that may come
    scratch_order: Array  # int64[S + 1] as in L1 balls
    scratch_room: Array  # float64[S + 1] all -1 between calls


class KlBalls(NamedTuple):
    """All laws p with KL(centre || p) <= radius."""

    centre: Transitions
    radius: Array  # float64[S, A]
    scratch_best: Array  # int64[1] the state of the largest value


def l1_balls(states: int, n_arms: int) -> L1Balls:
    """Return balls to be written pair by pair."""
    order, share = np.arange(states + 1), np.zeros(states + 1)
    return L1Balls(transitions(states, n_arms), np.zeros((states, n_arms)), order, share)


def boxes(states: int, n_arms: int) -> Boxes:
    """Return boxes to be written pair by pair."""
    centre, pairs = transitions(states, n_arms), (states, n_arms)
    width, room = np.zeros((*pairs, states + 1)), np.full(states + 1, -1.0)
    return Boxes(centre, width, np.zeros(pairs), np.zeros(1, np.bool_), np.arange(states + 1), room)


def kl_balls(states: int, n_arms: int) -> KlBalls:
    """Return balls to be written pair by pair."""
    return KlBalls(transitions(states, n_arms), np.zeros((states, n_arms)), np.zeros(1, np.int64))


@kernel
def sort_states(order: Array, value: Array) -> int:
    """Put the states in order of their values, the best first; of equal ones the lower first. Return the work."""
    work = len(order)
    for i in range(1, len(order)):
        moved = order[i]
        j = i
        while j > 0 and _is_before(moved, order[j - 1], value):
            order[j] = order[j - 1]
            j -= 1
            work += 1
        order[j] = moved
    return work


@kernel
def _is_before(one: int, other: int, value: Array) -> bool:
    return value[one] > value[other] or (value[one] == value[other] and one < other)


@kernel
def _arrange_l1(laws: L1Balls, value: Array) -> int:
    return sort_states(laws.scratch_order, value)


@kernel
def _arrange_boxes(laws: Boxes, value: Array) -> int:
    return sort_states(laws.scratch_order, value)


@kernel
def _arrange_kl(laws: KlBalls, value: Array) -> int:
    best = 0
    for s in range(1, len(value)):
        if value[s] > value[best]:
            best = s
    laws.scratch_best[0] = best
    return len(value)


@kernel
def _l1_outlook(laws: L1Balls, s: int, a: int, value: Array) -> float:
    order, share, centre = laws.scratch_order, laws.scratch_share, laws.centre
    best = order[0]
    n = centre.successors[s, a]
    if n == 0:
        return value[best]
    mean = 0.0
    for i in range(n):
        after = centre.successor[s, a, i]
        share[after] = centre.chance[s, a, i]
        mean += share[after] * value[after]
    moved = min(0.5 * laws.radius[s, a], 1.0 - share[best])
    mean += moved * value[best]
    k = len(order) - 1
    while moved > 0.0 and k > 0:
        taken = min(moved, share[order[k]])
        mean -= taken * value[order[k]]
        moved -= taken
        k -= 1
    for i in range(n):
        share[centre.successor[s, a, i]] = 0.0
    return mean


@kernel
def _box_outlook(laws: Boxes, s: int, a: int, value: Array) -> float:
    order, room, centre = laws.scratch_order, laws.scratch_room, laws.centre
    n = centre.successors[s, a]
    if n == 0:
        return value[order[0]]
    mean = 0.0
    left = 1.0
    for i in range(n):
        after, chance, width = centre.successor[s, a, i], centre.chance[s, a, i], laws.width[s, a, i]
        least = max(chance - width, 0.0)
        mean += least * value[after]
        left -= least
        room[after] = chance + width - least
    k = 0
    while left > 0.0 and k < len(order):
        after = order[k]
        if after < len(order) - 1 or laws.ends[0]:
            given = min(left, room[after] if room[after] >= 0.0 else laws.width_else[s, a])
            mean += given * value[after]
            left -= given
        k += 1
    for i in range(n):
        room[centre.successor[s, a, i]] = -1.0
    return mean


@kernel
def _kl_outlook(laws: KlBalls, s: int, a: int, value: Array) -> float:
    centre = laws.centre
    n = centre.successors[s, a]
    top = value[laws.scratch_best[0]]
    if n == 0:
        return top
    return kl_mean(centre.chance[s, a, :n], centre.successor[s, a, :n], laws.radius[s, a], value, top)


@kernel
def kl_mean(chance: Array, successor: Array, radius: float, value: Array, top: float) -> float:
    """Return the largest mean of `value` over all p with KL(chance || p) <= radius; `top` is the largest value.

    `chance` float64[n] are the shares, all > 0, of the states `successor`, int[n]. With nu = m + x, m the largest value
    that may come: p_k = chance_k r / (m - v_k + x), and x is where ln r + sum chance_k ln(m - v_k + x) is the radius, r
    what makes p a law. Where even x = 0 leaves some of the radius, which needs a best state that never came, that
    state gets the rest. m - v_k comes first: a tiny x would vanish in nu (1e-18 in it divides by zero).
    """
    mean, second = 0.0, 0.0
    for k in range(len(chance)):
        mean += chance[k] * value[successor[k]]
    for k in range(len(chance)):
        off = value[successor[k]] - mean
        second += chance[k] * off * off
    among = mean  # the largest value among those that came
    for k in range(len(chance)):
        among = max(among, value[successor[k]])
    if radius <= 0.0 or top - mean <= 1e-300:
        return mean
    if top > among:
        over, _ = _kl_excess(chance, successor, value, top, 0.0)
        if over <= radius:
            missing = 1.0 - exp(over - radius)  # the share of the best state
            return missing * top + (1.0 - missing) * _kl_tilted(chance, successor, value, top, 0.0)
    guess = mean + math.sqrt((second + 1e-300) / (2.0 * radius)) - top
    x = _kl_root(chance, successor, value, top, radius, max(guess, 1e-3 * (top - mean)))
    return _kl_tilted(chance, successor, value, top, x)


@kernel
def _kl_root(chance: Array, successor: Array, value: Array, top: float, radius: float, x: float) -> float:
    """Return the x at which the excess is the radius, by Newton's steps in ln x within what is known of it."""
    y = log(x)
    low, high = -700.0, 700.0  # of which all floats that count are powers
    for _ in range(_KL_STEPS):
        over, slope = _kl_excess(chance, successor, value, top, exp(y))
        if over > radius:
            low = y
        else:
            high = y
        to = y - (over - radius) / slope if slope < 0.0 else low - 1.0
        if not low < to < high:
            to = 0.5 * (low + high)
        step = to - y
        y = to
        if abs(step) < 1e-12 * max(1.0, abs(y)):
            break
    return exp(y)


@kernel
def _kl_excess(chance: Array, successor: Array, value: Array, top: float, x: float) -> tuple[float, float]:
    """Return sum chance ln d + ln sum chance / d with d = top - v + x, and its slope in ln x; x = 0 only if d > 0."""
    logs, inverse, near, square = 0.0, 0.0, 0.0, 0.0
    for k in range(len(chance)):
        d = (top - value[successor[k]]) + x
        share, part = chance[k] / d, x / d  # part in (0, 1]: no square of what is tiny
        logs += chance[k] * log(d)
        inverse += share
        near += chance[k] * part
        square += share * part
    return logs + log(inverse), near - square / inverse


@kernel
def _kl_tilted(chance: Array, successor: Array, value: Array, top: float, x: float) -> float:
    """Return the mean of the values by p_k proportional to chance_k / (top - v_k + x)."""
    total, weight = 0.0, 0.0
    for k in range(len(chance)):
        share = chance[k] / ((top - value[successor[k]]) + x)
        weight += share
        total += share * value[successor[k]]
    return total / weight


@kernel
def _l1_effort(laws: L1Balls, s: int, a: int) -> int:
    return len(laws.scratch_order) + 3 * laws.centre.successors[s, a]


@kernel
def _box_effort(laws: Boxes, s: int, a: int) -> int:
    return len(laws.scratch_order) + 3 * laws.centre.successors[s, a]


@kernel
def _kl_effort(laws: KlBalls, s: int, a: int) -> int:
    return 8 * _KL_EFFORT * laws.centre.successors[s, a]


register(L1Balls, arrange=_arrange_l1, outlook=_l1_outlook, effort=_l1_effort)
register(Boxes, arrange=_arrange_boxes, outlook=_box_outlook, effort=_box_effort)
register(KlBalls, arrange=_arrange_kl, outlook=_kl_outlook, effort=_kl_effort)
