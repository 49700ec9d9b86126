"""Estimators that need no model: they weigh the rewards that were seen.

`match` (Li, Chu, Langford, Wang 2011) takes the mean reward of the decisions on which both agree; it is unbiased where
the log drew its actions uniformly. `snips` (Swaminathan, Joachims 2015) weights every reward by target / logged
probability and divides by the sum of the weights; it needs propensities, and its bias vanishes with more decisions.

>>> match(reward=np.array([1.0, 0.0, 1.0, 1.0]), agrees=np.array([True, True, False, True])).value
0.6666666666666666
"""

from __future__ import annotations

import numpy as np

from onearm.engine.errors import InvalidInput
from onearm.engine.estimate.terms import Terms
from onearm.engine.vocabulary import Array


def match(reward: Array, agrees: Array) -> Terms:
    """Estimate by the mean of `reward`, float64[n], where the policy `agrees`, bool[n], with the log."""
    weight = np.asarray(agrees, np.float64)
    return Terms("match", None, weight * reward, weight, weight)


def snips(reward: Array, propensity: Array, target: Array) -> Terms:
    """Estimate by self-normalised inverse propensity weights, target / propensity.

    `reward`, `propensity` and `target` are float64[n]: of each decision its reward, the probability with which the log
    took its action, and that with which the policy would have. Raises `InvalidInput` where a propensity is not known,
    or not in (0, 1].
    """
    weight = weights(propensity, target, "snips")
    return Terms("snips", None, weight * reward, weight, weight)


def weights(propensity: Array, target: Array, method: str) -> Array:
    """Return target / propensity, float64[n], after a check that every propensity is known and in (0, 1]."""
    propensity = np.asarray(propensity)
    if (unknown := np.isnan(propensity)).any():
        raise InvalidInput(
            "unknown_propensity",
            f"the propensity of row {int(unknown.argmax())} is unknown (NaN), as are {int(unknown.sum())} of "
            f"{len(unknown)}: {method} needs the probability of every logged action; use match, which needs none where "
            "the log is uniform",
        )
    if (wrong := (propensity <= 0) | (propensity > 1)).any():
        row = int(wrong.argmax())
        raise InvalidInput(
            "bad_propensity", f"the propensity of row {row} is {propensity[row]:g}: it must be in (0, 1]"
        )
    return np.asarray(target / propensity)
