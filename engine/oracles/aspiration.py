"""How wide an index is: just so wide that some action promises a reward near the best seen.

An index of action a is s_a + alpha w_a, its predicted reward and so many standard errors of that. Here

    alpha = min_a (target - s_a) / w_a, no less than 0.2 sd and no more than `widest` sd,

the target lies at seven tenths of the way from the lowest to the best reward seen, and sd is the root mean square of
the errors of the predictions (`narrow` takes both from the newest rewards alone). So where a prediction reaches the
target there is next to no exploration, and where none does, the action stands first that needs the least luck to reach
it. Neither the unit of rewards nor their origin matters, as long as predictions and rewards have the same.

Where rewards are noisy, as the euros that one visitor in ten spends, no action promises one near the best seen, and
alpha is as wide as it may be. So `widest` is what matters there: with 1.5 a shop of fifty articles earns nearly twice
what it earns with 3, and digits, whose rewards tell right from wrong, lose nothing (`benchmarks/defaults.py`).

Source: Reverdy, Srivastava, Leonard, "Satisficing in multi-armed bandit problems", 2017, have a target; these widths
are ours: measured, without a bound.
"""

from __future__ import annotations

import math
from typing import Any

from ..kernel import kernel
from ..vocabulary import Array
from .heavy_tails import HeavyTails
from .oracle import predict, spread

_NARROW = 0.2  # the least alpha, in standard deviations
_ASPIRATION = 0.7  # where the target lies between the lowest and the best reward


@kernel
def enter(square: Array, count: Array, extremes: Array, reward: float, error: float, width: float) -> None:
    """Enter a reward and how far its prediction, of this standard error in units of the noise, was off.

    `square` float64[1] is the sum of squared errors, each in units of its predictive variance; `count` float64[1] the
    rewards; `extremes` float64[2] the lowest and the best of them.
    """
    square[0] += error * error / (1.0 + width * width)
    if count[0] == 0.0:
        extremes[0] = reward
        extremes[1] = reward
    count[0] += 1.0
    extremes[0] = min(extremes[0], reward)
    extremes[1] = max(extremes[1], reward)


@kernel
def narrow(square: Array, count: Array, extremes: Array, tails: HeavyTails) -> None:
    """Take the size of errors, and the lowest and the best reward, from the newest rewards alone, as errors are cut."""
    square[0] = tails.square[0] * count[0]
    extremes[0] = tails.ends[0]
    extremes[1] = tails.ends[1]


@kernel
def noise(square: Array, count: Array, extremes: Array) -> float:
    """Return the size of the errors, in units of the reward; half the range of the rewards counts as one more error."""
    half = 0.5 * (extremes[1] - extremes[0])
    return math.sqrt((square[0] + half * half) / (count[0] + 1.0))


@kernel
def reach(sd: float, widest: float, extremes: Array, scores: Array, widths: Array, available: Array) -> float:
    """Return alpha, from predictions and their standard errors, float64[k]; before any error 1, the widths alone."""
    if not sd > 0.0:
        return 1.0
    target = extremes[0] + _ASPIRATION * (extremes[1] - extremes[0])
    alpha = widest * sd
    for a in range(len(available)):
        if available[a] and widths[a] > 0.0:
            alpha = min(alpha, (target - scores[a]) / widths[a])
    return max(alpha, _NARROW * sd)


@kernel
def write_index(
    model: Any, sd: float, widest: float, extremes: Array, context: Any, available: Array, index: Array, widths: Array
) -> float:
    """Write the index of each available action into `index`, and the standard errors, float64[k]; return alpha."""
    predict(model, context, available, index)
    spread(model, context, available, widths)
    alpha = reach(sd, widest, extremes, index, widths, available)
    for a in range(len(available)):
        if available[a]:
            index[a] += alpha * widths[a]
    return alpha
