"""Are the logged propensities true? A bet against it, that may be looked at always.

Under true propensities weights are >= 0 and average 1, given the past, and so is 1{action = a} / propensity for each
arm a. Bets eta (w - 1) with 0 < eta < 1 win where weights are too large: 1 + eta (w - 1) stays positive whatever comes.
Bets against too small ones, eta (1 - w), need a bound of the weights, or one large weight could ruin more than there
is. The capital, 1 at the start, is an e-process: with probability 1 - alpha it never reaches 1 / alpha while the
propensities are true.

That the likeliest action is taken more often than its propensity says is told by no arm where it is another one each
time. So half of the capital is bet on sizes: at most m arms can have a propensity above 1 / (m + 1), so that
1{propensity > 1 / (m + 1)} / (m propensity) is on average 1 at most, for every m. It is never above (m + 1) / m. What
is above by no more than 0.001 does not count, which leaves that as it is: a third is above 1 / 3 in single precision,
and as 0.334.

Source: Ramdas, Gruenwald, Vovk, Shafer, "Game-theoretic statistics and safe anytime-valid inference", 2023; the test of
the mean weight: Karampatziakis, Mineiro, Ramdas, "Off-policy confidence sequences", 2021. Bets of all sizes, each with
its share of the capital, as in `sequence`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..elementary import exp, log
from ..errors import InvalidInput
from ..kernel import kernel, kernel_beside, loop, routine
from ..vocabulary import Array
from .capital import EState, log_e, log_e_in_loops
from .sequence import check_bound, check_lengths, check_moments

_SIZES = 2.0 ** np.arange(-16, 0)  # of bets; the largest risks half of the capital
_ROOM = 0.01  # above 1, of bounds that leave less: bets on small weights must end somewhere
_ROUNDING = 1e-9  # by which a probability, a sum of others, may be above 1
_ROUNDED = 1e-3  # by which a propensity may be above 1 / (m + 1) by rounding alone
_EVERY = 64  # decisions between two looks at the capital, and factors of a product
_TURN = 512  # decisions after which what bets are worth is told anew
CROWDS = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64])  # m, of bets on propensities above 1 / (m + 1)
_CROWD_SIZES = 2.0 ** np.arange(-7, 0, 2)  # of these: nothing that is bet on can grow more than twice
_CROWD_IDLE = np.log1p(-_CROWD_SIZES)  # what such a bet grows by where propensities are small
_LARGE = 1e4  # above 1: with a weight beyond this 64 factors may be more than a float holds
_CLOSE = 1e-9  # by which sums of logarithms may be off
_LEAST = 1e-290  # what a bet is worth at least: what is far smaller slows a processor down


class EProcess(NamedTuple):
    """The capital of a bettor against a claim, at m moments."""

    at: Array  # int64[m], decisions so far
    log_e: Array  # float64[m], ln of the capital
    alarm_at: int | None  # decisions after which it had reached 1 / alpha for the first time


def weight_e_process(
    weight: Array,
    weight_max: float | None = None,
    alpha: float = 0.05,
    at: Array | None = None,
    missing: int = 0,
) -> EProcess:
    """Test whether weights, float64[n] of target / propensity, average 1.

    `weight_max` is a bound of the weights that was known before the log was read; without it only too large weights are
    found, for the others may wait for a weight not seen yet. The alarm is looked for after every decision. Weights that
    are `missing` count as 0, as if they had come first.

    Assumes: a target that takes no action which the logger never would.
    Refuses: weights below 0, and above `weight_max`.

    >>> weight_e_process(np.tile([2.0, 0.0], 500), 2.0).alarm_at
    >>> weight_e_process(np.tile([2.0, 0.0, 0.0], 500), 2.0).alarm_at
    117
    """
    weight = np.ascontiguousarray(weight, np.float64)
    state = start_weights(weight_max, alpha)
    if len(weight) and not weight.min() >= 0.0:
        row = int(np.argmin(weight >= 0.0))
        raise InvalidInput("weight", f"the weight of row {row} is {weight[row]:g}: it must be 0 or more")
    check_bound(weight, math.inf if weight_max is None else weight_max)
    moments = check_moments(at, missing + len(weight))
    found = np.empty(len(moments))
    given = state, weight, missing, moments, found
    _add_until.compiled(*given)(*given)
    return EProcess(moments, found, int(state.seen[1]) or None)


def action_e_process(
    action: Array,
    propensity: Array,
    n_arms: int,
    propensity_min: float | None = None,
    alpha: float = 0.05,
    at: Array | None = None,
) -> EProcess:
    """Test whether 1{action = a} / propensity averages 1 for every arm a, and whether large propensities are rare.

    The capital is half the mean of the arms' e-processes, and half that of propensities above 1 / (m + 1).

    Columns: `action`, int64[n], and `propensity`, float64[n]. `at`, int64[m], are numbers of decisions after which the
    wealth is told; log-spaced if left out. `propensity_min` is a floor of the propensities that was known before the
    log was read; without it only arms that are taken too often are found. The alarm is looked for after every 64
    decisions.

    Assumes: every arm has a positive probability at every decision.
    Refuses: actions that are no arm, and propensities outside [propensity_min, 1].

    >>> arms = np.tile([0, 1, 2, 3], 250)
    >>> action_e_process(arms, np.full(1000, 0.25), 4, 0.25).alarm_at
    >>> action_e_process(np.maximum(arms, 1), np.full(1000, 0.25), 4, 0.25).alarm_at
    64
    """
    action = np.ascontiguousarray(action, np.int64)
    propensity = np.ascontiguousarray(propensity, np.float64)
    check_lengths(n=action, propensity=propensity)
    least = 0.0 if propensity_min is None else propensity_min
    if len(action):
        _check_actions(action, propensity, n_arms, least)
    state = start_actions(n_arms, propensity_min, alpha)
    moments = check_moments(at, len(action))
    first, found = 0, []
    add, look = add_actions.compiled(state, action, propensity), log_e.compiled(state)
    for last in moments.tolist():
        add(state, action[first:last], propensity[first:last])
        found.append(look(state))
        first = last
    return EProcess(moments, np.array(found), int(state.seen[1]) or None)


def _check_actions(action: Array, propensity: Array, n_arms: int, least: float) -> None:
    """Refuse the first row, of one or more, whose action is no arm or whose propensity is outside [least, 1]."""
    low, high = propensity.min(), propensity.max()
    if action.min() >= 0 and action.max() < n_arms and low > 0.0 and low >= least and high <= 1.0 + _ROUNDING:
        return
    good = (action >= 0) & (action < n_arms) & (propensity > 0.0) & (propensity >= least)
    row = int(np.argmin(good & (propensity <= 1.0 + _ROUNDING)))
    raise InvalidInput(
        "action",
        f"row {row} has action {action[row]} with propensity {propensity[row]:g}: actions must be in 0 .. "
        f"{n_arms - 1} and propensities in ({least:g}, 1]",
    )


def start_weights(weight_max: float | None = None, alpha: float = 0.05) -> EState:
    """Return the state before the first weight."""
    return _start(1, weight_max, alpha, CROWDS[:0])


def start_actions(n_arms: int, propensity_min: float | None = None, alpha: float = 0.05) -> EState:
    """Return the state before the first action."""
    if propensity_min is not None and not 0.0 < propensity_min <= 1.0:
        raise InvalidInput("propensity_min", f"propensity_min is {propensity_min}: it must be in (0, 1]")
    return _start(n_arms, None if propensity_min is None else 1.0 / propensity_min, alpha, CROWDS[n_arms >= CROWDS])


def above(crowds: Array) -> Array:
    """Return what takes a propensity above 1 that is above 1 / (m + 1) by more than rounding, of each m of int64[n]."""
    return 1.0 / (1.0 / (crowds + 1.0) + _ROUNDED)


@loop
def add_weights(state: EState, weight: Array) -> None:
    """Add weights, float64[n], to a state of `start_weights`; look for the alarm after each."""
    _add_weights(state, weight, 0, len(weight))


@loop
def _add_until(state: EState, weight: Array, missing: int, moments: Array, found: Array) -> None:
    """Add so many weights of 0, and then the others, until each of m moments; write ln of the capital, float64[m]."""
    for k in range(len(moments)):
        while state.seen[0] < min(missing, moments[k]):
            _add_one(state, 0.0)
        _add_weights(state, weight, state.seen[0] - missing, moments[k] - missing)
        found[k] = log_e_in_loops(state)


@routine
def _add_weights(state: EState, weight: Array, first: int, last: int) -> None:
    """Add the weights in first .. last - 1; where none of the next 64 can bring the alarm, they are added at once."""
    i = first
    while i < last:
        if state.taken[0] == 0 and i + _EVERY <= last and _is_quiet(state, weight, i):
            _bet_at_once(state, weight, i)
            state.seen[0] += _EVERY
            i += _EVERY
        else:
            _add_one(state, weight[i])
            i += 1


@kernel
def _add_one(state: EState, weight: float) -> None:
    _bet(state, 0, weight - 1.0)
    state.seen[0] += 1
    _look(state)


@loop
def add_actions(state: EState, action: Array, propensity: Array) -> None:
    """Add actions, int64[n], and their propensities, float64[n], to a state of `start_actions`."""
    for i in range(len(action)):
        _bet(state, action[i], 1.0 / propensity[i] - 1.0)
        _bet_on_crowds(state, propensity[i])
        state.seen[0] += 1
        if state.seen[0] % _EVERY == 0:
            _go_on(state)
            _look(state)
            if state.seen[0] % _TURN == 0:
                _turn(state)


@kernel
def _is_quiet(state: EState, weight: Array, first: int) -> bool:
    """Whether the next 64 weights are small, and none of them can bring the alarm: ln(1 + x) is x at most."""
    above = below = 0.0
    for i in range(first, first + _EVERY):
        gap = weight[i] - 1.0
        above += gap if gap > 0.0 else 0.0
        below += gap if gap < 0.0 else 0.0
    largest = -math.inf
    for j in range(len(state.size)):
        largest = max(largest, state.growth[0, j] + state.size[j] * (above if state.size[j] > 0.0 else below))
    return above <= _LARGE and (largest < state.limit - _CLOSE or state.seen[1] > 0)


def _bet_at_once_in_python(state: EState, weight: Array, first: int) -> None:
    for factor in 1.0 + state.size * (weight[first : first + _EVERY, np.newaxis] - 1.0):
        state.product[0] *= factor
    _fold(state, 0)


@kernel_beside(_bet_at_once_in_python)
def _bet_at_once(state: EState, weight: Array, first: int) -> None:
    """Let the bets on weights, whose products begin, grow by 64 of them."""
    product, size = state.product[0], state.size
    for i in range(first, first + _EVERY):
        gap = weight[i] - 1.0
        for j in range(len(size)):
            product[j] *= 1.0 + size[j] * gap
    _fold(state, 0)


def _bet_in_python(state: EState, a: int, gap: float) -> None:
    state.taken[a] += 1
    factor = 1.0 + state.size * gap
    if gap > _LARGE:
        state.taken[a] = _EVERY
        state.growth[a] += np.array([log(x) for x in factor.tolist()]) - state.idle
    else:
        state.product[a] *= factor * state.scale
    if state.taken[a] == _EVERY:
        _fold(state, a)


@kernel_beside(_bet_in_python)
def _bet(state: EState, a: int, gap: float) -> None:
    """Let the bets on arm `a` grow by a weight that is `gap` above 1.

    Their products are kept, and one logarithm serves many factors: 64 of them stay within what a float holds.
    """
    state.taken[a] += 1
    if gap > _LARGE:
        state.taken[a] = _EVERY
        for j in range(len(state.size)):
            state.growth[a, j] += log(1.0 + state.size[j] * gap) - state.idle[j]
    else:
        for j in range(len(state.size)):
            state.product[a, j] *= (1.0 + state.size[j] * gap) * state.scale[j]
    if state.taken[a] == _EVERY:
        _fold(state, a)


def _bet_on_crowds_in_python(state: EState, propensity: float) -> None:
    large = propensity * state.crowd_above > 1.0
    state.crowd_product[large] *= 1.0 + state.crowd_slope[large] * (1.0 / propensity)


@kernel_beside(_bet_on_crowds_in_python)
def _bet_on_crowds(state: EState, propensity: float) -> None:
    """Let the bets on large propensities grow: by 1 + slope / propensity where it is one."""
    inverse = 1.0 / propensity
    for q in range(len(state.crowd_product)):
        grown = 1.0 + state.crowd_slope[q] * inverse
        state.crowd_product[q] *= grown if propensity * state.crowd_above[q] > 1.0 else 1.0


@routine
def _fold(state: EState, a: int) -> None:
    """Put the logarithms of an arm's products where those before them are, and begin new products."""
    state.taken[a] = 0
    turned = state.seen[0] - state.seen[0] % _TURN
    for j in range(len(state.size)):
        state.growth[a, j] += log(state.product[a, j])
        state.product[a, j] = 1.0
        state.worth[a, j] = max(exp(state.growth[a, j] + turned * state.idle[j] - state.limit), _LEAST)


