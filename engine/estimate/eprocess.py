"""Are the logged propensities true? A bet against it, that may be looked at always.

Under true propensities weights are >= 0 and average 1, given the past, and so is 1{action = a} / propensity for each
arm a. Bets eta (w - 1) with 0 < eta < 1 win where weights are too large: 1 + eta (w - 1) stays positive whatever comes.
Bets against too small ones, eta (1 - w), need a bound of the weights, or one large weight could ruin more than there
is. The capital, 1 at the start, is an e-process: with probability 1 - alpha it never reaches 1 / alpha while the
propensities are true.

That the likeliest action is taken more often than its propensity says is told by no arm where it is another one each
time. So half of the capital is bet on sizes: at most m arms can have a propensity above 1 / (m + 1), so that
1{propensity > 1 / (m + 1)} / (m propensity) is on average 1 at most, for every m. It is never above (m + 1) / m.

Source: Ramdas, Gruenwald, Vovk, Shafer, "Game-theoretic statistics and safe anytime-valid inference", 2023; the test of
the mean weight: Karampatziakis, Mineiro, Ramdas, "Off-policy confidence sequences", 2021. Bets of all sizes, each with
its share of the capital, as in `sequence`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..elementary import exp, exp_of_each, log, log_of_each
from ..errors import InvalidInput
from ..kernel import kernel, kernel_beside, loop, routine
from ..vocabulary import Array
from .sequence import check_bound, check_lengths, check_moments

_SIZES = 2.0 ** np.arange(-16, 0)  # of bets; the largest risks half of the capital
assert len(_SIZES) % 4 == 0, "`_reach` adds them up four at a time, and compiled code would read beyond the last"
_ROOM = 0.01  # above 1, of bounds that leave less: bets on small weights must end somewhere
_ROUNDING = 1e-9  # by which a probability, a sum of others, may be above 1
_EVERY = 64  # decisions between two looks at the capital
CROWDS = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64])  # m, of bets on propensities above 1 / (m + 1)
_CROWD_SIZES = 2.0 ** np.arange(-7, 0, 2)  # of these: nothing that is bet on can grow more than twice
_CROWD_IDLE = np.log1p(-_CROWD_SIZES)  # what such a bet grows by where propensities are small
_LARGE = 1e4  # above 1: with a weight beyond this 64 factors may be more than a float holds
_CLOSE = 1e-9  # by which sums of logarithms may be off
_LEAST = 1e-300  # what is divided by


class EProcess(NamedTuple):
    """The capital of a bettor against a claim, at m moments."""

    at: Array  # int64[m], decisions so far
    log_e: Array  # float64[m], ln of the capital
    alarm_at: int | None  # decisions after which it had reached 1 / alpha for the first time


class EState(NamedTuple):
    """What an e-process stores of the past; `add_weights` and `add_actions` write it."""

    size: Array  # float64[2, j], eta of bets on too large, and on too small ones; 0: that bet is not made
    idle: Array  # float64[2, j], ln of what a bet on an arm grows by at each decision for another arm
    scale: Array  # float64[2, j], exp(-idle)
    growth: Array  # float64[arms, 2, j], ln of what each bet has grown to, less `idle` for each decision, but for
    product: Array  # float64[arms, 2, j], what it has grown by since, in the same way
    crowd: Array  # int64[m], so many arms at most have a propensity above 1 / (crowd + 1); none for weights
    crowd_growth: Array  # float64[m, c], ln of what the bets on these have grown to, as `growth`, but for
    crowd_product: Array  # float64[m, c], what they have grown by since
    crowd_above: Array  # float64[m], crowd + 1
    crowd_slope: Array  # float64[m, c], by which a bet grows for each 1 / propensity
    taken: Array  # int64[arms], how often each was taken since its products began
    worth: Array  # float64[arms, 2, j], 1 over no more than the products with which a bet alone brings the alarm
    near: Array  # int64[1], 1 where some bet may have it
    seen: Array  # int64[2]: decisions, and those after which the alarm came, or 0
    limit: float  # ln of the capital at which the alarm comes


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
    first, found = 0, []
    add, look = add_weights.compiled(state, weight), _log_e.compiled(state)
    for last in moments.tolist():
        if first < missing:
            add(state, np.zeros(min(last, missing) - first))
        add(state, weight[max(first - missing, 0) : max(last - missing, 0)])
        found.append(look(state))
        first = last
    return EProcess(moments, np.array(found), int(state.seen[1]) or None)


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
    add, look = add_actions.compiled(state, action, propensity), _log_e.compiled(state)
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


def log_e(state: EState) -> float:
    """Return ln of the capital: the mean over arms, and over the bets that are made."""
    return float(_log_e(state))


@loop
def add_weights(state: EState, weight: Array) -> None:
    """Add weights, float64[n], to a state of `start_weights`; look for the alarm after each."""
    sides = 2 if state.size[1, 0] > 0.0 else 1
    for i in range(len(weight)):
        near = _bet(state, 0, sides, weight[i] - 1.0)
        state.seen[0] += 1
        # The capital is a mean, and never more than the best bet.
        if near and state.seen[1] == 0 and _reach(state, sides) >= 1.0 and _log_capital(state) >= state.limit:
            state.seen[1] = state.seen[0]


@loop
def add_actions(state: EState, action: Array, propensity: Array) -> None:
    """Add actions, int64[n], and their propensities, float64[n], to a state of `start_actions`."""
    sides = 2 if state.size[1, 0] > 0.0 else 1
    for i in range(len(action)):
        if _bet(state, action[i], sides, 1.0 / propensity[i] - 1.0):
            state.near[0] = 1
        _bet_on_crowds(state, propensity[i])
        state.seen[0] += 1
        if state.seen[0] % _EVERY == 0:
            _fold_crowds(state)
            if state.seen[1] == 0 and state.near[0] == 1 and _reach(state, sides) >= 1.0:
                if _log_capital(state) >= state.limit:
                    state.seen[1] = state.seen[0]
                for arm in range(len(state.growth)):
                    _fold(state, arm, sides)


@kernel
def _bet_on_crowds(state: EState, propensity: float) -> None:
    """Let the bets on large propensities grow: by 1 + slope / propensity where it is one."""
    inverse, m = 1.0 / propensity, len(state.crowd) - 1
    while m >= 0 and propensity * state.crowd_above[m] > 1.0:  # crowds ascend: it is one for no smaller crowd either
        for j in range(len(_CROWD_SIZES)):
            state.crowd_product[m, j] *= 1.0 + state.crowd_slope[m, j] * inverse
        m -= 1


def _bet_in_python(state: EState, a: int, sides: int, gap: float) -> bool:
    state.taken[a] += 1
    product, gaps = state.product[a, :sides], np.array([[gap], [-gap]])[:sides]
    factor = 1.0 + state.size[:sides] * gaps
    if gap > _LARGE:
        state.taken[a] = _EVERY
        logs = [[log(x) for x in row] for row in factor.tolist()]
        state.growth[a, :sides] += np.array(logs) - state.idle[:sides]
    else:
        product *= factor * state.scale[:sides]
    if state.taken[a] == _EVERY:
        _fold(state, a, sides)
    return bool((product * state.worth[a, :sides] >= 1.0).any())


@kernel_beside(_bet_in_python)
def _bet(state: EState, a: int, sides: int, gap: float) -> bool:
    """Let the bets on arm `a` grow by a weight that is `gap` above 1; return whether one may have what an alarm takes.

    Their products are kept, and one logarithm serves many factors: 64 of them stay within what a float holds.
    """
    state.taken[a] += 1
    if gap > _LARGE:
        state.taken[a] = _EVERY
    for side in range(sides):
        signed = gap if side == 0 else -gap
        if gap > _LARGE:
            for j in range(state.size.shape[1]):
                state.growth[a, side, j] += log(1.0 + state.size[side, j] * signed) - state.idle[side, j]
        else:
            for j in range(state.size.shape[1]):
                state.product[a, side, j] *= (1.0 + state.size[side, j] * signed) * state.scale[side, j]
    if state.taken[a] == _EVERY:
        _fold(state, a, sides)
    near = False
    for side in range(sides):
        for j in range(state.size.shape[1]):
            near |= state.product[a, side, j] * state.worth[a, side, j] >= 1.0
    return near


@routine
def _fold(state: EState, a: int, sides: int) -> None:
    """Put the logarithms of an arm's products where those before them are, and begin new products.

    What they are worth is told of this decision: it is no more at later ones, as bets on other arms cost.
    """
    state.taken[a] = 0
    for side in range(sides):
        for j in range(state.size.shape[1]):
            state.growth[a, side, j] += log(state.product[a, side, j])
            state.product[a, side, j] = 1.0
            missing = state.limit - state.growth[a, side, j] - state.seen[0] * state.idle[side, j]
            state.worth[a, side, j] = 1.0 / (max(exp(missing), _LEAST) * (1.0 - _CLOSE))


@kernel
def _fold_crowds(state: EState) -> None:
    """Do the same with the products of large propensities, and tell whether one may have what the alarm takes."""
    largest = -math.inf
    for m in range(len(state.crowd)):
        for j in range(len(_CROWD_SIZES)):
            state.crowd_growth[m, j] += log(state.crowd_product[m, j])
            state.crowd_product[m, j] = 1.0
            largest = max(largest, state.crowd_growth[m, j] + state.seen[0] * _CROWD_IDLE[j])
    if largest >= state.limit - _CLOSE:
        state.near[0] = 1


@kernel
def _reach(state: EState, sides: int) -> float:
    """Return no less than the capital, as a part of what the alarm takes; crowds were folded."""
    n_arms, _, n_sizes = state.growth.shape
    first = second = third = fourth = 0.0  # sums of every fourth one, which need not wait for each other
    for a in range(n_arms):
        for side in range(sides):
            for j in range(0, n_sizes, 4):
                first += state.product[a, side, j] * state.worth[a, side, j]
                second += state.product[a, side, j + 1] * state.worth[a, side, j + 1]
                third += state.product[a, side, j + 2] * state.worth[a, side, j + 2]
                fourth += state.product[a, side, j + 3] * state.worth[a, side, j + 3]
    of_arms = (first + second + third + fourth) / (n_arms * sides * n_sizes)
    n_crowds, n_sizes = state.crowd_growth.shape
    if n_crowds == 0:
        return of_arms
    total = 0.0
    for m in range(n_crowds):
        for j in range(n_sizes):
            total += exp(state.crowd_growth[m, j] + state.seen[0] * _CROWD_IDLE[j] - state.limit)
    return 0.5 * (of_arms + total / (n_crowds * n_sizes)) + _CLOSE


def add_many(state: EState, action: Array, propensity: Array) -> None:
    """Add actions as `add_actions` does, without looking for the alarm; nothing is compiled, and n copies are made.

    >>> state = start_actions(2)
    >>> add_many(state, np.zeros(20, np.int64), np.full(20, 0.5))
    >>> round(log_capital(state), 6), round(log_e(state), 6)
    (3.993767, 3.993767)
    """
    gap = 1.0 / propensity[:, np.newaxis] - 1.0
    for side, signed in enumerate((gap, -gap)):
        np.add.at(state.growth[:, side], action, np.log1p(state.size[side] * signed) - state.idle[side])
    for m, crowd in enumerate(state.crowd.tolist()):
        large = propensity[propensity * (crowd + 1) > 1.0, np.newaxis]
        grown = np.log1p(_CROWD_SIZES * (1.0 / (crowd * large) - 1.0)) - _CROWD_IDLE
        state.crowd_growth[m] += grown.sum(axis=0)
    state.seen[0] += len(action)


def log_capital(state: EState) -> float:
    """Return what `log_e` does but for the last digits; nothing is compiled."""
    sides = 2 if state.size[1, 0] > 0.0 else 1
    of_arms = log_mean((state.growth + np.log(state.product) + state.seen[0] * state.idle)[:, :sides])
    if not len(state.crowd):
        return float(of_arms)
    of_crowds = log_mean(state.crowd_growth + np.log(state.crowd_product) + state.seen[0] * _CROWD_IDLE)
    return float(log_mean(np.array([of_arms, of_crowds])))


def log_mean(logs: Array, axis: int | None = None) -> Array:
    """Return ln of the mean, over an axis or over all, of what `logs` are the logarithms of."""
    largest = logs.max(axis=axis)
    return np.asarray(largest + np.log(np.exp(logs - largest).mean(axis=axis)))


@loop
def _log_e(state: EState) -> float:
    return _log_capital(state)


@routine
def _log_capital(state: EState) -> float:
    of_arms = _of_arms(state)
    if len(state.crowd_growth) == 0:
        return of_arms
    of_crowds = _of_crowds(state)
    largest = max(of_arms, of_crowds)
    return largest + log(0.5 * (exp(of_arms - largest) + exp(of_crowds - largest)))


def _of_arms_in_python(state: EState) -> float:
    sides = 2 if state.size[1, 0] > 0.0 else 1
    product = log_of_each(state.product[:, :sides])
    return _log_of_mean(state.growth[:, :sides] + product + state.seen[0] * state.idle[:sides])


@kernel_beside(_of_arms_in_python)
def _of_arms(state: EState) -> float:
    n_arms, _, n_sizes = state.growth.shape
    sides = 2 if state.size[1, 0] > 0.0 else 1
    largest = -math.inf
    for a in range(n_arms):
        for side in range(sides):
            for j in range(n_sizes):
                largest = max(largest, _grown(state, a, side, j))
    total = 0.0
    for a in range(n_arms):
        for side in range(sides):
            for j in range(n_sizes):
                total += exp(_grown(state, a, side, j) - largest)
    return largest + log(total / (n_arms * sides * n_sizes))


@kernel
def _grown(state: EState, a: int, side: int, j: int) -> float:
    return state.growth[a, side, j] + log(state.product[a, side, j]) + state.seen[0] * state.idle[side, j]


def _of_crowds_in_python(state: EState) -> float:
    return _log_of_mean(state.crowd_growth + log_of_each(state.crowd_product) + state.seen[0] * _CROWD_IDLE)


@kernel_beside(_of_crowds_in_python)
def _of_crowds(state: EState) -> float:
    n_crowds, n_sizes = state.crowd_growth.shape
    largest = -math.inf
    for m in range(n_crowds):
        for j in range(n_sizes):
            largest = max(largest, _crowd_grown(state, m, j))
    total = 0.0
    for m in range(n_crowds):
        for j in range(n_sizes):
            total += exp(_crowd_grown(state, m, j) - largest)
    return largest + log(total / (n_crowds * n_sizes))


@kernel
def _crowd_grown(state: EState, m: int, j: int) -> float:
    return state.crowd_growth[m, j] + log(state.crowd_product[m, j]) + state.seen[0] * _CROWD_IDLE[j]


def _log_of_mean(logs: Array) -> float:
    """Return ln of the mean of what has these logarithms, summed one after the other as kernels do."""
    largest = logs.max()
    return float(largest + log(np.add.accumulate(exp_of_each(logs.ravel() - largest))[-1] / logs.size))


def _start(n_arms: int, weight_max: float | None, alpha: float, crowd: Array) -> EState:
    if not 0.0 < alpha < 1.0:
        raise InvalidInput("alpha", f"alpha is {alpha}: it must be in (0, 1), as 0.05")
    if weight_max is not None and not 1.0 <= weight_max < math.inf:
        raise InvalidInput("weight_max", f"weight_max is {weight_max}: weights average 1, so it must be 1 or more")
    against = np.zeros(len(_SIZES)) if weight_max is None else _SIZES / max(weight_max - 1.0, _ROOM)
    size = np.stack([_SIZES, against])
    idle = np.stack([np.log1p(-_SIZES), np.log1p(against)]) * (n_arms > 1)
    growth, crowd_growth = np.zeros((n_arms, 2, len(_SIZES))), np.zeros((len(crowd), len(_CROWD_SIZES)))
    limit = -math.log(alpha)
    return EState(
        size,
        idle,
        np.exp(-idle),
        growth,
        np.ones_like(growth),
        crowd,
        crowd_growth,
        np.ones_like(crowd_growth),
        crowd + 1.0,
        _CROWD_SIZES / (1.0 - _CROWD_SIZES) / crowd[:, np.newaxis],
        np.zeros(n_arms, np.int64),
        np.full_like(growth, 1.0 / (math.exp(limit) * (1.0 - _CLOSE))),
        np.zeros(1, np.int64),
        np.zeros(2, np.int64),
        limit,
    )
