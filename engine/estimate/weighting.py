"""Estimators that need no model: they weigh the rewards that were seen.

`match` takes the mean reward of the decisions on which the policy agrees with the log. The others weigh each reward by
target / propensity: `ips` is unbiased, `clipped` bounds the weights, and `snips` divides by their sum.

>>> match(reward=np.array([1.0, 0.0, 1.0, 1.0]), agrees=np.array([True, True, False, True])).value
0.6666666666666666

Columns that all of them take, of n logged decisions: `reward`; `propensity`, the probability with which the log took
its action, in (0, 1]; and `target`, that with which the policy would have taken it, in [0, 1]; each float64[n].
`InvalidInput` names the first row that breaks this, and the codes are bad_column, not_finite, unknown_propensity,
bad_propensity and bad_target.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..errors import InvalidInput, as_seen
from ..vocabulary import Array
from .blocks import blocks
from .terms import Terms
from .tuning import Tuned, least_error, limits

_ROUNDING = 1e-9  # by which a probability, a sum of others, may be above 1


def match(reward: Array, agrees: Array) -> Terms:
    """Estimate by the mean of `reward` where the policy `agrees`, bool[n], with the log.

    Source: Li, Chu, Langford, Wang 2011, "Unbiased offline evaluation of contextual-bandit-based news article
    recommendation algorithms".
    Assumes: the log drew its actions uniformly, and independently of what it had seen. The policy may learn.
    Refuses: rewards that are not finite.
    """
    weight = column("agrees", agrees)
    return Terms("match", None, weight * column("reward", reward, len(weight)), weight, weight)


def ips(reward: Array, propensity: Array, target: Array) -> Terms:
    """Estimate by inverse propensity weights: the mean of reward target / propensity.

    Columns: `reward`, `propensity` and `target`, float64[n] each.
    Source: Horvitz, Thompson 1952; Dudik, Langford, Li 2011, "Doubly robust policy evaluation and learning".
    Assumes: propensities are true, and positive wherever the policy's are; then there is no bias.
    Refuses: what this file's first lines tell.

    >>> half = np.full(4, 0.5)
    >>> ips(np.array([1.0, 0.0, 1.0, 1.0]), half, np.array([1.0, 1.0, 0.0, 1.0])).value
    1.0
    """
    weight = weights(propensity, target, "ips")
    return Terms("ips", weight * column("reward", reward, len(weight)), None, None, weight)


def clipped(reward: Array, propensity: Array, target: Array, weight_max: float) -> Terms:
    """Estimate as `ips`, by weights of at most `weight_max`, which is in [0, inf].

    Columns: `reward`, `propensity` and `target`, float64[n] each.
    Source: Ionides 2008, "Truncated importance sampling"; Bottou et al. 2013.
    Assumes: as `ips`; the bias is at most the reward's largest size times the mean of what was clipped off the weights.
    Refuses: what this file's first lines tell, and a `weight_max` that is negative or NaN.

    >>> clipped(np.array([1.0, 1.0]), np.array([0.5, 0.125]), np.array([1.0, 1.0]), weight_max=4.0).value
    3.0
    """
    check_limit("weight_max", weight_max)
    weight = weights(propensity, target, "clipped")
    return _clipped(column("reward", reward, len(weight)), weight, weight_max)


def tuned_clipped(reward: Array, propensity: Array, target: Array) -> Tuned:
    """Choose the `weight_max` of `clipped`, from inf and 21 limits within the weights, by `tuning.least_error`.

    Columns: `reward`, `propensity` and `target`, float64[n] each.

    >>> tuned_clipped(np.array([1.0, 0.0]), np.array([0.5, 0.5]), np.array([0.5, 0.5])).terms.value
    0.5
    """
    weight = weights(propensity, target, "clipped")
    reward = column("reward", reward, len(weight))
    return least_error(lambda weight_max: _clipped(reward, weight, weight_max), [math.inf, *limits(weight)])


def snips(reward: Array, propensity: Array, target: Array) -> Terms:
    """Estimate by self-normalised inverse propensity weights: their sum of rewards over their sum.

    Columns: `reward`, `propensity` and `target`, float64[n] each.
    Source: Swaminathan, Joachims 2015, "The self-normalized estimator for counterfactual learning".
    Assumes: as `ips`; the bias is of order 1 / n. Moves with the rewards when these are shifted, as `ips` does not.
    Refuses: what this file's first lines tell.

    >>> snips(np.array([1.0, 0.0, 3.0]), np.array([0.5, 0.5, 0.25]), np.array([1.0, 1.0, 0.5])).value
    1.3333333333333333
    """
    weight = weights(propensity, target, "snips")
    return Terms("snips", None, weight * column("reward", reward, len(weight)), weight, weight)


def weights(propensity: Array, target: Array, method: str, found: Array | None = None) -> Array:
    """Return target / propensity, float64[n], after the checks that this file's first lines tell.

    They are written into `found`, where that is given.

    >>> weights(np.array([0.5, 0.25]), np.array([0.5, 1.0]), "ips")
    array([1., 4.])
    """
    propensity, target = _pair(propensity, target)
    found = np.empty(len(propensity)) if found is None else found
    for rows in blocks(len(propensity)):
        _check(propensity, target, rows, method)
        np.divide(target[rows], propensity[rows], out=found[rows])
    return found


def weighing(propensity: Array, target: Array, method: str) -> Callable[[slice], Array]:
    """Return what returns the weights of some rows, after the same checks of all: logs may be long."""
    propensity, target = _pair(propensity, target)
    for rows in blocks(len(propensity)):
        _check(propensity, target, rows, method)
    return lambda rows: np.asarray(target[rows] / propensity[rows])


def _pair(propensity: Array, target: Array) -> tuple[Array, Array]:
    propensity = _one_dimensional("propensity", propensity)
    return propensity, _one_dimensional("target", target, len(propensity))


def _check(propensity: Array, target: Array, rows: slice, method: str) -> None:
    """Refuse rows whose propensity or target is no probability; the first row of all is told, propensities first."""
    some, of_target = propensity[rows], target[rows]
    # The least and the largest of numbers with a NaN among them are NaN, which compares as false.
    of_target_holds = of_target.min() >= 0.0 and of_target.max() <= 1.0 + _ROUNDING
    if not of_target_holds:
        some = propensity  # a bad one may stand in later rows, and is told before any target
    if not (some.min() > 0.0 and some.max() <= 1.0 + _ROUNDING):
        _refuse_propensity(propensity, method)
    if not of_target_holds:
        row = int(np.argmax(~((target >= 0.0) & (target <= 1.0 + _ROUNDING))))
        raise InvalidInput(
            "bad_target",
            f"the target of row {row} is {target[row]:g}: the probability with which the policy takes the logged "
            "action must be in [0, 1]",
        )


def column(name: str, values: Array, n: int | None = None) -> Array:
    """Return float64[n], as many finite numbers as there are rows."""
    array = _one_dimensional(name, values, n)
    if len(array) and not (math.isfinite(array.min()) and math.isfinite(array.max())):
        row = int(np.argmax(~np.isfinite(array)))
        raise InvalidInput("not_finite", f"the {name} of row {row} is {array[row]:g}: it must be a finite number")
    return array


def check_limit(name: str, limit: float) -> None:
    """Refuse a limit that is not in [0, inf]."""
    if not limit >= 0.0:
        raise InvalidInput("bad_param", f"{name} is {as_seen(limit)}: it must be a number in [0, inf]")


def _clipped(reward: Array, weight: Array, weight_max: float) -> Terms:
    weight = np.minimum(weight, weight_max)
    return Terms("clipped", weight * reward, None, None, weight)


def _one_dimensional(name: str, values: Array, n: int | None = None) -> Array:
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or (n is not None and len(array) != n):
        wanted = "one number a row" if n is None else f"one number for each of {n} rows"
        raise InvalidInput("bad_column", f"the column {name} has the shape {array.shape}: it must be {wanted}")
    return array


def _refuse_propensity(propensity: Array, method: str) -> None:
    n = len(propensity)
    if (unknown := np.isnan(propensity)).any():
        raise InvalidInput(
            "unknown_propensity",
            f"the propensity of row {int(unknown.argmax())} is unknown (NaN), as are {int(unknown.sum())} of {n}: "
            f"{method} needs the probability of every logged action; say which column has it, or use "
            "match, which needs none where the log is uniform",
        )
    row = int(np.argmax((propensity <= 0.0) | (propensity > 1.0 + _ROUNDING)))
    raise InvalidInput("bad_propensity", f"the propensity of row {row} is {propensity[row]:g}: it must be in (0, 1]")
