"""Off-policy value: what a policy would have earned, from the log of another one.

`match` (Li, Chu, Langford, Wang 2011) takes the mean reward of the decisions on which both agree; it is
unbiased where the log drew its actions uniformly. `snips` (Swaminathan, Joachims 2015) weights every reward
by target / logged probability and divides by the sum of the weights; it needs propensities, and its bias
vanishes with more decisions.

>>> match(reward=np.array([1.0, 0.0, 1.0, 1.0]), agrees=np.array([True, True, False, True])).value
0.6666666666666666
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from onearm.engine.errors import InvalidInput
from onearm.engine.vocabulary import Array

Z95 = 1.959963984540054  # the 0.975 quantile of the normal distribution


class Estimate(NamedTuple):
    """A value with its 95 % normal interval; without a matched decision NaN, and `note` says why."""

    method: str
    value: float  # reward per decision
    stderr: float
    low: float
    high: float
    matched: int  # decisions that tell something about the policy
    effective_sample_size: float  # as many equally weighted decisions would tell as much; in [0, matched]
    note: str | None = None


def match(reward: Array, agrees: Array) -> Estimate:
    """Estimate by the mean of `reward`, float64[n], where the policy `agrees`, bool[n], with the log.

    The standard error is that of a mean; rewards that are all the same have none (NaN).
    """
    matched = np.asarray(reward)[np.asarray(agrees, np.bool_)]
    n = len(matched)
    if n == 0:
        return _nothing("match")
    spread = float(matched.std(ddof=1)) if n > 1 else 0.0
    stderr = spread / math.sqrt(n) if spread > 0 else math.nan
    note = None if spread > 0 else "all matched rewards are the same: they show no spread, and no interval"
    return _estimate("match", float(matched.mean()), stderr, n, float(n), note)


def snips(reward: Array, propensity: Array, target: Array) -> Estimate:
    """Estimate by self-normalised inverse propensity weights, target / propensity.

    `reward`, `propensity` and `target` are float64[n]: of each decision its reward, the probability with
    which the log took its action, and that with which the policy would have. The standard error is by the
    delta method. Raises `InvalidInput` where a propensity is not known, or not in (0, 1].
    """
    reward, propensity, target = np.asarray(reward), np.asarray(propensity), np.asarray(target)
    if (unknown := np.isnan(propensity)).any():
        raise InvalidInput(
            "unknown_propensity",
            f"the propensity of row {int(unknown.argmax())} is unknown (NaN), as are "
            f"{int(unknown.sum())} of {len(unknown)}: snips needs the probability of every logged action; "
            "use match, which needs none where the log is uniform",
        )
    if (wrong := (propensity <= 0) | (propensity > 1)).any():
        row = int(wrong.argmax())
        raise InvalidInput(
            "bad_propensity", f"the propensity of row {row} is {propensity[row]:g}: it must be in (0, 1]"
        )
    weight = target / propensity
    total = float(weight.sum())
    if total == 0:
        return _nothing("snips")
    value = float((weight * reward).sum()) / total
    stderr = math.sqrt(float((weight**2 * (reward - value) ** 2).sum())) / total
    matched = int(np.count_nonzero(weight))
    return _estimate("snips", value, stderr, matched, total**2 / float((weight**2).sum()), None)


def _estimate(method: str, value: float, stderr: float, matched: int, size: float, note: str | None) -> Estimate:
    return Estimate(method, value, stderr, value - Z95 * stderr, value + Z95 * stderr, matched, size, note)


def _nothing(method: str) -> Estimate:
    nan = math.nan
    note = "no decision was matched: the log never took what the policy would take"
    return Estimate(method, nan, nan, nan, nan, 0, 0.0, note)
