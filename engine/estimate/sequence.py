"""Confidence sequences: intervals that hold at every moment at once, so that a person may look always and stop at will.

A bettor bets that the value is above m. Of terms x_t >= -b whose mean is V, a bet of size eta earns

    product of (1 + eta x_t) / (1 + eta m),  0 < eta < 1 / b,

which on average does not grow where V <= m: at no moment, with a probability of more than alpha, does it reach
1 / alpha (Ville). What m the bettor has beaten so far lies below the value. All sizes of bets are made at once, each
with its share of the capital; the capital depends on the log through one sum of ln(1 + eta x_t) for each size, which
is all that is stored, and m is found when somebody looks. A second bettor, on the mirrored rewards, works from above.

Rewards are scaled to [0, 1]. Terms are weight x reward, and of the mirrored side weight x (1 - reward): no bound of the
weights is needed. Where the largest possible weight is known, half of the capital bets on doubly robust terms instead,
expected + weight (reward - predicted): with a model that knows only the past, or with the running mean in its place.

Source: Waudby-Smith, Ramdas, "Estimating means of bounded random variables by betting", 2024, section 4 (bets
on a grid); Karampatziakis, Mineiro, Ramdas, "Off-policy confidence sequences", 2021; Waudby-Smith, Wu, Ramdas,
Karampatziakis, Mineiro, "Anytime-valid off-policy inference for contextual bandits", 2022 (lower bounds without a
bound of the weights, mirrored rewards, doubly robust terms).
Departs from them: 1 + lambda (x - m) with lambda = eta / (1 + eta m) is the fraction above, so that one bet serves all
m. As ln is concave, the same sums bound the mean of values that change from decision to decision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..elementary import log, log_of_each
from ..errors import InvalidInput
from ..kernel import kernel_beside, loop
from ..vocabulary import Array
from .interval import check_level
from .weighting import weighing

BETS = 2.0 ** np.arange(-16, 13)  # sizes of bets on terms >= 0; between two sizes at most 11 % of the growth is lost
BOUNDED_BETS = 2.0 ** np.arange(-18, 0)  # in units of what is allowed; the largest risks half of the capital
_PAGE = 1 << 20  # decisions that are added at once, four of which share a logarithm
_AT_ONCE = 4096  # terms, a multiple of four, of which Python takes the logarithms together
_HALVINGS = 60  # of the bracket around an end


class Sequence(NamedTuple):
    """An estimate and its interval at m moments. All intervals hold at once, with a confidence of the level."""

    at: Array  # int64[m], decisions so far
    value: Array  # float64[m]; NaN before anything was weighted
    low: Array  # float64[m]
    high: Array  # float64[m]


class SequenceState(NamedTuple):
    """What a confidence sequence stores of the past; `add` writes it."""

    size: Array  # float64[j], eta of each bet
    shift: Array  # float64[j], by how much the mean of its terms exceeds the value
    share: Array  # float64[j], of the capital at the start; sums to 1
    growth: Array  # float64[2, j], sum of ln(1 + eta x) from below and from above
    total: Array  # float64[4]: decisions, their weights, weighted rewards, doubly robust terms
    weight_max: float  # inf where it is not known


def confidence_sequence(
    reward: Array,
    propensity: Array,
    target: Array,
    reward_range: tuple[float, float] = (0.0, 1.0),
    level: float = 0.95,
    at: Array | None = None,
    weight_max: float | None = None,
    predicted: Array | None = None,
    expected: Array | None = None,
) -> Sequence:
    """Bound the value of a policy at the moments `at`, at all of them at once.

    `at` is int64[m], growing, in 1 .. n; without it about 20 moments a decade. `weight_max` is a bound of
    target / propensity that was known before the log was read: the largest target over the logger's floor. With it,
    `predicted` float64[n] is a model's reward of the logged action and `expected` float64[n] the mean of the model by
    the target's law, in the range; at each decision the model may know only those before it. A bad model costs width,
    never validity.

    No intersection with earlier intervals is taken: each bounds the mean of the values so far, also where the policy
    learns as it goes, the logger changes or contexts drift. Where none does, they may be intersected.

    Assumes: true propensities, given the past, and rewards in the range; nothing else, no independence.
    Refuses: rewards outside, weights above `weight_max`, predictions without it, and unknown propensities, by row.

    >>> rng = np.random.default_rng(1)
    >>> reward = (rng.random(1000) < 0.7).astype(float)
    >>> found = confidence_sequence(reward, np.full(1000, 0.5), np.full(1000, 0.5), at=np.array([10, 100, 1000]))
    >>> found.low.round(2).tolist(), found.high.round(2).tolist()
    ([0.2, 0.49, 0.63], [0.98, 0.82, 0.74])
    """
    check_level(level)
    weigh = weighing(propensity, target, "a confidence sequence")
    scaled = scaled_rewards(reward, reward_range)
    check_lengths(n=target, reward=scaled)
    model = None
    if predicted is not None and expected is not None:
        model = scaled_rewards(predicted, reward_range), scaled_rewards(expected, reward_range)
        check_lengths(n=target, predicted=model[0], expected=model[1])
    elif predicted is not None or expected is not None:
        raise InvalidInput("model", "a model's `predicted` and `expected` go together: one of them is missing")
    state = start(weight_max)
    moments = check_moments(at, len(target))

    def add_page(page: slice) -> None:
        add(state, scaled[page], weigh(page), None if model is None else (model[0][page], model[1][page]))

    return _read(state, *stepped(state, moments, add_page), reward_range, level)


def match_sequence(
    reward: Array,
    agrees: Array,
    reward_range: tuple[float, float] = (0.0, 1.0),
    level: float = 0.95,
    at: Array | None = None,
) -> Sequence:
    """Bound the value of a policy by the decisions on which it `agrees`, bool[n], with a log of uniform actions.

    `at` counts all decisions. Assumes what `match` does, beside rewards in the range; see `confidence_sequence`.
    """
    moments = check_moments(at, len(reward))
    matched = np.concatenate([[0], np.cumsum(np.asarray(agrees, np.bool_))])[moments]
    inside = np.asarray(reward)[np.asarray(agrees, np.bool_)]
    ones = np.ones(len(inside))
    known = np.unique(matched[matched > 0])
    found = confidence_sequence(inside, ones, ones, reward_range, level, known)
    where = np.searchsorted(known, matched)

    def spread_out(column: Array, before: float) -> Array:
        return np.concatenate([column, [before]])[np.where(matched > 0, where, len(known))]

    low, high = reward_range
    return Sequence(
        moments, spread_out(found.value, math.nan), spread_out(found.low, low), spread_out(found.high, high)
    )


def stepped(state: SequenceState, moments: Array, add_page: Callable[[slice], None]) -> tuple[Array, Array]:
    """Add the decisions page by page, and return what `growth` and `total` are at each of m moments, [m, ...]."""
    first, growth, total = 0, np.zeros((len(moments), *state.growth.shape)), np.zeros((len(moments), len(state.total)))
    for i, last in enumerate(moments.tolist()):
        for start in range(first, last, _PAGE):
            add_page(slice(start, min(last, start + _PAGE)))
        growth[i], total[i] = state.growth, state.total
        first = last
    return growth, total


def start(weight_max: float | None = None) -> SequenceState:
    """Return the state before the first decision."""
    if weight_max is None:
        return new_state([(BETS, 0.0)], math.inf)
    if not 1.0 <= weight_max < math.inf:
        raise InvalidInput("weight_max", f"weight_max is {weight_max}: weights average 1, so it must be 1 or more")
    # The terms are at least -weight_max where a model predicts 1 and the reward is 0.
    return new_state([(BETS, 0.0), (BOUNDED_BETS / weight_max, 0.0)], weight_max)


def new_state(bets: list[tuple[Array, float]], weight_max: float) -> SequenceState:
    """Return an empty state over groups of (sizes, shift), each with the same share of the capital."""
    size = np.concatenate([sizes for sizes, _ in bets])
    shift = np.concatenate([np.full(len(sizes), shift) for sizes, shift in bets])
    share = np.concatenate([np.full(len(sizes), 1.0 / len(sizes) / len(bets)) for sizes, _ in bets])
    return SequenceState(size, shift, share, np.zeros((2, len(size))), np.zeros(4), weight_max)


def without_bound(state: SequenceState) -> SequenceState:
    """Return a state that goes on where weights may be larger than was known: the bets that need a bound are given up.

    Their part of the capital is lost, so that what is left bounds the value as before.
    """
    plain, total = len(BETS), state.total.copy()
    total[3] = total[2]  # without a model these are the weighted rewards
    size, shift, share, growth = (part[..., :plain].copy() for part in state[:4])
    return SequenceState(size, shift, share, growth, total, math.inf)


def add(state: SequenceState, reward: Array, weight: Array, model: tuple[Array, Array] | None = None) -> None:
    """Add decisions: rewards in [0, 1], weights, and (predicted, expected) of a model, float64[n] each.

    Pages of any length give what one page of all gives.
    """
    weighted = weight * reward
    check_bound(weight, state.weight_max)
    if math.isinf(state.weight_max):
        if model is not None:
            raise InvalidInput(
                "weight_max", "predictions were given without weight_max: bets on doubly robust terms need a bound"
            )
        grow(state.size, np.ascontiguousarray(weighted), state.growth[0])
        grow(state.size, np.ascontiguousarray(weight - weighted), state.growth[1])
        robust = weighted
    else:
        if model is None:
            centre = running_mean(state.total, weight, weighted)
            model = centre, centre
        robust = model[1] + weight * (reward - model[0])
        plain = len(BETS)
        grow(state.size[:plain], np.ascontiguousarray(weighted), state.growth[0, :plain])
        grow(state.size[:plain], np.ascontiguousarray(weight - weighted), state.growth[1, :plain])
        grow(state.size[plain:], np.ascontiguousarray(robust), state.growth[0, plain:])
        grow(state.size[plain:], np.ascontiguousarray(1.0 - robust), state.growth[1, plain:])
    state.total[:] += len(weight), weight.sum(), weighted.sum(), robust.sum()


def bounds(state: SequenceState, level: float = 0.95) -> tuple[float, float, float]:
    """Return value, low and high of the decisions so far, of rewards in [0, 1]."""
    found = _read(state, state.growth[None], state.total[None], (0.0, 1.0), check_level(level))
    return float(found.value[0]), float(found.low[0]), float(found.high[0])


@loop
def grow(size: Array, term: Array, growth: Array) -> None:
    """Add ln(1 + size x) of all terms, float64[n], to `growth`, for each size of a bet."""
    _grow(size, term, growth)


def _grow_in_python(size: Array, term: Array, growth: Array) -> None:
    for first in range(0, len(term), _AT_ONCE):
        some = term[first : first + _AT_ONCE, np.newaxis]
        whole = len(some) - len(some) % 4
        factor = 1.0 + size * some
        fours = factor[:whole].reshape(-1, 4, len(size))
        product = (fours[:, 0] * fours[:, 1]) * (fours[:, 2] * fours[:, 3])
        each = log_of_each(np.concatenate([product, factor[whole:]]))
        growth[:] = np.add.accumulate(np.concatenate([growth[np.newaxis], each]))[-1]


@kernel_beside(_grow_in_python)
def _grow(size: Array, term: Array, growth: Array) -> None:
    """Do what `grow` does. One logarithm serves four terms; their product cannot overflow below terms of 1e70."""
    n = len(term)
    whole = n - n % 4
    for i in range(0, whole, 4):
        w, x, y, z = term[i], term[i + 1], term[i + 2], term[i + 3]
        if w != 0.0 or x != 0.0 or y != 0.0 or z != 0.0:
            for j in range(len(size)):
                s = size[j]
                growth[j] += log((1.0 + s * w) * (1.0 + s * x) * ((1.0 + s * y) * (1.0 + s * z)))
    for i in range(whole, n):
        for j in range(len(size)):
            growth[j] += log(1.0 + size[j] * term[i])


def beaten(state: SequenceState, growth: Array, count: Array, missing: float, least: float, most: float) -> Array:
    """Return the largest m in [least, most] that bettors have beaten by the factor 1 / `missing`, float64[moments].

    `growth` is float64[moments, j], `count` float64[moments]. The capital falls with m: a bracket is halved.
    """
    low, high = np.full(len(count), least), np.full(len(count), most)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        above = log_capital(state, growth, count, middle) >= -math.log(missing)
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return low


def log_capital(state: SequenceState, growth: Array, count: Array, mean: Array) -> Array:
    """Return ln of the capital that started as 1 and bets that the value is above `mean`, float64[moments]."""
    price = np.log1p(state.size * (mean[:, None] + state.shift))
    each = np.log(state.share) + growth - count[:, None] * price
    largest = each.max(axis=1)
    return np.asarray(largest + np.log(np.exp(each - largest[:, None]).sum(axis=1)))


def log_spaced(n: int) -> Array:
    """Return about 20 moments a decade from 1 to n, int64[m]."""
    if n < 1:
        return np.zeros(0, np.int64)
    return np.unique(np.geomspace(1.0, n, 1 + math.ceil(20.0 * math.log10(max(n, 2)))).round().astype(np.int64))


def check_moments(at: Array | None, n: int) -> Array:
    """Return the moments after a check that they grow within 1 .. n; without any, `log_spaced` ones."""
    if at is None:
        return log_spaced(n)
    moments = np.asarray(at, np.int64)
    if len(moments) and not (moments[0] >= 1 and moments[-1] <= n and (np.diff(moments) > 0).all()):
        raise InvalidInput(
            "at", f"the moments reach from {moments[0]} to {moments[-1]}: they must grow within 1 .. {n}"
        )
    return moments


def check_lengths(n: Array, **columns: Array) -> None:
    """Refuse columns that are not as long as `n`."""
    for name, column in columns.items():
        if len(column) != len(n):
            raise InvalidInput("length", f"{name} has {len(column)} rows and there are {len(n)} decisions")


def scaled_rewards(reward: Array, reward_range: tuple[float, float]) -> Array:
    """Return rewards scaled from their range to [0, 1], float64[n], after a check that they are in it."""
    low, high = reward_range
    if not low < high < math.inf or low == -math.inf:
        raise InvalidInput("reward_range", f"the range of rewards is ({low}, {high}): it must be finite, low < high")
    reward = np.asarray(reward, np.float64)
    if len(reward) and not (reward.min() >= low and reward.max() <= high):
        row = int(np.argmin((reward >= low) & (reward <= high)))
        raise InvalidInput(
            "reward_range",
            f"row {row} has {reward[row]:g}: rewards and predictions must be in [{low:g}, {high:g}]; state the range "
            "of all that can be",
        )
    return reward if reward_range == (0.0, 1.0) else (reward - low) / (high - low)


def check_bound(weight: Array, weight_max: float) -> None:
    """Refuse weights above the bound: bets were placed on it."""
    if len(weight) and weight.max() > weight_max * (1.0 + 1e-12):
        row = int(weight.argmax())
        raise InvalidInput(
            "weight_max", f"the weight of row {row} is {weight[row]:g}: weight_max is {weight_max:g}, a bound of all"
        )


def running_mean(total: Array, weight: Array, weighted: Array) -> Array:
    """Return at each decision the weighted mean of the rewards before it, in [0, 1], float64[n]; 1/2 at the start."""
    above, below = np.cumsum(weighted) - weighted + total[2], np.cumsum(weight) - weight + total[1]
    return np.clip((above + 0.5) / (below + 1.0), 0.0, 1.0)


def _read(
    state: SequenceState, growth: Array, total: Array, reward_range: tuple[float, float], level: float
) -> Sequence:
    low, high = reward_range
    missing = (1.0 - level) / 2.0
    count, weight, weighted, robust = total.T
    with np.errstate(invalid="ignore"):
        value = weighted / weight if math.isinf(state.weight_max) else robust / count
    lower = beaten(state, growth[:, 0], count, missing, 0.0, 1.0)
    upper = 1.0 - beaten(state, growth[:, 1], count, missing, 0.0, 1.0)
    width = high - low
    return Sequence(count.astype(np.int64), low + width * value, low + width * lower, low + width * upper)