@kernel
def _go_on(state: EState) -> None:
    """Let what all bets are worth change as it does where other arms are taken, from one look to the next."""
    for j in range(len(state.step)):
        state.change[j] *= state.step[j]
    for q in range(len(state.crowd_step)):
        state.crowd_worth[q] *= state.crowd_step[q]


@kernel
def _turn(state: EState) -> None:
    """Tell anew what bets are worth, before it is more or less than a float holds; fold the products of crowds."""
    for a in range(len(state.worth)):
        for j in range(len(state.change)):
            state.worth[a, j] = max(state.worth[a, j] * state.change[j], _LEAST)
    for j in range(len(state.change)):
        state.change[j] = 1.0
    for q in range(len(state.crowd_product)):
        state.crowd_growth[q] += log(state.crowd_product[q])
        state.crowd_product[q] = 1.0
        reached = state.crowd_growth[q] + state.seen[0] * state.crowd_idle[q] - state.limit
        state.crowd_worth[q] = max(exp(reached), _LEAST)


@kernel
def _look(state: EState) -> None:
    """Raise the alarm where the capital has reached the limit for the first time."""
    if state.seen[1] == 0 and _reach(state) >= 1.0 - _CLOSE and log_e_in_loops(state) >= state.limit:
        state.seen[1] = state.seen[0]


