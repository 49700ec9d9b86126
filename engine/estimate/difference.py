"""The difference of two policies' values on one log, bounded at every moment at once.

Terms from below are w1 r + w2 (1 - r) >= 0, whose mean is V1 - V2 + 1; from above the policies change places. Where the
largest possible weight is known, half of the capital bets on (w1 - w2) (r - c), whose mean is V1 - V2 for any c that
knows only the past: there both policies' common decisions are 0, and the more they agree, the shorter the interval.

Source: Waudby-Smith, Wu, Ramdas, Karampatziakis, Mineiro 2022 (differences); Karampatziakis, Mineiro,
Ramdas 2021 (gated deployment). The bets are those of `sequence`.
"""

from __future__ import annotations

import math

import numpy as np

from ..errors import InvalidInput
from ..vocabulary import Array
from .interval import check_level
from .sequence import (
    BETS,
    BOUNDED_BETS,
    Sequence,
    SequenceState,
    beaten,
    check_bound,
    check_lengths,
    check_moments,
    grow,
    log_capital,
    new_state,
    running_mean,
    scaled_rewards,
    stepped,
)
from .weighting import weighing


def difference_sequence(
    reward: Array,
    propensity: Array,
    target: Array,
    other: Array,
    reward_range: tuple[float, float] = (0.0, 1.0),
    level: float = 0.95,
    at: Array | None = None,
    weight_max: float | None = None,
) -> Sequence:
    """Bound the value of `target` less that of `other` at the moments `at`, at all of them at once.

    `target` and `other`, float64[n], are the two policies' probabilities of the logged action; `weight_max` bounds
    the weights of both. The rest is as in `sequence.confidence_sequence`: what it assumes, refuses, and bounds where
    values change. An interval that leaves 0 out says which policy is better, whenever somebody looked.

    >>> rng = np.random.default_rng(1)
    >>> action = rng.integers(0, 2, 1000)
    >>> reward = (rng.random(1000) < np.where(action == 1, 0.7, 0.4)).astype(float)
    >>> half, first = np.full(1000, 0.5), (action == 1).astype(float)
    >>> found = difference_sequence(reward, half, first, 1.0 - first, at=np.array([100, 1000]), weight_max=2.0)
    >>> found.low.round(2).tolist(), found.high.round(2).tolist()
    ([-0.06, 0.16], [0.62, 0.38])
    """
    missing = (1.0 - check_level(level)) / 2.0
    weigh = weighing(propensity, target, "a confidence sequence")
    against = weighing(propensity, other, "a confidence sequence")
    scaled = scaled_rewards(reward, reward_range)
    check_lengths(n=target, other=other, reward=scaled)
    moments = check_moments(at, len(target))
    state = start(weight_max)
    growth, total = stepped(state, moments, lambda page: add(state, scaled[page], weigh(page), against(page)))
    width, count = reward_range[1] - reward_range[0], total[:, 0]
    low = beaten(state, growth[:, 0], count, missing, -1.0, 1.0)
    high = -beaten(state, growth[:, 1], count, missing, -1.0, 1.0)
    return Sequence(moments, width * total[:, 3] / count, width * low, width * high)


def start(weight_max: float | None = None) -> SequenceState:
    """Return the state before the first decision."""
    if weight_max is None:
        return new_state([(BETS, 1.0)], math.inf)
    if not 1.0 <= weight_max < math.inf:
        raise InvalidInput("weight_max", f"weight_max is {weight_max}: weights average 1, so it must be 1 or more")
    # What is mirrored is at least -1 - weight_max with a model that expects 1, predicts 0 and sees 1.
    return new_state([(BETS, 1.0), (BOUNDED_BETS / weight_max, 0.0)], weight_max)


def add(
    state: SequenceState, reward: Array, weight: Array, other: Array, model: tuple[Array, Array] | None = None
) -> None:
    """Add decisions: rewards in [0, 1] and the weights of both policies, float64[n] each.

    With a `model`, which takes a known largest weight, half of the capital bets on doubly robust terms: `predicted` of
    the logged action and `expected` by the law of the first policy, float64[n] each in [0, 1], known before the reward.
    """
    gap, common = (weight - other) * reward, len(BETS)
    grow(state.size[:common], np.ascontiguousarray(other + gap), state.growth[0, :common])
    grow(state.size[:common], np.ascontiguousarray(weight - gap), state.growth[1, :common])
    if not math.isinf(state.weight_max):
        check_bound(weight, state.weight_max)
        check_bound(other, state.weight_max)
        both = weight + other
        if model is None:
            robust = gap - (weight - other) * running_mean(state.total, both, both * reward)
        else:
            predicted, expected = model
            robust = expected - other * predicted + (weight - other) * (reward - predicted)
        grow(state.size[common:], np.ascontiguousarray(robust), state.growth[0, common:])
        grow(state.size[common:], np.ascontiguousarray(-robust), state.growth[1, common:])
        state.total[1:3] += both.sum(), (both * reward).sum()
        gap = robust
    state.total[0] += len(weight)
    state.total[3] += gap.sum()


def is_above(state: SequenceState, least: float, level: float = 0.95) -> bool:
    """Tell whether the difference is surely above a number: whether the low end of its interval is, found at once."""
    return _beats(state, 0, least, level)


def is_below(state: SequenceState, most: float, level: float = 0.95) -> bool:
    """Tell whether the difference is surely below a number."""
    return _beats(state, 1, -most, level)


def _beats(state: SequenceState, side: int, mean: float, level: float) -> bool:
    missing = (1.0 - check_level(level)) / 2.0
    if not -1.0 <= mean <= 1.0:
        return mean < -1.0
    capital = log_capital(state, state.growth[None, side], state.total[None, 0], np.array([mean]))
    return bool(state.total[0] > 0.0 and capital[0] >= -math.log(missing))


def bounds(state: SequenceState, level: float = 0.95) -> tuple[float, float, float]:
    """Return the difference, low and high of the decisions so far, of rewards in [0, 1]; NaN, -1 and 1 before any."""
    missing, count = (1.0 - check_level(level)) / 2.0, state.total[None, 0]
    if not state.total[0]:
        return math.nan, -1.0, 1.0
    low = beaten(state, state.growth[None, 0], count, missing, -1.0, 1.0)
    high = -beaten(state, state.growth[None, 1], count, missing, -1.0, 1.0)
    return float(state.total[3] / state.total[0]), float(low[0]), float(high[0])
