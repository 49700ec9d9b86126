"""How much speaks against an action being worth as much as the best one: a minimum empirical divergence.

What an action earns is X, its reward and the value of the next state, with 0 <= X <= B. Among all laws of such an X
whose mean is m, the nearest one to the law that was seen is away from it by the relative entropy

    K = max over 0 <= x <= u of E ln(1 - x (X - m) / B),   u = B / (B - m) - .01

(Honda and Takemura 2010), E the mean by what was seen; u keeps the logarithm of what is above 0. This is concave in x,
and its top is found to 1e-10 by Newton's steps on the slope, which needs divisions alone, within the bracket that is
known. The law that was seen is that of rewards times that of next states, each with one visit more: a reward of 1/2,
and any state alike.
Rewards are counted in 33 places from 0 to 1; one between two places counts in part for both, so that their mean is
exact and their variance too large by 1 / 4096 at most.
Cost: some 5 times as many divisions as pairs of a state and a place that was met, and as many logarithms.
"""

from __future__ import annotations

import numpy as np

from ..elementary import log
from ..kernel import kernel, routine
from ..vocabulary import Array
from .counts import Experience

PLACES = 33  # of rewards
HALF = PLACES // 2
MARGIN = 1e-2  # that x keeps from where a logarithm is infinite
STEPS = 60  # at most; some 5 are taken
CLOSE = 1e-12  # the square of a step, in units of the curvature, at which the top is near enough


def no_rewards(states: int, n_arms: int) -> Array:
    """Return how often rewards were learned in each place, float64[S, A, 33], before there was any."""
    return np.zeros((states, n_arms, PLACES))


@kernel
def note_reward(rewards: Array, s: int, a: int, reward: float) -> None:
    """Count a reward from 0 to 1."""
    at = reward * (PLACES - 1)
    place = min(int(at), PLACES - 2)
    rewards[s, a, place] += 1.0 - (at - place)
    rewards[s, a, place + 1] += at - place


@routine
def divergence(seen: Experience, rewards: Array, value: Array, s: int, a: int, mean: float, most: float) -> float:
    """Return K of a pair: m is `mean`, B is `most`, and `value` float64[S + 1] is that of next states.

    `mean` must be from what the pair is worth to less than `most`, and no reward and value may add up to more.
    """
    top = most / (most - mean) - MARGIN
    low, high, is_top_tried = 0.0, top, False
    slope, bend = _slope(seen, rewards, value, s, a, mean, most, 0.0)
    if slope <= 0.0:
        return 0.0
    x = -slope / bend
    for _ in range(STEPS):
        if not low < x < high:
            x = 0.5 * (low + high) if is_top_tried else top
            is_top_tried = True
        slope, bend = _slope(seen, rewards, value, s, a, mean, most, x)
        if slope * slope <= -CLOSE * bend or (x == top and slope > 0.0):
            break
        if slope > 0.0:
            low = x
        else:
            high = x
        x -= slope / bend
    return max(_gain(seen, rewards, value, s, a, mean, most, x), 0.0)


@kernel
def _slope(
    seen: Experience, rewards: Array, value: Array, s: int, a: int, mean: float, most: float, x: float
) -> tuple[float, float]:
    """Return the first and the second derivative in x of what K is the top of."""
    states = len(value) - 1
    slope, bend = 0.0, 0.0
    for i in range(PLACES):
        times = rewards[s, a, i] + (1.0 if i == HALF else 0.0)
        if times > 0.0:
            off = i / (PLACES - 1.0) - mean
            first, second = 0.0, 0.0
            for k in range(states + 1):
                d = off + value[k]
                part = d / (most - x * d)
                share = (seen.following[s, a, k] + (1.0 / states if k < states else 0.0)) * part
                first += share
                second += share * part
            slope -= times * first
            bend -= times * second
    visits = seen.visits[s, a] + 1.0
    return slope / (visits * visits), bend / (visits * visits)


@kernel
def _gain(seen: Experience, rewards: Array, value: Array, s: int, a: int, mean: float, most: float, x: float) -> float:
    """Return E ln(1 - x (X - m) / B)."""
    states = len(value) - 1
    total = 0.0
    for i in range(PLACES):
        times = rewards[s, a, i] + (1.0 if i == HALF else 0.0)
        if times > 0.0:
            off = i / (PLACES - 1.0) - mean
            inner = 0.0
            for k in range(states + 1):
                share = seen.following[s, a, k] + (1.0 / states if k < states else 0.0)
                inner += share * log(1.0 - x * ((off + value[k]) / most))
            total += times * inner
    visits = seen.visits[s, a] + 1.0
    return total / (visits * visits)