def _reach_in_python(state: EState) -> float:
    state.scratch_total[:] = (state.product * state.worth).sum(axis=0)
    of_arms = (state.scratch_total * state.change).mean() / len(state.product)
    of_crowds = (state.crowd_product * state.crowd_worth).mean() if len(state.crowd) else of_arms
    return float(0.5 * (of_arms + of_crowds))


@kernel_beside(_reach_in_python)
def _reach(state: EState) -> float:
    """Return the capital as a part of what the alarm takes, but for the last digits; 1e-290 or more."""
    n_arms, n_sizes = state.product.shape
    for j in range(n_sizes):
        state.scratch_total[j] = 0.0
    for a in range(n_arms):
        for j in range(n_sizes):
            state.scratch_total[j] += state.product[a, j] * state.worth[a, j]
    of_arms = 0.0
    for j in range(n_sizes):
        of_arms += state.scratch_total[j] * state.change[j]
    of_arms /= n_arms * n_sizes
    if len(state.crowd) == 0:
        return of_arms
    of_crowds = 0.0
    for q in range(len(state.crowd_product)):
        of_crowds += state.crowd_product[q] * state.crowd_worth[q]
    return 0.5 * (of_arms + of_crowds / len(state.crowd_product))


def add_many(state: EState, action: Array, propensity: Array) -> None:
    """Add actions as `add_actions` does, without looking for the alarm; nothing is compiled, and n copies are made.

    >>> from onearm.engine.estimate.capital import log_capital, log_e
    >>> state = start_actions(2)
    >>> add_many(state, np.zeros(20, np.int64), np.full(20, 0.5))
    >>> round(log_capital(state), 6), round(float(log_e(state)), 6)
    (3.993767, 3.993767)
    """
    gap = 1.0 / propensity[:, np.newaxis] - 1.0
    np.add.at(state.growth, action, np.log1p(state.size * gap) - state.idle)
    for m, (crowd, scale) in enumerate(zip(state.crowd.tolist(), above(state.crowd).tolist(), strict=True)):
        large = propensity[propensity * scale > 1.0, np.newaxis]
        grown = np.log1p(_CROWD_SIZES * (1.0 / (crowd * large) - 1.0)) - _CROWD_IDLE
        state.crowd_growth.reshape(-1, len(_CROWD_SIZES))[m] += grown.sum(axis=0)
    state.seen[0] += len(action)


