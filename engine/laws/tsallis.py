"""The law of Tsallis-INF, from the cumulative losses of arms; and losses in units that are learned with them.

Source: Zimmert, Seldin, "Tsallis-INF: an optimal algorithm for stochastic and adversarial bandits", JMLR 2021, power
1/2. Units: Khodak, Chow, Balcan, Talwalkar, "Learning to relax", ICLR 2024, whose experiments divide losses by their
running mean. There the law is solved for by Newton's method from a fixed start, which passes the pole once the lowest
loss is large; here from the end of the bracket that Newton's method never leaves.

>>> gap, law = np.zeros(4), np.zeros(4)
>>> total = solve(np.array([0.0, 1.0, 2.0, 3.0]), np.ones(4, np.bool_), 0.5, gap, law)
>>> [round(float(p / total), 8) for p in law]
[0.46407542, 0.25821422, 0.16418515, 0.11352521]
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..kernel import kernel
from ..vocabulary import Array

BASELINE = 0.5  # the loss that is known beforehand of arms that are played often enough, in the middle of [0, 1]
_TOLERANCE = 1e-9  # how far from 1 the solver may leave the sum, before the law is normalised
_PASSES_MAX = 100
_SMALL = 0.03


class ScaledLosses(NamedTuple):
    """What is known of k arms whose losses have any unit. Several of them are stacked along a new first axis."""

    loss: Array  # float64[k] sum of loss / propensity per arm, in the unit of the losses
    shift: Array  # float64[k] what baselines add to that, in units of the scale; 0 without reduced variance
    total: Array  # float64[1] sum of the losses learned
    learned: Array  # int64[1] feedbacks


class TsallisWork(NamedTuple):
    """Working space, for a field of a state whose name begins with `scratch_`."""

    loss: Array  # float64[k] losses in units of their scale
    gap: Array  # float64[k] eta / 2 times the distance to the lowest loss, infinite where not available
    law: Array  # float64[k] probability per arm, but for a factor near 1


def scaled_losses(*shape: int) -> ScaledLosses:
    """Return losses before any feedback, of k arms for the shape (k,), or m times so many for (m, k)."""
    one = (*shape[:-1], 1)
    return ScaledLosses(np.zeros(shape), np.zeros(shape), np.zeros(one), np.zeros(one, np.int64))


def tsallis_work(k: int) -> TsallisWork:
    """Return working space for k arms."""
    return TsallisWork(np.zeros(k), np.zeros(k), np.zeros(k))


@kernel
def scaled_law(losses: ScaledLosses, eta: float, t: float, available: Array, work: TsallisWork) -> float:
    """Write the law at round t >= 1 but for a factor near 1, and return its sum; eta_t = eta / sqrt(t).

    The scale is the mean of the losses learned so far, and 1 while all of them are 0.
    """
    unit = _unit(losses)
    for a in range(len(work.loss)):
        work.loss[a] = losses.loss[a] * unit + losses.shift[a]
    return solve(work.loss, available, 0.5 * eta / math.sqrt(t), work.gap, work.law)


@kernel
def add_weighted(losses: ScaledLosses, arm: int, loss: float, propensity: float) -> None:
    """Learn the loss >= 0 of the arm that was played, over its propensity."""
    losses.loss[arm] += loss / propensity
    losses.total[0] += loss
    losses.learned[0] += 1


@kernel
def add_reduced(
    losses: ScaledLosses,
    eta: float,
    t: float,
    available: Array,
    arm: int,
    loss: float,
    propensity: float,
    work: TsallisWork,
) -> None:
    """Learn a loss as `add_weighted` does, around a baseline where the arm's probability is at least eta_t^2.

    All those arms get the baseline, half a scale, and the arm that was played loses it again over its propensity: the
    expectation stays, and no estimate falls far below 0. Later scales divide the losses and leave the baselines alone.
    """
    enough = scaled_law(losses, eta, t, available, work) * eta * eta / t
    if work.law[arm] >= enough:
        losses.shift[arm] -= BASELINE / propensity
    for a in range(len(work.law)):
        if work.law[a] >= enough:
            losses.shift[a] += BASELINE
    add_weighted(losses, arm, loss, propensity)


@kernel
def _unit(losses: ScaledLosses) -> float:
    """Return 1 over the scale."""
    scale = losses.total[0] / max(losses.learned[0], 1)
    return 1.0 / scale if scale > 0.0 else 1.0


@kernel
def solve(loss: Array, available: Array, scale: float, gap: Array, law: Array) -> float:
    """Write the law of cumulative losses, float64[k], but for a factor near 1, and return its sum; scale = eta_t / 2.

    It is 1 / (gap + y)^2 with gap = scale (loss - lowest loss) and y so that the sum f is 1. y lies in [1, sqrt(K)].
    The function f(y)^(-1/2) rises and is concave (a straight line for equal gaps), so Newton's method on f^(-1/2) = 1
    climbs from y = 1 to the root and never passes it. Arms that are not available have probability 0.
    """
    k = len(loss)
    lowest = math.inf
    for a in range(k):
        if available[a] and loss[a] < lowest:
            lowest = loss[a]
    y = 1.0
    total = 0.0
    slope = 0.0
    for a in range(k):
        gap[a] = (loss[a] - lowest) * scale if available[a] else math.inf
        root = 1.0 / (gap[a] + y)
        law[a] = root * root
        total += law[a]
        slope += law[a] * root
    for _ in range(_PASSES_MAX):
        rest = total - 1.0
        if rest <= _TOLERANCE:
            break
        if rest < _SMALL:  # the first terms of the step below: a square root would be waited for
            y += rest * (0.5 + rest * (0.375 - 0.0625 * rest)) / slope
        else:
            y += total * (math.sqrt(total) - 1.0) / slope
        total = 0.0
        slope = 0.0
        for a in range(k):
            root = 1.0 / (gap[a] + y)
            law[a] = root * root
            total += law[a]
            slope += law[a] * root
    return total