def _start(n_arms: int, weight_max: float | None, alpha: float, crowd: Array) -> EState:
    if not 0.0 < alpha < 1.0:
        raise InvalidInput("alpha", f"alpha is {alpha}: it must be in (0, 1), as 0.05")
    if weight_max is not None and not 1.0 <= weight_max < math.inf:
        raise InvalidInput("weight_max", f"weight_max is {weight_max}: weights average 1, so it must be 1 or more")
    against = _SIZES[:0] if weight_max is None else -_SIZES / max(weight_max - 1.0, _ROOM)
    size = np.concatenate([_SIZES, against])
    idle = np.log1p(-size) * (n_arms > 1)
    growth, crowds = np.zeros((n_arms, len(size))), np.repeat(crowd, len(_CROWD_SIZES))
    limit = -math.log(alpha)
    crowd_size, crowd_idle = np.tile(_CROWD_SIZES, len(crowd)), np.tile(_CROWD_IDLE, len(crowd))
    return EState(
        size,
        idle,
        np.exp(-idle),
        growth,
        np.ones_like(growth),
        np.zeros(n_arms, np.int64),
        np.full_like(growth, alpha),
        np.ones_like(size),
        np.exp(_EVERY * idle),
        crowd,
        np.zeros(len(crowds)),
        np.ones(len(crowds)),
        above(crowds),
        crowd_size / (1.0 - crowd_size) / crowds,
        crowd_idle,
        np.full(len(crowds), alpha),
        np.exp(_EVERY * crowd_idle),
        np.zeros_like(size),
        np.zeros(2, np.int64),
        limit,
    )
